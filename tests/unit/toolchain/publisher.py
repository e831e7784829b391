"""A publisher with the official layout, on a local port, and a checkout whose pins point to it."""

import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass
class Publisher:
    """A local server with files, and with answers that go wrong.

    Attributes:
        url: its address.
        files: what it has, by path.
        answers: how it answers for a path, where not plainly.
        requests: paths that were asked for with GET, with the Range header.
        gate: opened by a test to let a held answer go on.
        held: set when an answer is being held.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)

    def offer(self, path: str, content: bytes, *, checksums: str | None = None) -> None:
        """Publish a file and its line in a checksum list."""
        self.files[path] = content
        name = path.rsplit("/", 1)[-1]
        listing = checksums or f"{path}.sha256"
        line = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
        others = [old for old in self.files.get(listing, b"").splitlines(True) if not old.endswith(line[64:])]
        self.files[listing] = b"".join([*others, line])

    def asked(self, path: str) -> list[str | None]:
        """The Range header of every GET for the path."""
        return [header for asked, header in self.requests if asked == path]


def plain(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Answer as a good server does, ranges included."""
    start = _start(handler)
    if start and start >= len(content):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(content)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:])


def truncated(after: int) -> Answer:
    """Announce all, send so many bytes of what was asked for, and hang up."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        start = _start(handler)
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + after])
        handler.close_connection = True

    return answer


def held(publisher: Publisher, after: int = 0) -> Answer:
    """Send so many bytes, then nothing until the gate opens."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:after])
        handler.wfile.flush()
        publisher.held.set()
        publisher.gate.wait()
        handler.wfile.write(content[after:])

    return answer


def _start(handler: BaseHTTPRequestHandler) -> int:
    header = handler.headers.get("Range")
    return int(header.removeprefix("bytes=").removesuffix("-")) if header else 0


@contextmanager
def serve(site: Publisher) -> Iterator[None]:
    """Run the publisher until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:  # noqa: N802
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:  # noqa: N802
            site.requests.append((self.path, self.headers.get("Range")))
            if self.path not in site.files:
                self.send_error(404)
                return
            try:
                site.answers.get(self.path, plain)(self, site.files[self.path])
            except ConnectionError:
                self.close_connection = True  # the client was killed, or gave up

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield
    finally:
        site.gate.set()
        server.shutdown()
        server.server_close()


def archive(files: dict[str, bytes]) -> bytes:
    """A .tar.gz with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PINS = """
[versions]
engine = "3.9.1"
tls-provider = "5.0.2"
kubernetes = "1.30.4"
istio = "1.29.3"

[pieces.pulumi]
release = "engine"
kind = "engine"
probe = ["version"]
official.url = "URL/sdk/pulumi-v{version}-{os}-{arch}.tar.gz"
official.checksums = "URL/sdk/pulumi-{version}-checksums.txt"
official.arch = { amd64 = "x64" }
go.module = "engine"
go.package = "."
go.variables = { "main.version" = "{version}" }

[pieces.pulumi-language-python]
release = "engine"
kind = "language"
executables = ["pulumi-language-python", "pulumi-language-python-exec"]
official.url = "URL/sdk/pulumi-v{version}-{os}-{arch}.tar.gz"
official.checksums = "URL/sdk/pulumi-{version}-checksums.txt"
official.arch = { amd64 = "x64" }
standin = "mesh_federation.toolchain.standins.language"

[pieces.pulumi-resource-tls]
release = "tls-provider"
kind = "plugin"
probe = ["--version"]
official.url = "URL/plugins/pulumi-resource-tls-v{version}-{os}-{arch}.tar.gz"
official.checksums = "URL/tls/pulumi-tls_{version}_checksums.txt"
standin = "mesh_federation.toolchain.standins.tls"

[pieces.kubectl]
release = "kubernetes"
kind = "tool"
probe = ["version", "--client"]
official.url = "URL/v{version}/bin/{os}/{arch}/kubectl"
official.checksums = "URL/v{version}/bin/{os}/{arch}/kubectl.sha256"

[pieces.chart-base]
release = "istio"
kind = "chart"
chart = "base"
official.url = "URL/charts/base-{version}.tgz"
official.checksums = "URL/charts/index.yaml"
source.module = "istio"
source.package = "istio.io/istio"
source.path = "manifests/charts/base"

[pieces.etcd]
release = "kubernetes"
kind = "tool"
provisioners = ["kwok"]
official.url = "URL/etcd/etcd-v{version}-{os}-{arch}.tar.gz"
official.checksums = "URL/etcd/SHA256SUMS"

# Recorded on first use.
[checksums]
"""

