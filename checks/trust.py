"""Checks of trust: what istiod signs with, what it trusts, for how long, and what proxies really got of it."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from checks.certificates import (
    Signer,
    broken_link,
    fingerprint,
    identities,
    is_pair,
    outside_lifetime,
    read,
    short,
    title,
)
from checks.check import Check
from checks.objects import Secret
from checks.on_pods import on_pods
from checks.proxy import Proxy, Secrets, in_mesh
from checks.scene import Scene, Site
from checks.together import together
from checks.verdict import Unseen, Verdict, failed, not_applicable, passed
from model.mesh import NAMESPACE

UP = "./mesh up --refresh puts back what the stack made"


@dataclass(frozen=True)
class Held:
    """The Secret `cacerts` of a cluster.

    Attributes:
        authority: the certificate that istiod signs with.
        chain: from it to its own root.
        roots: all that the cluster trusts.
        key: the private key; in memory alone.
    """

    authority: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    key: CertificateIssuerPrivateKeyTypes

    def __repr__(self) -> str:
        """Show whose it is, and never the key."""
        return f"Held({title(self.authority)})"

    @property
    def signer(self) -> Signer:
        """The authority, able to sign."""
        return Signer(self.chain, self.key)


class NotHeld(Exception):
    """A cluster's `cacerts` is not what istiod takes; the text says why."""


def held(site: Site) -> Held:
    """Read a cluster's `cacerts`; once, however many checks want it.

    Raises:
        NotHeld: there is none, or it cannot be read as certificates and a key.
        Unseen: the cluster does not answer, or does not let us see it.
    """
    found = site.cluster.once("cacerts", lambda: [_read(site)])[0]
    assert isinstance(found, Held)
    return found


def _read(site: Site) -> Held:
    secret = site.cluster.one(Secret, "secret", "cacerts", NAMESPACE)
    if secret is None:
        raise NotHeld("there is no Secret cacerts: istiod signs with a root of its own that nobody else trusts")
    try:
        files = {name: base64.b64decode(text, validate=True) for name, text in secret.data.items()}
        [authority] = read(files["ca-cert.pem"])
        key = load_pem_private_key(files["ca-key.pem"], None)
        chain, roots = read(files["cert-chain.pem"]), read(files["root-cert.pem"])
    except KeyError as missing:
        raise NotHeld(f"cacerts has no {missing.args[0]}") from None
    except (ValueError, TypeError, binascii.Error):  # their texts may hold part of what they could not read
        raise NotHeld("cacerts holds something else than PEM certificates and a key") from None
    return Held(authority, tuple(chain), tuple(roots), key)  # type: ignore[arg-type]


def signer(site: Site) -> Signer:
    """Return a cluster's authority, to ask in the name of its workloads.

    Raises:
        Unseen: it cannot be had.
    """
    try:
        return held(site).signer
    except NotHeld as error:
        raise Unseen(f"{site.name}: {error}", "see the check trust.cacerts") from None


def checks(scene: Scene, warning: timedelta) -> Iterator[Check]:
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
        proves = f"{site.name}: every proxy has an identity of {site.trust_domain} that leads to the cluster's root"
        yield Check("trust.workloads", about, proves, on_pods(site, partial(workloads, site)))
    every = tuple(site.path for site in scene.sites.values())
    yield Check("trust.roots", every, "all clusters trust the same roots, no two of one name", partial(roots, scene))


