"""`tls:index:*`: the same rules for every implementation, checked with the cryptography library and with openssl."""

import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from mesh_federation.plan import trust
from mesh_federation.toolchain.standins.values import UNKNOWN, Properties, Secret, Value, plain
from tests.engine.conformance.client import Invalid, Made, Plugin, Refused

KEY = "tls:index/privateKey:PrivateKey"
SELF = "tls:index/selfSignedCert:SelfSignedCert"
CSR = "tls:index/certRequest:CertRequest"
LOCAL = "tls:index/locallySignedCert:LocallySignedCert"
LEAF: Properties = {"subject": {"commonName": "leaf"}, "dnsNames": ["a.test"]}
P256: Properties = {"algorithm": "ECDSA", "ecdsaCurve": "P256"}
CA_USES: list[Value] = [*trust.CA_USES]
"""What the program asks for, so that a stand-in that lacks one of them fails here."""
SUBJECT: Properties = {"commonName": "root.test", "organization": "Mesh", "locality": "east"}


def openssl(*arguments: str, stdin: str = "") -> str:
    """Output of the openssl program; it must succeed."""
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def key(tls: Plugin, inputs: Properties | None = None) -> str:
    """A new private key as PEM."""
    return tls.create(KEY, inputs or P256).text("privateKeyPem")


def root_inputs(pem: str, **more: Value) -> Properties:
    """Inputs of a root certificate."""
    return {
        "privateKeyPem": Secret(pem),
        "isCaCertificate": True,
        "allowedUses": CA_USES,
        "validityPeriodHours": 87600,
        "subject": {"commonName": "root.test"},
        **more,
    }


@dataclass(frozen=True)
class Authority:
    """A root with its key."""

    key: str
    made: Made

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.made.text("certPem")


def authority(tls: Plugin, **more: Value) -> Authority:
    """A new root."""
    pem = key(tls)
    return Authority(pem, tls.create(SELF, root_inputs(pem, **more)))


def signed(tls: Plugin, root: Authority, request: Properties, **more: Value) -> Made:
    """A certificate that a root signs for a request with these inputs."""
    asked = tls.create(CSR, {"privateKeyPem": Secret(key(tls)), **request})
    return tls.create(LOCAL, local_inputs(root, asked.text("certRequestPem"), **more))


def local_inputs(root: Authority, request: str, **more: Value) -> Properties:
    """Inputs of a locally signed certificate."""
    return {
        "certRequestPem": request,
        "caPrivateKeyPem": Secret(root.key),
        "caCertPem": root.pem,
        "isCaCertificate": True,
        "allowedUses": CA_USES,
        "validityPeriodHours": 100,
        **more,
    }


def certificate(made: Made) -> x509.Certificate:
    """The certificate of a resource."""
    return x509.load_pem_x509_certificate(made.text("certPem").encode())


def ski(parsed: x509.Certificate) -> bytes | None:
    """Subject key identifier, if the certificate has one."""
    try:
        return parsed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def aki(parsed: x509.Certificate) -> bytes | None:
    """Authority key identifier, if the certificate has one."""
    try:
        return parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


@dataclass(frozen=True)
class KeyCase:
    """A kind of private key.

    Attributes:
        inputs: of the resource.
        kind: what the cryptography library must see in it.
        size: bits of the key.
        block: type of the PEM block of `privateKeyPem`.
    """

    inputs: Properties
    kind: type
    size: int
    block: str


KEYS = [
    KeyCase({"algorithm": "RSA", "rsaBits": 3072}, rsa.RSAPrivateKey, 3072, "RSA PRIVATE KEY"),
    KeyCase({"algorithm": "RSA"}, rsa.RSAPrivateKey, 2048, "RSA PRIVATE KEY"),
    KeyCase(P256, ec.EllipticCurvePrivateKey, 256, "EC PRIVATE KEY"),
    KeyCase({"algorithm": "ECDSA", "ecdsaCurve": "P384"}, ec.EllipticCurvePrivateKey, 384, "EC PRIVATE KEY"),
]


@pytest.mark.parametrize("case", KEYS, ids=lambda case: "-".join(map(str, case.inputs.values())))
def test_key_has_the_kind_size_and_format_asked_for(tls: Plugin, case: KeyCase) -> None:
    made = tls.create(KEY, case.inputs)
    pem = made.text("privateKeyPem")
    assert pem.splitlines()[0] == f"-----BEGIN {case.block}-----"
    assert made.text("privateKeyPemPkcs8").startswith("-----BEGIN PRIVATE KEY-----")
    loaded = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(loaded, case.kind)
    assert getattr(loaded, "key_size", 0) == case.size
    public = openssl("pkey", "-pubout", stdin=made.text("privateKeyPemPkcs8"))
    assert public == openssl("pkey", "-pubout", stdin=pem) == made.text("publicKeyPem")


