"""The parts of certificates that this product uses, by the names of the official plugin's inputs."""

KEY_USES = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
}
"""Bits of keyUsage, by their names in the cryptography library."""

SUBJECT = ("organization", "locality", "commonName")
"""Fields of a subject, in the order in which Go's library writes them."""