def cacerts(site: Site) -> Verdict:
    """Compare what istiod signs with to what the stack made."""
    try:
        has = held(site)
    except NotHeld as error:
        return failed(str(error), f"{UP}; then restart istiod")
    expected = site.trust
    trusted = [fingerprint(each) for each in has.roots]
    wrong = [
        f"ca-cert.pem is {title(has.authority)} {short(fingerprint(has.authority))}, not {short(expected.authority)}"
        if fingerprint(has.authority) != expected.authority else "",
        "" if is_pair(has.authority, has.key) else "ca-key.pem belongs to another certificate",
        "" if has.chain[:1] == (has.authority,) else "cert-chain.pem does not begin with ca-cert.pem",
        broken_link(has.chain, [root for root in has.roots if fingerprint(root) == expected.root]),
        f"root-cert.pem holds {', '.join(map(short, trusted))}, not {', '.join(map(short, expected.trusted))}"
        if sorted(trusted) != sorted(expected.trusted) else "",
        *outside_lifetime([*has.chain, *has.roots], datetime.now(UTC)),
    ]  # fmt: skip
    if told := "; ".join(filter(None, wrong)):
        return failed(told, f"{UP}; istiod and its workloads are restarted where their roots change")
    return passed(
        f"{title(has.authority)} {short(expected.authority)}, of {title(has.chain[-1])}",
        authority=expected.authority, root=expected.root, trusted=", ".join(expected.trusted),
    )  # fmt: skip


def expiry(site: Site, warning: timedelta) -> Verdict:
    """Look which authority of a cluster ends first."""
    try:
        has = held(site)
    except NotHeld as error:
        raise Unseen(f"{site.name}: {error}", "see the check trust.cacerts") from None
    first = min((*has.chain, *has.roots), key=lambda each: each.not_valid_after_utc)
    left = first.not_valid_after_utc - datetime.now(UTC)
    told = f"{title(first)} ends first, on {first.not_valid_after_utc:%Y-%m-%d}, in {left.days} days"
    if left < warning:
        return failed(told, f"renew it in time: docs/decisions.md, Trust; --warn-days sets the {warning.days} days")
    return passed(told, ends=f"{first.not_valid_after_utc:%Y-%m-%d}")


def roots(scene: Scene) -> Verdict:
    """Compare what all clusters trust."""
    known: dict[str, tuple[x509.Certificate, ...]] = {}
    for site in scene.sites.values():
        try:
            known[site.name] = held(site).roots
        except NotHeld as error:
            raise Unseen(f"{site.name}: {error}", "see the check trust.cacerts") from None
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
    names = [each.subject.rfc4514_string() for each in certificates]
    return sorted({name for name in names if names.count(name) > 1})


def workloads(site: Site) -> Verdict:
    """Ask every proxy of a cluster for its own certificate and its roots."""
    try:
        root = [each for each in held(site).roots if fingerprint(each) == site.trust.root]
    except NotHeld as error:
        raise Unseen(f"{site.name}: {error}", "see the check trust.cacerts") from None
    has = together(Proxy.secrets, in_mesh(site.cluster))
    wrong = [told for proxy, secrets in has if (told := _wrong(site, proxy, secrets, root))]
    if wrong:
        return failed("; ".join(wrong), "kubectl rollout restart what has them: proxies keep roots for a day; " + UP)
    if not has:
        return not_applicable("no pod is in the mesh")
    leaves = {proxy.pod.title: secrets.own[0] for proxy, secrets in has}
    soonest = min(each.not_valid_after_utc for each in leaves.values())
    return passed(
        f"{len(leaves)} certificates lead to {title(root[0])}, the first ends {soonest:%Y-%m-%d %H:%M} UTC",
        **{pod: title(leaf) for pod, leaf in leaves.items()},
    )


def _wrong(site: Site, proxy: Proxy, has: Secrets, root: list[x509.Certificate]) -> str:
    """Say what is wrong with what one proxy has; empty where nothing is."""
    if not has.own:
        return f"{proxy.pod.title} has no certificate"
    expected = site.identity(proxy.pod.account)
    named = identities(has.own[0])
    if named != [expected]:
        return f"{proxy.pod.title} is {', '.join(named) or 'nobody'}, not {expected}"
    if told := broken_link(has.own, root):
        return f"{proxy.pod.title}: {told}"
    lacking = set(site.trust.trusted) - {fingerprint(each) for each in has.trusted}
    return f"{proxy.pod.title} does not trust the roots {', '.join(map(short, sorted(lacking)))}" if lacking else ""