def test_private_keys_are_secret_and_public_ones_are_not(tls: Plugin) -> None:
    outputs = tls.create(KEY, P256).outputs
    hidden = {name for name, value in outputs.items() if isinstance(value, Secret)}
    assert hidden - {"privateKeyOpenssh"} == {"privateKeyPem", "privateKeyPemPkcs8"}


def test_keys_differ(tls: Plugin) -> None:
    assert key(tls) != key(tls)


@pytest.mark.parametrize("inputs", [{"algorithm": "RSA", "rsaBits": 2048}, P256])
def test_self_signed_root_is_a_ca_that_verifies_itself(tls: Plugin, inputs: Properties, tmp_path: Path) -> None:
    pem = key(tls, inputs)
    made = tls.create(SELF, root_inputs(pem, subject=SUBJECT))
    parsed = certificate(made)
    constraints = parsed.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, None)
    assert made["keyAlgorithm"] == inputs["algorithm"]
    assert parsed.issuer == parsed.subject
    file = tmp_path / "root.pem"
    file.write_text(made.text("certPem"))
    assert openssl("verify", "-x509_strict", "-check_ss_sig", "-CAfile", str(file), str(file)).endswith("OK\n")


def test_pem_outputs_end_in_a_newline_so_that_they_can_be_joined(tls: Plugin) -> None:
    root = authority(tls)
    assert root.pem.endswith("-----END CERTIFICATE-----\n")
    assert root.key.endswith("-----END EC PRIVATE KEY-----\n")


def test_subject_has_every_field(tls: Plugin) -> None:
    subject = certificate(authority(tls, subject=SUBJECT).made).subject
    expected = {
        NameOID.COMMON_NAME: ["root.test"],
        NameOID.ORGANIZATION_NAME: ["Mesh"],
        NameOID.LOCALITY_NAME: ["east"],
    }
    assert {oid: [each.value for each in subject.get_attributes_for_oid(oid)] for oid in expected} == expected


def test_key_usage_is_critical_and_has_exactly_the_uses_asked_for(tls: Plugin) -> None:
    usage = certificate(authority(tls).made).extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    value = usage.value
    assert value.digital_signature and value.content_commitment and value.key_encipherment
    assert value.key_cert_sign and value.crl_sign
    assert not value.data_encipherment and not value.key_agreement


def test_ca_needs_a_subject(tls: Plugin) -> None:
    with pytest.raises(Refused, match="at least one Distinguished Name"):
        authority(tls, subject={})


@pytest.mark.parametrize(
    ("more", "has_aki"),
    [({}, False), ({"setSubjectKeyId": True}, False), ({"setAuthorityKeyId": True}, True)],
)
def test_key_identifiers_of_self_signed(tls: Plugin, more: Properties, has_aki: bool) -> None:
    parsed = certificate(authority(tls, **more).made)
    assert ski(parsed) is not None
    assert aki(parsed) == (ski(parsed) if has_aki else None)


def test_request_carries_subject_and_names(tls: Plugin) -> None:
    asked = tls.create(
        CSR,
        {
            "privateKeyPem": Secret(key(tls)),
            "subject": {"commonName": "leaf", "locality": "east"},
            "dnsNames": ["istiod.istio-system.svc"],
        },
    )
    parsed = x509.load_pem_x509_csr(asked.text("certRequestPem").encode())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["istiod.istio-system.svc"]
    assert asked["keyAlgorithm"] == "ECDSA"
    openssl("req", "-verify", "-noout", stdin=asked.text("certRequestPem"))


def test_locally_signed_takes_subject_and_names_from_the_request(tls: Plugin) -> None:
    names: Properties = {"dnsNames": ["istiod.istio-system.svc"]}
    parsed = certificate(signed(tls, authority(tls), {"subject": {"commonName": "leaf", "locality": "east"}, **names}))
    found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [str(name.value) for name in found.value] == ["istiod.istio-system.svc"]
    assert not found.critical
    assert parsed.subject.rfc4514_string() == "CN=leaf,L=east"


