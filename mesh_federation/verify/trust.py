"""Checks of trust: the authority and roots of istiod, their expiry, and the certificates of proxies."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from cryptography import x509

from mesh_federation.verify.cacerts import UnusableCaCerts, ca_certs, own_root
from mesh_federation.verify.certificates import (
    broken_link,
    ends_at,
    fingerprint,
    identities,
    outside_lifetime,
    short,
    title,
)
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.proxy import Proxy, ProxySecrets
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.verdict import Verdict, failed, not_applicable, passed

UP = "./mesh up --refresh restores what the stack made"
RENEWAL = (
    "see Renewal in docs/trust.md: rename the intermediate under clusters.{cluster}.intermediate, rotate the root with"
    " trust.rotation, or replace the provided certificate; then ./mesh up"
)


def checks(context: Context, warning: timedelta) -> Iterator[Check]:
    """Return the checks of every cluster, and of all together.

    Args:
        context: the federation.
        warning: an authority that expires within this time fails its check.
    """
    for cluster in context.clusters.values():
        about = (cluster.path,)
        if cluster.has_authority:
            description = f"{cluster.name}: istiod has the authority of the stack, with key, chain and all roots"
            yield Check("trust.cacerts", about, description, partial(cacerts, cluster))
            description = f"{cluster.name}: no authority expires within {warning.days} days"
            yield Check("trust.expiry", about, description, partial(expiry, cluster, warning))
        where = "a root of the rotation" if context.federation.trust.rotation else "the cluster's root"
        description = f"{cluster.name}: every proxy has an identity of {cluster.trust_domain} issued under {where}"
        yield Check(
            "trust.workloads", about, description, skip_if_simulated(cluster, partial(workloads, context, cluster))
        )
    every = tuple(cluster.path for cluster in context.signing)
    if not every:
        return
    described = "clusters trust the same roots" if _is_mesh_wide(context) else "no cluster trusts the root of another"
    yield Check("trust.roots", every, f"{described}, and roots have names of their own", partial(roots, context))


def cacerts(cluster: ClusterUnderTest) -> Verdict:
    """Compare the authority of istiod with what the stack made."""
    try:
        found = ca_certs(cluster)
    except UnusableCaCerts as error:
        return failed(error.reason, f"{UP}; then restart istiod")
    expected, actual = cluster.trust, fingerprint(found.authority)
    trusted = [fingerprint(each) for each in found.roots]
    ended = outside_lifetime([*found.chain, *found.roots], datetime.now(UTC))
    wrong = [
        f"ca-cert.pem is {title(found.authority)} {short(actual)}, not {short(expected.authority)}"
        if actual != expected.authority else "",
        "" if found.authority.public_key() == found.key.public_key() else "ca-key.pem belongs to another certificate",
        "" if found.chain[:1] == (found.authority,) else "cert-chain.pem does not begin with ca-cert.pem",
        broken_link(found.chain, own_root(cluster)),
        f"root-cert.pem holds {', '.join(map(short, trusted))}, not {', '.join(map(short, expected.trusted))}"
        if sorted(trusted) != sorted(expected.trusted) else "",
        *ended,
    ]  # fmt: skip
    if message := "; ".join(filter(None, wrong)):
        if ended:
            return failed(message, f"renew what expired: {RENEWAL.format(cluster=cluster.name)}; for the rest, {UP}")
        return failed(message, f"{UP}, and restarts istiod and its workloads if their roots change")
    return passed(
        f"{title(found.authority)} {short(expected.authority)}, of {title(found.chain[-1])}",
        authority=expected.authority, root=expected.root, trusted=", ".join(expected.trusted),
    )  # fmt: skip


def expiry(cluster: ClusterUnderTest, warning: timedelta) -> Verdict:
    """Find the authority of a cluster that expires first."""
    found = ca_certs(cluster)
    first = min((*found.chain, *found.roots), key=lambda each: each.not_valid_after_utc)
    left = first.not_valid_after_utc - datetime.now(UTC)
    message = f"{title(first)} expires first, on {first.not_valid_after_utc:%Y-%m-%d}, in {left.days} days"
    renewal = RENEWAL.format(cluster=cluster.name)
    if left < timedelta():
        return failed(f"{title(first)} expired on {first.not_valid_after_utc:%Y-%m-%d}", f"renew it now: {renewal}")
    if left < warning:
        return failed(message, f"renew it in time: {renewal}; trust.warnDays sets the {warning.days} days")
    return passed(message, expires=f"{first.not_valid_after_utc:%Y-%m-%d}")


def roots(context: Context) -> Verdict:
    """Compare the trusted roots of all clusters."""
    known = {cluster.name: ca_certs(cluster).roots for cluster in context.signing}
    if error := _unequal(known) if _is_mesh_wide(context) else _foreign(context, known):
        return failed(error, UP)
    every = tuple(dict.fromkeys(root for held in known.values() for root in held))
    namesakes = _namesakes(every)
    if namesakes:
        hint = "recreate one of them under another name: TLS libraries look up issuers by name"
        return failed(f"two roots have the same name: {', '.join(namesakes)}", hint)
    count = f"{len(every)} root{'' if len(every) == 1 else 's'}"
    told = f"trust the same {count}" if _is_mesh_wide(context) else f"trust {count}, each its own"
    return passed(f"{len(known)} clusters {told}", **{title(root): fingerprint(root) for root in every})


def _is_mesh_wide(context: Context) -> bool:
    return context.federation.trust.scope == "mesh"


def _unequal(known: Mapping[str, Sequence[x509.Certificate]]) -> str:
    first, *others = known
    odd = [name for name in others if known[name] != known[first]]
    return f"{', '.join(odd)} trusts other roots than {first}, or in another order" if odd else ""


def _foreign(context: Context, known: Mapping[str, Sequence[x509.Certificate]]) -> str:
    odd = {
        name: [title(each) for each in held if fingerprint(each) not in context.clusters[name].trust.trusted]
        for name, held in known.items()
    }
    return "; ".join(f"{name} also trusts {', '.join(names)}" for name, names in odd.items() if names)


def _namesakes(certificates: tuple[x509.Certificate, ...]) -> list[str]:
    names = [each.subject.rfc4514_string() for each in set(certificates)]
    return sorted({name for name in names if names.count(name) > 1})


def workloads(context: Context, cluster: ClusterUnderTest) -> Verdict:
    """Compare the certificate and the roots of every proxy with what the stack made."""
    is_moving = context.federation.trust.rotation and cluster.has_authority
    expected = ca_certs(cluster).roots if is_moving else own_root(cluster)
    proxies = map_parallel(Proxy.secrets, cluster.proxies)
    wrong = [error for proxy, secrets in proxies if (error := _error(cluster, proxy, secrets, expected))]
    if not _is_mesh_wide(context):
        wrong += [error for proxy, secrets in proxies if (error := _still_trusted(cluster, proxy, secrets))]
    if wrong:
        return failed(
            "; ".join(wrong),
            "restart those workloads with kubectl rollout restart: proxies keep roots for a day; " + UP,
        )
    if not proxies:
        return not_applicable("no pod is in the mesh")
    issuers = {proxy.pod.title: title(ends_at(secrets.own, expected)) for proxy, secrets in proxies}
    counts = sorted(Counter(issuers.values()).items())
    counted = ", ".join(f"{count} certificates under {root}" for root, count in counts)
    soonest = min(secrets.own[0].not_valid_after_utc for _, secrets in proxies)
    return passed(
        f"{counted}, the first expires {soonest:%Y-%m-%d %H:%M} UTC",
        **{proxy.pod.title: f"{title(secrets.own[0])} of {issuers[proxy.pod.title]}" for proxy, secrets in proxies},
    )


def _still_trusted(cluster: ClusterUnderTest, proxy: Proxy, secrets: ProxySecrets) -> str:
    """Return what a proxy trusts beside the roots of its cluster: it keeps roots until it renews its certificate."""
    others = [title(each) for each in secrets.trusted if fingerprint(each) not in cluster.trust.trusted]
    return f"{proxy.pod.title} still trusts {', '.join(others)}" if others else ""


def _error(cluster: ClusterUnderTest, proxy: Proxy, secrets: ProxySecrets, roots: Sequence[x509.Certificate]) -> str:
    """Return what is wrong with the certificates of one proxy; empty if nothing is."""
    if not secrets.own:
        return f"{proxy.pod.title} has no certificate"
    expected = cluster.identity(proxy.pod.account)
    named = identities(secrets.own[0])
    if named != [expected]:
        return f"{proxy.pod.title} is {', '.join(named) or 'nobody'}, not {expected}"
    if error := broken_link(secrets.own, roots):
        return f"{proxy.pod.title}: {error}"
    missing = set(cluster.trust.trusted) - {fingerprint(each) for each in secrets.trusted}
    return f"{proxy.pod.title} does not trust the roots {', '.join(map(short, sorted(missing)))}" if missing else ""
