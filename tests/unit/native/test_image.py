"""Which image of this machine a pod's image reference means."""

import pytest

from mesh_federation.native.image import Image, ImageTable, repository

PROXY = Image("", {}, ("/usr/local/bin/pilot-agent",), (), {}, 1337, 1337)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.29", "docker.io/library/nginx"),
        ("istio/proxyv2:1.31.0", "docker.io/istio/proxyv2"),
        ("docker.io/istio/proxyv2:1.31.0", "docker.io/istio/proxyv2"),
        ("docker.io/istio/proxyv2@sha256:0123", "docker.io/istio/proxyv2"),
        ("docker.io/istio/proxyv2:1.31.0@sha256:0123", "docker.io/istio/proxyv2"),
        ("localhost:5000/own/app:2", "localhost:5000/own/app"),
        ("localhost/app", "localhost/app"),
        ("registry.example/app", "registry.example/app"),
    ],
)
def test_a_reference_names_its_repository_as_docker_reads_it(reference: str, expected: str) -> None:
    assert repository(reference) == expected


def test_an_image_is_found_whatever_its_tag() -> None:
    table = ImageTable({"docker.io/istio/proxyv2": PROXY})
    assert table.find("istio/proxyv2:1.31.0-debug") is PROXY
    assert table.find("istio/pilot:1.31.0") is None


@pytest.mark.parametrize(
    ("root", "files", "expected"),
    [
        ("/cache/root", {}, True),
        ("", {"/usr/local/bin/envoy": "/bin/envoy"}, False),
        ("/cache/root", {"/usr/local/bin/envoy": "/bin/envoy"}, False),
    ],
    ids=["released", "put-together", "hidden"],
)
def test_istios_envoy_is_that_of_the_released_image_unless_a_file_hides_it(
    root: str, files: dict[str, str], expected: bool
) -> None:
    table = ImageTable({"docker.io/istio/proxyv2": Image(root, files, (), (), {}, 0, 0)})
    assert table.has_istios_envoy is expected


def test_without_the_proxys_image_there_is_no_envoy_of_istio() -> None:
    assert not ImageTable({}).has_istios_envoy