@pytest.mark.parametrize("root_key", [P256, {"algorithm": "RSA", "rsaBits": 2048}])
def test_chain_of_root_and_intermediates_verifies(tls: Plugin, root_key: Properties, tmp_path: Path) -> None:
    pem = key(tls, root_key)
    root = Authority(pem, tls.create(SELF, root_inputs(pem)))
    middle_key = key(tls)
    asked = tls.create(CSR, {"privateKeyPem": Secret(middle_key), "subject": {"commonName": "middle"}})
    middle = tls.create(LOCAL, local_inputs(root, asked.text("certRequestPem")))
    lower: Properties = {"subject": {"commonName": "lower"}, "dnsNames": ["a.test"]}
    leaf = signed(tls, Authority(middle_key, middle), lower)
    assert middle["caKeyAlgorithm"] == root_key["algorithm"]
    for name, text in (("root", root.pem), ("middle", middle.text("certPem")), ("leaf", leaf.text("certPem"))):
        (tmp_path / name).write_text(text)
    verified = openssl(
        "verify",
        "-x509_strict",
        "-CAfile",
        str(tmp_path / "root"),
        "-untrusted",
        str(tmp_path / "middle"),
        str(tmp_path / "leaf"),
    )
    assert verified.endswith("OK\n")
    certificate(middle).verify_directly_issued_by(certificate(root.made))
    certificate(leaf).verify_directly_issued_by(certificate(middle))


def test_authority_key_id_names_the_issuers_key(tls: Plugin) -> None:
    root = authority(tls)
    parsed = certificate(signed(tls, root, {"subject": {"commonName": "leaf"}}))
    assert aki(parsed) == ski(certificate(root.made)) is not None
    assert ski(parsed) is not None


def test_same_subject_as_the_issuer_means_no_authority_key_id(tls: Plugin) -> None:
    assert aki(certificate(signed(tls, authority(tls), {"subject": {"commonName": "root.test"}}))) is None


def test_of_several_ca_certificates_the_first_signs(tls: Plugin) -> None:
    root, other = authority(tls), authority(tls)
    request = tls.create(CSR, {"privateKeyPem": Secret(root.key), **LEAF}).text("certRequestPem")
    made = tls.create(LOCAL, {**local_inputs(root, request), "caCertPem": root.pem + other.pem})
    certificate(made).verify_directly_issued_by(certificate(root.made))


def test_key_of_another_ca_is_refused(tls: Plugin) -> None:
    root = authority(tls)
    request = tls.create(CSR, {"privateKeyPem": Secret(root.key), **LEAF}).text("certRequestPem")
    with pytest.raises(Refused):
        tls.create(LOCAL, {**local_inputs(root, request), "caPrivateKeyPem": Secret(key(tls))})


def test_garbage_for_a_key_is_refused_without_showing_it(tls: Plugin) -> None:
    with pytest.raises((Refused, Invalid)) as caught:
        tls.create(SELF, root_inputs("not-a-key-but-private"))
    assert "not-a-key-but-private" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (KEY, {}),
        (KEY, {"algorithm": "DSA"}),
        (KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P999"}),
        (SELF, {"privateKeyPem": "x", "validityPeriodHours": 1}),
        (SELF, {"privateKeyPem": "x", "validityPeriodHours": 1, "allowedUses": ["flying"]}),
        (SELF, {"privateKeyPem": "x", "validityPeriodHours": -1, "allowedUses": []}),
        (LOCAL, {"allowedUses": [], "validityPeriodHours": 1}),
        (CSR, {}),
    ],
)
def test_invalid_inputs_are_refused(tls: Plugin, kind: str, inputs: Properties) -> None:
    with pytest.raises((Invalid, Refused)):
        tls.create(kind, inputs)


def test_validity_is_in_the_outputs_and_in_the_certificate(tls: Plugin) -> None:
    made = authority(tls, validityPeriodHours=48).made
    parsed = certificate(made)
    start, end = (datetime.fromisoformat(made.text(f"validity{side}Time")) for side in ("Start", "End"))
    assert end - start == timedelta(hours=48)
    assert parsed.not_valid_after_utc - parsed.not_valid_before_utc == timedelta(hours=48)
    assert abs(parsed.not_valid_before_utc - start) < timedelta(seconds=1)


def test_serial_number_is_the_id(tls: Plugin) -> None:
    made = authority(tls).made
    assert made.id == str(certificate(made).serial_number)


