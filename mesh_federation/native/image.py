"""Images of containers: what a pod asks for by name, and where this machine has it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_REGISTRY = "docker.io"
PROXY = "docker.io/istio/proxyv2"
ENVOY = "/usr/local/bin/envoy"


@dataclass(frozen=True)
class Image:
    """What a container is started from.

    Attributes:
        root: folder with the unpacked files of a released image; empty for this machine's own /usr, read-only.
        files: files of this machine by their path in the container, read-only; they hide those of `root`.
        entrypoint: of the image, which a pod's `command` replaces.
        arguments: of the image (CMD), which a pod's `command` or `args` replace.
        environment: variables that the image sets.
        user: id that the container runs as, unless its pod says otherwise.
        group: likewise.
    """

    root: str
    files: Mapping[str, str]
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    user: int
    group: int


@dataclass(frozen=True)
class ImageTable:
    """All images that this machine has, by repository, written in full: `docker.io/istio/proxyv2`."""

    images: Mapping[str, Image]

    def find(self, reference: str) -> Image | None:
        """Return the image of a reference; None if this machine has none of that repository.

        Tags and digests are not compared: the toolchain pins which release each repository stands for.
        """
        return self.images.get(repository(reference))

    @property
    def has_istios_envoy(self) -> bool:
        """Whether proxies run Istio's own Envoy, of the released image.

        Upstream Envoy, which an image that is put together has, lacks Istio's extensions: istio_stats (telemetry),
        metadata exchange, and the ALPN filter. A proxy that is told to use one of them never becomes ready.
        """
        proxy = self.images.get(PROXY)
        return proxy is not None and bool(proxy.root) and ENVOY not in proxy.files


def repository(reference: str) -> str:
    """Return the repository of an image reference in full, as Docker reads it: no registry means Docker Hub."""
    name = re.sub(r":[^:/]*$", "", reference.split("@")[0])
    first, slash, _ = name.partition("/")
    has_registry = slash and ("." in first or ":" in first or first == "localhost")
    if has_registry:
        return name
    return f"{DEFAULT_REGISTRY}/{name if slash else f'library/{name}'}"
