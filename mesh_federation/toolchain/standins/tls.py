"""`tls:index:*`: private keys, certificate requests and certificates, made on this machine.

Follows the official plugin 5.5.1; tests/engine/conformance has the cases. The cryptography is in x509.py,
which is imported at the first use because it takes longer to load than the rest.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mesh_federation.toolchain.standins.plugin import Change, Failure, Log, Refusal, Target, changed, serve_provider
from mesh_federation.toolchain.standins.values import UNKNOWN, Properties, Secret, Value, has_unknown, plain

VERSION = "5.5.1"
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
REQUEST = "tls:index/certRequest:CertRequest"
LOCALLY_SIGNED = "tls:index/locallySignedCert:LocallySignedCert"
PUBLIC_KEY = "tls:index/getPublicKey:getPublicKey"

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
    PRIVATE_KEY: (
        "privateKeyPem",
        "privateKeyOpenssh",
        "privateKeyPemPkcs8",
        "publicKeyPem",
        "publicKeyOpenssh",
        "publicKeyFingerprintMd5",
        "publicKeyFingerprintSha256",
    ),
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
_SECRETS = {"privateKeyPem", "privateKeyOpenssh", "privateKeyPemPkcs8", "caPrivateKeyPem"}
_CHOICES: dict[str, tuple[str, ...]] = {
    "algorithm": ("RSA", "ECDSA", "ED25519"),
    "ecdsaCurve": ("P224", "P256", "P384", "P521"),
}
_NOT_NEGATIVE = ("earlyRenewalHours", "validityPeriodHours", "rsaBits")


class TlsProvider:
    """Makes keys and certificates for the engine."""

    version = VERSION

    def __init__(self, log: Log) -> None:
        """Nothing is logged: everything here is done in one step."""

    def check(self, target: Target, news: Properties) -> list[Failure]:
        """Find missing inputs and values out of range."""
        if target.type not in _COMPUTED:
            return [Failure("", f"unknown resource type {target.type}")]
        return list(_failures(target.type, news))

    def diff(self, target: Target, inputs: Properties, state: Properties, news: Properties) -> Change:
        """Everything but `earlyRenewalHours` makes a new resource, and so does a certificate that is due."""
        before, after = _settled(target.type, inputs), _settled(target.type, news)
        change = changed(before, after, lambda name: name != "earlyRenewalHours")
        if not _due({**state, "earlyRenewalHours": news.get("earlyRenewalHours", 0)}):
            return change
        return Change({**change.paths, "readyForRenewal": "update"}, change.replaces | {"readyForRenewal"})

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
        return identity, _marked({**made, "readyForRenewal": True} if _due(made) else made, news)

    def update(self, target: Target, state: Properties, news: Properties, preview: bool) -> Properties:
        """Only `earlyRenewalHours` can change in place."""
        return _marked({**state, **_DEFAULTS[target.type], **news}, news)

    def delete(self, target: Target, state: Properties) -> None:
        """Nothing outside the state needs removing."""

    def read(self, target: Target, state: Properties) -> Properties:
        """The state as it is, with a certificate that is due marked so."""
        return {**state, "readyForRenewal": True} if _due(state) else state

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Public key of a private key."""
        if token != PUBLIC_KEY:
            raise Refusal(f"unknown function {token!r}")
        from mesh_federation.toolchain.standins import x509

        try:
            return x509.public_key({name: plain(value) for name, value in arguments.items()})
        except ValueError as error:
            raise Refusal(str(error)) from None

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


def _due(state: Properties) -> bool:
    end, early = plain(state.get("validityEndTime")), plain(state.get("earlyRenewalHours", 0))
    if not isinstance(end, str) or not isinstance(early, int | float):
        return False
    return datetime.now(UTC) >= datetime.fromisoformat(end) - timedelta(hours=early)


def _failures(kind: str, news: Properties) -> Iterator[Failure]:
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
        if name == "allowedUses":
            yield from _use_failures(known)


def _use_failures(uses: Value) -> Iterator[Failure]:
    from mesh_federation.toolchain.standins.uses import EXTENDED_USES, KEY_USES

    allowed = {*KEY_USES, *EXTENDED_USES}
    for index, use in enumerate(uses if isinstance(uses, list) else []):
        if use is not UNKNOWN and use not in allowed:
            yield Failure(f"allowedUses[{index}]", f"expected one of {', '.join(sorted(allowed))}, got {use!r}")


if __name__ == "__main__":
    serve_provider(TlsProvider)
