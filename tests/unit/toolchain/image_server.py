"""A container registry on a local port: it asks for a token, and has layers at another site, as Docker Hub does."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlencode

from tests.unit.toolchain.publisher import Publisher, plain

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
TOKEN = "a-token-that-no-error-shows"


def sha256(content: bytes) -> str:
    """Its digest without the word for the algorithm."""
    return hashlib.sha256(content).hexdigest()


def descriptor(media_type: str, content: bytes) -> dict[str, object]:
    """What one document says of another."""
    return {"mediaType": media_type, "digest": f"sha256:{sha256(content)}", "size": len(content)}


@dataclass
class Registry:
    """A registry that gives its repositories to everybody who has asked for a token.

    Attributes:
        site: its API and its tokens.
        store: another site, to which it sends for layers.
        headers: the Authorization header of every request for a layer, by site.
    """

    site: Publisher
    store: Publisher
    headers: list[tuple[str, str | None]] = field(default_factory=list)

    def offer(
        self,
        name: str,
        tag: str,
        layers: Sequence[bytes],
        settings: Mapping[str, object] | None = None,
        layer_type: str = LAYER,
        platform: tuple[str, str] = ("linux", "amd64"),
    ) -> str:
        """Release an image, with an index as publishers have it; returns the digest of its tag."""
        self.site.files["/v2/"] = b"{}"
        self.site.answers["/v2/"] = self._guarded
        words = urlencode({"service": "images.example", "scope": f"repository:{name}:pull"})
        self.site.files[f"/token?{words}"] = json.dumps({"token": TOKEN, "expires_in": 300}).encode()
        system, arch = platform
        config = json.dumps({"os": system, "architecture": arch, "config": settings or {}}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(layer_type, content) for content in layers],
        }
        for blob in (config, *layers):
            self.offer_blob(name, sha256(blob), blob)
        document = json.dumps(manifest).encode()
        self.offer_manifest(name, f"sha256:{sha256(document)}", document)
        attested = {**descriptor(MANIFEST, b"attestation"), "platform": {"os": "unknown", "architecture": "unknown"}}
        own = {**descriptor(MANIFEST, document), "platform": {"os": system, "architecture": arch}}
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [attested, own]}).encode()
        self.offer_manifest(name, tag, index)
        self.offer_manifest(name, f"sha256:{sha256(index)}", index)
        return sha256(index)

    def offer_manifest(self, name: str, reference: str, document: bytes) -> None:
        """Have a document at a tag or a digest."""
        path = f"/v2/{name}/manifests/{reference}"
        self.site.files[path] = document
        self.site.answers[path] = self._guarded

    def offer_blob(self, name: str, digest: str, content: bytes) -> None:
        """Have a layer or a configuration, which lies at the other site."""
        path = f"/v2/{name}/blobs/sha256:{digest}"
        self.site.files[path] = b"moved"
        self.site.answers[path] = self._elsewhere
        self.store.files[path] = content
        self.store.answers[path] = self._watched

    def _guarded(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        if handler.headers.get("Authorization") == f"Bearer {TOKEN}":
            plain(handler, content)
            return
        handler.send_response(401)
        realm = f'Bearer realm="{self.site.url}/token",service="images.example"'
        handler.send_header("WWW-Authenticate", realm)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _elsewhere(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        self.headers.append(("site", handler.headers.get("Authorization")))
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._guarded(handler, content)
            return
        handler.send_response(307)
        handler.send_header("Location", f"{self.store.url}{handler.path}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _watched(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        self.headers.append(("store", handler.headers.get("Authorization")))
        plain(handler, content)