@pytest.mark.parametrize(
    "change",
    [
        {"validityPeriodHours": 10},
        {"allowedUses": ["cert_signing"]},
        {"subject": {"commonName": "other"}},
        {"privateKeyPem": UNKNOWN},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_input_replaces(tls: Plugin, change: Properties) -> None:
    made = authority(tls).made
    assert tls.diff(made, {**made.inputs, **change}).replaces


def test_same_inputs_are_no_change(tls: Plugin) -> None:
    root = authority(tls, subject=SUBJECT)
    assert not tls.diff(root.made, root.made.inputs).changes
    made = tls.create(KEY, P256)
    assert not tls.diff(made, P256).changes


@pytest.mark.parametrize(
    ("kind", "inputs", "spelled"),
    [
        (KEY, {"algorithm": "RSA"}, {"rsaBits": 2048}),
        (KEY, {"algorithm": "RSA"}, {"ecdsaCurve": "P224"}),
    ],
)
def test_spelling_out_a_default_is_no_change(tls: Plugin, kind: str, inputs: Properties, spelled: Properties) -> None:
    assert not tls.diff(tls.create(kind, inputs), {**inputs, **spelled}).changes


PREVIEWED: list[tuple[str, Properties, set[str]]] = [
    (KEY, {"algorithm": "RSA"}, {"privateKeyPem", "publicKeyPem", "privateKeyPemPkcs8"}),
    (CSR, {"privateKeyPem": Secret(UNKNOWN)}, {"certRequestPem", "keyAlgorithm"}),
    (SELF, root_inputs("") | {"privateKeyPem": UNKNOWN}, {"certPem", "validityEndTime", "validityStartTime"}),
    (
        LOCAL,
        {
            "certRequestPem": UNKNOWN,
            "caPrivateKeyPem": Secret(UNKNOWN),
            "caCertPem": UNKNOWN,
            "allowedUses": [UNKNOWN],
            "validityPeriodHours": UNKNOWN,
        },
        {"certPem", "validityEndTime", "validityStartTime"},
    ),
]


@pytest.mark.parametrize(("kind", "inputs", "unknown"), PREVIEWED, ids=[kind for kind, *_ in PREVIEWED])
def test_preview_with_unknowns_knows_its_inputs_only(
    tls: Plugin, kind: str, inputs: Properties, unknown: set[str]
) -> None:
    made = tls.create(kind, inputs, preview=True)
    assert {name for name in unknown if made[name] is not UNKNOWN} == set()
    assert all(made[name] == plain(value) for name, value in inputs.items())


def test_refresh_leaves_the_state_as_it_is(tls: Plugin) -> None:
    for made in (tls.create(KEY, P256), authority(tls).made, signed(tls, authority(tls), LEAF)):
        assert tls.refresh(made).outputs == made.outputs


def test_delete_needs_nothing(tls: Plugin) -> None:
    tls.delete(authority(tls).made)


def test_private_key_stays_secret_where_it_is_an_input(tls: Plugin) -> None:
    root = authority(tls)
    assert isinstance(root.made.outputs["privateKeyPem"], Secret)
    leaf = signed(tls, root, LEAF)
    assert isinstance(leaf.outputs["caPrivateKeyPem"], Secret)
    assert not isinstance(leaf.outputs["certPem"], Secret)


def test_an_ended_certificate_is_replaced(tls: Plugin) -> None:
    made = authority(tls, validityPeriodHours=0).made
    assert tls.diff(made, made.inputs).replaces
    assert tls.refresh(made)["readyForRenewal"] is True


@pytest.mark.parametrize(
    ("kind", "inputs", "named"),
    [
        (KEY, {"algorithm": "ED25519"}, "ED25519"),
        (KEY, {"algorithm": "ECDSA", "ecdsaCurve": "P521"}, "P521"),
        (KEY, {"algorithm": "ECDSA"}, "P224"),
        (SELF, root_inputs("x", maxPathLength=1), "maxPathLength"),
        (SELF, root_inputs("x", earlyRenewalHours=1), "earlyRenewalHours"),
        (SELF, root_inputs("x", allowedUses=["server_auth"]), "server_auth"),
        (SELF, root_inputs("x", subject={"country": "NL"}), "country"),
        (CSR, {"privateKeyPem": "x", "uris": ["spiffe://a"]}, "uris"),
    ],
)
def test_stand_in_refuses_inputs_that_it_does_not_support(
    tls: Plugin, kind: str, inputs: Properties, named: str
) -> None:
    if tls.origin != "stand-in":
        pytest.skip("the official plugin supports all inputs")
    with pytest.raises((Invalid, Refused), match=named):
        tls.create(kind, inputs)


def test_stand_in_makes_certificates_of_authorities_only(tls: Plugin) -> None:
    if tls.origin != "stand-in":
        pytest.skip("the official plugin makes any certificate")
    with pytest.raises(Refused, match="authorities only"):
        authority(tls, isCaCertificate=False)