KIND_PIECES = """
[pieces.kind]
release = "kubernetes"
kind = "tool"
provisioners = ["kind"]
probe = ["version"]
official.url = "URL/dl/v{version}/kind-{os}-{arch}"
official.checksums = "URL/dl/v{version}/kind-{os}-{arch}.sha256sum"
go.module = "engine"
go.package = "."

[pieces.metallb]
release = "istio"
kind = "manifest"
manifest = "metallb.yaml"
provisioners = ["kind"]
official.url = "URL/metallb/v{version}/config/manifests/metallb-native.yaml"
source.module = "metallb"
source.package = "example.org/metallb"
source.path = "config/manifests/metallb-native.yaml"

"""

K3D_PIECE = """
[pieces.k3d]
release = "kubernetes"
kind = "tool"
provisioners = ["k3d"]
probe = ["version"]
official.url = "URL/k3d/v{version}/k3d-{os}-{arch}"
official.checksums = "URL/k3d/v{version}/checksums.txt"
go.module = "engine"
go.package = "."

"""

ENGINE = "/sdk/pulumi-v3.9.1-linux-x64.tar.gz"
TLS = "/plugins/pulumi-resource-tls-v5.0.2-linux-amd64.tar.gz"
KUBECTL = "/v1.30.4/bin/linux/amd64/kubectl"
CHART = "/charts/base-1.29.3.tgz"
ETCD = "/etcd/etcd-v1.30.4-linux-amd64.tar.gz"
KIND = "/dl/v1.30.4/kind-linux-amd64"
K3D = "/k3d/v1.30.4/k3d-linux-amd64"
METALLB = "/metallb/v1.29.3/config/manifests/metallb-native.yaml"
MANIFEST = b"kind: Namespace\nmetadata: {name: metallb-system}\n" * 40


def kind_pins(url: str) -> str:
    """The pins with what only the provisioner kind needs, and the checksum that its manifest is held to."""
    pinned = f'"{url}{METALLB}" = "{hashlib.sha256(MANIFEST).hexdigest()}"\n'
    pieces, header, recorded = PINS.partition("# Recorded on first use.")
    return (pieces + KIND_PIECES + header + recorded).replace("URL", url) + pinned


def k3d_pins(url: str) -> str:
    """The pins with what only the provisioner k3d needs."""
    pieces, header, recorded = PINS.partition("# Recorded on first use.")
    return (pieces + K3D_PIECE + header + recorded).replace("URL", url)


def publish_all(publisher: Publisher) -> None:
    """Offer every piece, each in its publisher's own layout."""
    programs = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-language-go")
    engine = archive({f"pulumi/{name}": f"#!/bin/sh\necho {name}\n".encode() for name in programs})
    publisher.offer(ENGINE, engine, checksums="/sdk/pulumi-3.9.1-checksums.txt")
    tls = archive({"README.md": b"read me", "pulumi-resource-tls": b"tls plugin"})
    publisher.offer(TLS, tls, checksums="/tls/pulumi-tls_5.0.2_checksums.txt")
    kubectl = os.urandom(300_000)
    publisher.files[KUBECTL] = kubectl
    publisher.files[f"{KUBECTL}.sha256"] = hashlib.sha256(kubectl).hexdigest().encode()  # bare, as dl.k8s.io has it
    chart = archive({"base/Chart.yaml": b"name: base\nversion: 1.29.3\n", "base/files/crd.yaml": b"kind: CRD\n"})
    publisher.files[CHART] = chart
    index = (
        "apiVersion: v1\nentries:\n  base:\n  - version: 1.29.3\n"
        f"    digest: {hashlib.sha256(chart).hexdigest()}\n    urls: [base-1.29.3.tgz]\n"
    )
    publisher.files["/charts/index.yaml"] = index.encode()
    publisher.offer(ETCD, archive({"etcd-v1.30.4-linux-amd64/etcd": b"etcd"}), checksums="/etcd/SHA256SUMS")


def publish_for_kind(publisher: Publisher) -> None:
    """Offer every piece of the provisioner kind: a bare program, and a manifest that no list of checksums names."""
    publish_all(publisher)
    publisher.offer(KIND, os.urandom(300_000), checksums=f"{KIND}.sha256sum")
    publisher.files[METALLB] = MANIFEST


def publish_for_k3d(publisher: Publisher) -> None:
    """Offer every piece of the provisioner k3d; its list of checksums names files as they lay when it was written."""
    publish_all(publisher)
    publisher.files[K3D] = os.urandom(300_000)
    names = {K3D: "_dist/k3d-linux-amd64", "another": "_dist/k3d-linux-arm64"}
    lines = [f"{hashlib.sha256(publisher.files.get(path, b'')).hexdigest()}  {name}" for path, name in names.items()]
    publisher.files["/k3d/v1.30.4/checksums.txt"] = "\n".join(lines).encode()


