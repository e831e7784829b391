"""`tls:index:*`: private keys, certificate requests and certificates, with the inputs that this product gives them.

Follows the official plugin 5.5.1; tests/engine/conformance has the cases. Other inputs are refused. The cryptography
is in x509.py, which is imported at the first use because it takes longer to load than the rest.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from mesh_federation.toolchain.standins.plugin import (
    Failure,
    Log,
    PropertyChange,
    Refusal,
    Target,
    changed,
    serve_provider,
    unsupported,
)
from mesh_federation.toolchain.standins.uses import KEY_USES, SUBJECT
from mesh_federation.toolchain.standins.values import UNKNOWN, Properties, Secret, Value, has_unknown, plain

VERSION = "5.5.1"
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
REQUEST = "tls:index/certRequest:CertRequest"
LOCALLY_SIGNED = "tls:index/locallySignedCert:LocallySignedCert"

_CERTIFICATE_DEFAULTS: Properties = {
    "earlyRenewalHours": 0,
    "isCaCertificate": False,
    "readyForRenewal": False,
    "setSubjectKeyId": False,
}
_DEFAULTS: dict[str, Properties] = {
    PRIVATE_KEY: {"rsaBits": 2048, "ecdsaCurve": "P224"},
    REQUEST: {},
    SELF_SIGNED: {**_CERTIFICATE_DEFAULTS, "setAuthorityKeyId": False},
    LOCALLY_SIGNED: _CERTIFICATE_DEFAULTS,
}
_VALIDITY = ("certPem", "validityStartTime", "validityEndTime")
_COMPUTED = {
    PRIVATE_KEY: ("privateKeyPem", "privateKeyPemPkcs8", "publicKeyPem"),
    REQUEST: ("keyAlgorithm", "certRequestPem"),
    SELF_SIGNED: ("keyAlgorithm", *_VALIDITY),
    LOCALLY_SIGNED: ("caKeyAlgorithm", *_VALIDITY),
}
_REQUIRED = {
    PRIVATE_KEY: ("algorithm",),
    REQUEST: ("privateKeyPem",),
    SELF_SIGNED: ("privateKeyPem", "allowedUses", "validityPeriodHours"),
    LOCALLY_SIGNED: ("caCertPem", "caPrivateKeyPem", "certRequestPem", "allowedUses", "validityPeriodHours"),
}
_OPTIONAL = {
    PRIVATE_KEY: ("rsaBits", "ecdsaCurve"),
    REQUEST: ("subject", "dnsNames"),
    SELF_SIGNED: ("subject", "isCaCertificate", "setSubjectKeyId", "setAuthorityKeyId"),
    LOCALLY_SIGNED: ("isCaCertificate", "setSubjectKeyId"),
}
_SECRETS = {"privateKeyPem", "privateKeyPemPkcs8", "caPrivateKeyPem"}
_CHOICES: dict[str, tuple[str, ...]] = {"algorithm": ("RSA", "ECDSA"), "ecdsaCurve": ("P224", "P256", "P384")}
"""P224 is in the state of every RSA key, as the default of the official plugin."""
_NOT_NEGATIVE = ("validityPeriodHours", "rsaBits")


class TlsProvider:
    """Makes keys and certificates for the engine."""

    version = VERSION

    def __init__(self, log: Log) -> None:
        """Nothing is logged: everything here is done in one step."""

    def check(self, target: Target, news: Properties) -> list[Failure]:
        """Return the inputs that are missing, out of range or not supported."""
        if target.type not in _COMPUTED:
            return [Failure("", f"unknown resource type {target.type}")]
        return list(_failures(target.type, news))

    def diff(self, target: Target, inputs: Properties, state: Properties, news: Properties) -> PropertyChange:
        """Every change makes a new resource, and so does the end of a certificate."""
        change = changed(_settled(target.type, inputs), _settled(target.type, news), lambda name: True)
        if not _ended(state):
            return change
        return PropertyChange({**change.paths, "readyForRenewal": "update"}, change.replaces | {"readyForRenewal"})

    def create(self, target: Target, news: Properties, preview: bool) -> tuple[str, Properties]:
        """Make the key, request or certificate."""
        settled = {**_DEFAULTS[target.type], **news}
        if preview or has_unknown(settled):
            return "", _marked({**settled, **dict.fromkeys(_COMPUTED[target.type], UNKNOWN)}, news)
        from mesh_federation.toolchain.standins import x509

        makers = {
            PRIVATE_KEY: x509.private_key,
            REQUEST: x509.request,
            SELF_SIGNED: x509.self_signed,
            LOCALLY_SIGNED: x509.locally_signed,
        }
        bare = {name: plain(value) for name, value in settled.items()}
        try:
            identity, produced = makers[target.type](bare)
        except ValueError as error:
            raise Refusal(str(error)) from None
        made = {**settled, **produced}
        return identity, _marked(made, news)

    def update(self, target: Target, state: Properties, news: Properties, preview: bool) -> Properties:
        """Return the state: no input changes in place."""
        return state

    def delete(self, target: Target, state: Properties) -> None:
        """Nothing outside the state needs removing."""

    def read(self, target: Target, state: Properties) -> Properties:
        """Return the state; a certificate that has ended is marked for renewal."""
        return {**state, "readyForRenewal": True} if _ended(state) else state

    def cancel(self) -> None:
        """Nothing runs for long."""


def _marked(outputs: Properties, inputs: Properties) -> Properties:
    """Private keys are secret, and so is an output that repeats a secret input."""

    def mark(name: str, value: Value) -> Value:
        hidden = name in _SECRETS or isinstance(inputs.get(name), Secret)
        return Secret(value) if hidden and not isinstance(value, Secret) else value

    return {name: mark(name, value) for name, value in outputs.items()}


def _settled(kind: str, inputs: Properties) -> Properties:
    """Inputs with the defaults filled in; an empty list is the same as none."""
    return {**_DEFAULTS[kind], **{name: value for name, value in inputs.items() if plain(value) != []}}


def _ended(state: Properties) -> bool:
    end = plain(state.get("validityEndTime"))
    return isinstance(end, str) and datetime.now(UTC) >= datetime.fromisoformat(end)


def _failures(kind: str, news: Properties) -> Iterator[Failure]:
    yield from unsupported(news, (*_REQUIRED[kind], *_OPTIONAL[kind]))
    for name in _REQUIRED[kind]:
        if name not in news:
            yield Failure(name, f"Missing required property '{name}'")
    for name, value in news.items():
        known = plain(value)
        if known is UNKNOWN:
            continue
        if name in _CHOICES and known not in _CHOICES[name]:
            yield Failure(name, f"expected one of {', '.join(_CHOICES[name])}, got {known!r}")
        if name in _NOT_NEGATIVE and not (isinstance(known, int | float) and known >= 0):
            yield Failure(name, f"expected a number of at least 0, got {known!r}")
        if name == "subject" and isinstance(known, dict):
            yield from unsupported(known, SUBJECT)
        if name == "allowedUses" and isinstance(known, list):
            yield from unsupported({str(use): use for use in known if use is not UNKNOWN}, KEY_USES)


if __name__ == "__main__":
    serve_provider(TlsProvider)
