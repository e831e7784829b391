"""Checks of trust: what istiod signs with, what it trusts, for how long, and what proxies really got of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from cryptography import x509

from mesh_federation.verify.cacerts import NotHeld, held, own_root
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
from mesh_federation.verify.parallel import together
from mesh_federation.verify.proxy import Proxy, Secrets, in_mesh
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.verdict import Verdict, failed, not_applicable, passed

UP = "./mesh up --refresh puts back what the stack made"
RENEWAL = (
    "docs/trust.md, Renewal: an intermediate gets another name under clusters.{cluster}.intermediate, a root a"
    " trust.rotation, a provided one another in its place; then ./mesh up"
)


def checks(scene: Context, warning: timedelta) -> Iterator[Check]:
    """Plan the checks of every cluster, and of all together.

    Args:
        scene: the federation.
        warning: how long before its end an authority is complained of.
    """
    for site in scene.sites.values():
        about = (site.path,)
        proves = f"{site.name}: istiod has the authority of the stack, its key, its chain and all roots"
        yield Check("trust.cacerts", about, proves, partial(cacerts, site))
        proves = f"{site.name}: no authority ends within {warning.days} days"
        yield Check("trust.expiry", about, proves, partial(expiry, site, warning))
        where = "a root of the rotation" if scene.federation.trust.rotation else "the cluster's root"
        proves = f"{site.name}: every proxy has an identity of {site.trust_domain} that leads to {where}"
        yield Check("trust.workloads", about, proves, on_pods(site, partial(workloads, scene, site)))
    every = tuple(site.path for site in scene.sites.values())
    yield Check("trust.roots", every, "all clusters trust the same roots, no two of one name", partial(roots, scene))


def cacerts(site: ClusterUnderTest) -> Verdict:
    """Compare what istiod signs with to what the stack made."""
    try:
        has = held(site)
    except NotHeld as error:
        return failed(error.why, f"{UP}; then restart istiod")
    expected = site.trust
    trusted = [fingerprint(each) for each in has.roots]
    ended = outside_lifetime([*has.chain, *has.roots], datetime.now(UTC))
    wrong = [
        f"ca-cert.pem is {title(has.authority)} {short(fingerprint(has.authority))}, not {short(expected.authority)}"
        if fingerprint(has.authority) != expected.authority else "",
        "" if has.authority.public_key() == has.key.public_key() else "ca-key.pem belongs to another certificate",
        "" if has.chain[:1] == (has.authority,) else "cert-chain.pem does not begin with ca-cert.pem",
        broken_link(has.chain, own_root(site)),
        f"root-cert.pem holds {', '.join(map(short, trusted))}, not {', '.join(map(short, expected.trusted))}"
        if sorted(trusted) != sorted(expected.trusted) else "",
        *ended,
    ]  # fmt: skip
    if told := "; ".join(filter(None, wrong)):
        if ended:
            return failed(told, f"renew what ended: {RENEWAL.format(cluster=site.name)}; of the rest {UP}")
        return failed(told, f"{UP}; istiod and its workloads are restarted where their roots change")
    return passed(
        f"{title(has.authority)} {short(expected.authority)}, of {title(has.chain[-1])}",
        authority=expected.authority, root=expected.root, trusted=", ".join(expected.trusted),
    )  # fmt: skip


def expiry(site: ClusterUnderTest, warning: timedelta) -> Verdict:
    """Look which authority of a cluster ends first."""
    has = held(site)
    first = min((*has.chain, *has.roots), key=lambda each: each.not_valid_after_utc)
    left = first.not_valid_after_utc - datetime.now(UTC)
    told = f"{title(first)} ends first, on {first.not_valid_after_utc:%Y-%m-%d}, in {left.days} days"
    renewal = RENEWAL.format(cluster=site.name)
    if left < timedelta():
        return failed(f"{title(first)} ended on {first.not_valid_after_utc:%Y-%m-%d}", f"renew it now: {renewal}")
    if left < warning:
        return failed(told, f"renew it in time: {renewal}; trust.warnDays sets the {warning.days} days")
    return passed(told, ends=f"{first.not_valid_after_utc:%Y-%m-%d}")


def roots(scene: Context) -> Verdict:
    """Compare what all clusters trust."""
    known = {site.name: held(site).roots for site in scene.sites.values()}
    first, *others = known
    odd = [name for name in others if known[name] != known[first]]
    if odd:
        return failed(f"{', '.join(odd)} trusts other roots than {first}, or in another order", UP)
    namesakes = _namesakes(known[first])
    if namesakes:
        hint = "make one of them anew under a name of its own: TLS libraries look an issuer up by it"
        return failed(f"two roots are both called {', '.join(namesakes)}", hint)
    count = len(known[first])
    return passed(
        f"{len(known)} clusters trust the same {count} root{'' if count == 1 else 's'}",
        **{title(root): fingerprint(root) for root in known[first]},
    )


def _namesakes(certificates: tuple[x509.Certificate, ...]) -> list[str]:
    names = [each.subject.rfc4514_string() for each in set(certificates)]
    return sorted({name for name in names if names.count(name) > 1})


def workloads(scene: Context, site: ClusterUnderTest) -> Verdict:
    """Ask every proxy of a cluster for its own certificate and its roots."""
    rightful = held(site).roots if scene.federation.trust.rotation else own_root(site)
    has = together(Proxy.secrets, in_mesh(site.cluster))
    wrong = [told for proxy, secrets in has if (told := _wrong(site, proxy, secrets, rightful))]
    if wrong:
        return failed("; ".join(wrong), "kubectl rollout restart what has them: proxies keep roots for a day; " + UP)
    if not has:
        return not_applicable("no pod is in the mesh")
    led = {proxy.pod.title: title(ends_at(secrets.own, rightful)) for proxy, secrets in has}
    counted = ", ".join(f"{count} certificates lead to {root}" for root, count in sorted(Counter(led.values()).items()))
    soonest = min(secrets.own[0].not_valid_after_utc for _, secrets in has)
    return passed(
        f"{counted}, the first ends {soonest:%Y-%m-%d %H:%M} UTC",
        **{proxy.pod.title: f"{title(secrets.own[0])} of {led[proxy.pod.title]}" for proxy, secrets in has},
    )


def _wrong(site: ClusterUnderTest, proxy: Proxy, has: Secrets, rightful: Sequence[x509.Certificate]) -> str:
    """Say what is wrong with what one proxy has; empty where nothing is."""
    if not has.own:
        return f"{proxy.pod.title} has no certificate"
    expected = site.identity(proxy.pod.account)
    named = identities(has.own[0])
    if named != [expected]:
        return f"{proxy.pod.title} is {', '.join(named) or 'nobody'}, not {expected}"
    if told := broken_link(has.own, rightful):
        return f"{proxy.pod.title}: {told}"
    lacking = set(site.trust.trusted) - {fingerprint(each) for each in has.trusted}
    return f"{proxy.pod.title} does not trust the roots {', '.join(map(short, sorted(lacking)))}" if lacking else ""