def program(folder: Path, name: str, text: str) -> Path:
    """A shell script on a search path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def digest(content: bytes, algorithm: str = "sha256") -> str:
    """Its checksum, as lists of checksums write it."""
    return hashlib.new(algorithm, content).hexdigest()


Listing = Callable[[dict[str, bytes]], str]
"""A publisher's list of checksums, of files by name."""


def lines(files: dict[str, bytes]) -> str:
    """As `sha256sum` writes it."""
    return "".join(f"{digest(content)}  {name}\n" for name, content in files.items())


def sha1_lines(files: dict[str, bytes]) -> str:
    """As `shasum` writes it where nobody asks for another algorithm."""
    return "".join(f"{digest(content, 'sha1')}  ./{name}\n" for name, content in files.items())


def dist_lines(files: dict[str, bytes]) -> str:
    """As `sha256sum` writes it one folder up."""
    return "".join(f"{digest(content)}  _dist/{name}\n" for name, content in files.items())


def bare(files: dict[str, bytes]) -> str:
    """A digest and nothing else."""
    (content,) = files.values()
    return digest(content)


def github_release(files: dict[str, bytes]) -> str:
    """What GitHub's API tells of a release."""
    assets = [{"name": name, "digest": f"sha256:{digest(content)}"} for name, content in files.items()]
    return json.dumps({"tag_name": "v0", "assets": [{"name": "notes.txt", "digest": None}, *assets]}, indent=2)


def helm_index(files: dict[str, bytes]) -> str:
    """What `helm repo index` writes."""
    text = "apiVersion: v1\nentries:\n"
    for name, content in files.items():
        chart, _, version = name.removesuffix(".tgz").rpartition("-")
        text += f"  {chart}:\n  - apiVersion: v2\n    digest: {digest(content)}\n    name: {chart}\n"
        text += f"    urls:\n    - https://charts.example.org/moved/{name}\n    version: {version}\n"
    return text


@dataclass(frozen=True)
class Release:
    """Where a publisher really puts a file.

    Attributes:
        url: the file, for Linux on amd64.
        listed: its list of checksums, None where it has none.
        listing: how that is written.
        holds: what the archive holds; empty where the file is no archive.
    """

    url: str
    listed: str | None = None
    listing: Listing = lines
    holds: tuple[str, ...] = ()


_PULUMI = "https://get.pulumi.com/releases"
_KUBERNETES = "https://dl.k8s.io/v{version}/bin/linux/amd64"
_ISTIO = "https://blob.istio.io/istio-release/charts"
_GITHUB = "https://github.com"
_HOST = "pulumi-language-python"

# Written after the publishers' release scripts and what others download from them, never after pins.toml:
# what a publisher moves is a line here, and a red test until the pins follow.
LAYOUT = {
    "pulumi": Release(
        _PULUMI + "/sdk/pulumi-v{version}-linux-x64.tar.gz",
        _GITHUB + "/pulumi/pulumi/releases/download/v{version}/pulumi-{version}-checksums.txt",
        holds=("pulumi/pulumi", f"pulumi/{_HOST}", f"pulumi/{_HOST}-exec", "pulumi/pulumi-language-go"),
    ),
    "pulumi-resource-kubernetes": Release(
        _PULUMI + "/plugins/pulumi-resource-kubernetes-v{version}-linux-amd64.tar.gz",
        _GITHUB + "/pulumi/pulumi-kubernetes/releases/download/v{version}/pulumi-kubernetes_{version}_checksums.txt",
        holds=("LICENSE", "README.md", "pulumi-resource-kubernetes"),
    ),
    "pulumi-resource-command": Release(
        _PULUMI + "/plugins/pulumi-resource-command-v{version}-linux-amd64.tar.gz",
        _GITHUB + "/pulumi/pulumi-command/releases/download/v{version}/pulumi-command_{version}_checksums.txt",
        holds=("LICENSE", "README.md", "pulumi-resource-command"),
    ),
    "pulumi-resource-tls": Release(  # pulumi-tls_{version}_checksums.txt of its release holds SHA-1
        _PULUMI + "/plugins/pulumi-resource-tls-v{version}-linux-amd64.tar.gz",
        "https://api.github.com/repos/pulumi/pulumi-tls/releases/tags/v{version}",
        github_release,
        holds=("LICENSE", "README.md", "pulumi-resource-tls"),
    ),
    "helm": Release(
        "https://get.helm.sh/helm-v{version}-linux-amd64.tar.gz",
        "https://get.helm.sh/helm-v{version}-linux-amd64.tar.gz.sha256sum",
        holds=("linux-amd64/helm", "linux-amd64/LICENSE"),
    ),
    "etcd": Release(
        _GITHUB + "/etcd-io/etcd/releases/download/v{version}/etcd-v{version}-linux-amd64.tar.gz",
        _GITHUB + "/etcd-io/etcd/releases/download/v{version}/SHA256SUMS",
        holds=("etcd-v{version}-linux-amd64/etcd", "etcd-v{version}-linux-amd64/etcdctl"),
    ),
    "coredns": Release(
        _GITHUB + "/coredns/coredns/releases/download/v{version}/coredns_{version}_linux_amd64.tgz",
        _GITHUB + "/coredns/coredns/releases/download/v{version}/coredns_{version}_linux_amd64.tgz.sha256",
        holds=("coredns",),
    ),
    "kind": Release(
        "https://kind.sigs.k8s.io/dl/v{version}/kind-linux-amd64",
        "https://kind.sigs.k8s.io/dl/v{version}/kind-linux-amd64.sha256sum",
    ),
    "k3d": Release(
        _GITHUB + "/k3d-io/k3d/releases/download/v{version}/k3d-linux-amd64",
        _GITHUB + "/k3d-io/k3d/releases/download/v{version}/checksums.txt",
        dist_lines,
    ),
    "metallb": Release(
        "https://raw.githubusercontent.com/metallb/metallb/v{version}/config/manifests/metallb-native.yaml"
    ),
    "gateway-api": Release(_GITHUB + "/kubernetes-sigs/gateway-api/releases/download/v{version}/standard-install.yaml"),
    **{
        name: Release(f"{_KUBERNETES}/{name}", f"{_KUBERNETES}/{name}.sha256", bare)
        for name in ("kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    },
    **{
        f"chart-{name}": Release(
            f"{_ISTIO}/{name}-{{version}}.tgz", f"{_ISTIO}/index.yaml", helm_index, holds=(f"{name}/Chart.yaml",)
        )
        for name in ("base", "istiod", "gateway")
    },
    **{
        name: Release(
            f"{_GITHUB}/kubernetes-sigs/kwok/releases/download/v{{version}}/{name}-linux-amd64",
            "https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v{version}",
            github_release,
        )
        for name in ("kwok", "kwokctl")
    },
}
LAYOUT[_HOST] = LAYOUT["pulumi"]


_DOCKER_HUB = "https://registry-1.docker.io/v2/"

# Written after what charts, the sample and `docker pull` name, likewise.
IMAGES = {
    "image-pilot": _DOCKER_HUB + "istio/pilot/manifests/{version}",
    "image-proxyv2": _DOCKER_HUB + "istio/proxyv2/manifests/{version}",
    "image-httpbin": _DOCKER_HUB + "mccutchen/go-httpbin/manifests/v{version}",
    "image-curl": _DOCKER_HUB + "curlimages/curl/manifests/{version}",
}


def served(url: str) -> str:
    """Path under which the local server has what lies at a publisher's address."""
    return url.removeprefix("https:/")


def publish_releases(publisher: Publisher, versions: dict[str, str]) -> None:
    """Offer every release in its publisher's own layout, with its own kind of list; versions by piece."""
    lists: dict[tuple[str, Listing], dict[str, bytes]] = {}
    for piece, release in LAYOUT.items():
        words = {"version": versions[piece]}
        path = served(release.url.format(**words))
        names = [name.format(**words) for name in release.holds]
        content = archive({name: f"{piece}: {name}".encode() for name in names}) if names else piece.encode()
        publisher.files.setdefault(path, content)
        if release.listed:
            listed = lists.setdefault((served(release.listed.format(**words)), release.listing), {})
            listed[path.rsplit("/", 1)[-1]] = publisher.files[path]
    for (path, listing), files in lists.items():
        publisher.files[path] = listing(files).encode()
    for piece, url in IMAGES.items():
        _publish_image(publisher, served(url.format(version=versions[piece])), piece)


def _publish_image(publisher: Publisher, path: str, piece: str) -> None:
    """Offer an image of one layer at the path of its manifest, with no token asked for."""
    config, content = b"{}", archive({piece: b""})
    blobs = [{"mediaType": "", "digest": f"sha256:{digest(blob)}", "size": len(blob)} for blob in (config, content)]
    layer = {**blobs[1], "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
    publisher.files[path] = json.dumps({"config": blobs[0], "layers": [layer]}).encode()
    publisher.files[served(_DOCKER_HUB)] = b"{}"
    for blob in (config, content):
        publisher.files[f"{path.split('/manifests/')[0]}/blobs/sha256:{digest(blob)}"] = blob
