"""Definitions on a real API server: applied, left to those who made them, and looked for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from mesh_federation import document
from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.clusters.settings import ClusterSpec, ProviderSettings
from mesh_federation.jobs.crds import CrdsSettings
from mesh_federation.stack.config import Cluster
from mesh_federation.toolchain.install import Toolchain
from tests.checkout import Checkout, Result, checkout

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

GATEWAYS = "gateways.gateway.networking.k8s.io"
BUNDLE, CHANNEL = "gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel"
GATEWAY: dict[str, object] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "public", "namespace": "default"},
    "spec": {"defaultScope": "All"},
}
BARE = ProviderSettings(
    "bare",
    "bare",
    "test",
    label="",
    spec=ClusterSpec(
        pod_subnet=str(Cluster().pod_subnet),
        service_subnet=str(Cluster().service_subnet),
        nodes=1,
        kubernetes_version=Cluster().kubernetes_version,
    ),
)


@pytest.fixture(scope="module")
def bare(toolchain: Toolchain) -> Iterator[Checkout]:
    """A checkout with one cluster that nothing was installed in."""
    with checkout(toolchain) as made:
        done = script(made, "kwok", "create", settings=BARE)
        assert done.code == 0, done.text
        yield made
        script(made, "kwok", "delete", settings=BARE)


def script(one: Checkout, module: str, *action: str, settings: "DataclassInstance", stdin: str = "") -> Result:
    """Run a job as a Command resource does."""
    one.home.mkdir(exist_ok=True)
    file = one.home / "stdin"
    file.write_text(stdin, encoding="utf-8")
    command = " ".join([one.python, "-m", "mesh_federation.jobs", module, *action, "<", str(file)])
    return one.run(["sh", "-c", command], one.environment() | {document.VARIABLE: document.write(settings)})


def kubeconfig(one: Checkout) -> Path:
    return one.home / "clusters" / "bare" / "kubeconfig"


def kubectl(one: Checkout, *arguments: str) -> Result:
    return one.kubectl("", *arguments, kubeconfig=kubeconfig(one))


def definitions(one: Checkout, *action: str, file: str = "gateway-api.yaml", needed: str = "") -> Result:
    kinds = tuple(needed.split(", ")) if needed else ()
    settings = CrdsSettings("bare", "MESH_MANIFESTS", file, "Gateway API", "", kinds)
    return script(one, "crds", *action, stdin=kubeconfig(one).read_text(encoding="utf-8"), settings=settings)


def minimal(plural: str, kind: str, versions: list[str], release: str, channel: str) -> dict[str, object]:
    """A definition that takes any field."""
    group = "gateway.networking.k8s.io"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {
                BUNDLE: release, CHANNEL: channel,
                "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2466",
            },
        },
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [
                {"name": version, "served": True, "storage": version == versions[0], "schema": schema}
                for version in versions
            ],
        },
    }  # fmt: skip


def install(one: Checkout, *bodies: dict[str, object]) -> None:
    """Be somebody else who installs definitions."""
    file = one.home / "theirs.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}), encoding="utf-8")
    done = kubectl(one, "apply", f"--filename={file}")
    assert done.code == 0, done.text


def seen(one: Checkout, *what: str) -> dict[str, object]:
    done = kubectl(one, "get", *what, "--output=json")
    assert done.code == 0, done.text
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def free(bare: Checkout) -> Iterator[Checkout]:
    """The cluster without any definitions."""
    yield bare
    done = kubectl(bare, "delete", "customresourcedefinitions", "--all")
    assert done.code == 0, done.text


def test_a_newer_bundle_of_another_channel_stays_with_the_objects_that_use_it(free: Checkout) -> None:
    install(free, minimal("gateways", "Gateway", ["v1", "v1beta1"], "v1.7.0", "experimental"))
    kubectl(free, "wait", "--for=condition=Established", f"crd/{GATEWAYS}")
    install(free, GATEWAY)
    before = seen(free, "crd", GATEWAYS)
    done = definitions(free, needed="gateway.networking.k8s.io/v1 Gateway")
    assert done.code == 0, done.text
    assert "Gateway API v1.7.0, experimental" in done.stderr and "left alone" in done.stderr
    assert seen(free, "crd", GATEWAYS) == before
    assert seen(free, "gateways", "public")["spec"] == {"defaultScope": "All"}
    assert definitions(free, "look", needed="gateway.networking.k8s.io/v1 Gateway").code == 0


def test_an_older_bundle_that_lacks_what_is_needed_is_refused_and_stays(free: Checkout) -> None:
    install(free, minimal("gateways", "Gateway", ["v1beta1"], "v0.8.0", "standard"))
    before = seen(free, "crd", GATEWAYS)
    done = definitions(free, needed="gateway.networking.k8s.io/v1 Gateway, gateway.networking.k8s.io/v1 TLSRoute")
    assert done.code == 1
    assert "Gateway (gateway.networking.k8s.io/v1), TLSRoute (gateway.networking.k8s.io/v1)" in done.stderr
    assert seen(free, "crd", GATEWAYS) == before


def test_definitions_of_istio_of_others_must_serve_all_that_istiod_reads(free: Checkout) -> None:
    file = Path(free.environment()["MESH_CHARTS"]) / "base" / "files" / "crd-all.gen.yaml"
    bodies = [each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each]
    install(free, *bodies)
    done = definitions(free, file=str(file))
    assert done.code == 0, done.text
    assert "by kubectl-client-side-apply" in done.stderr
    assert kubectl(free, "delete", "crd", "serviceentries.networking.istio.io").code == 0
    done = definitions(free, file=str(file))
    assert (done.code, "ServiceEntry (networking.istio.io/v1)" in done.stderr) == (1, True), done.text


def test_definitions_of_this_program_are_upgraded_and_missed(free: Checkout) -> None:
    assert definitions(free, "look").code == GONE
    for _ in range(2):
        done = definitions(free)
        assert (done.code, done.stderr) == (0, "")
    assert definitions(free, "look").code == 0
    assert kubectl(free, "delete", "crd", GATEWAYS).code == 0
    assert definitions(free, "look").code == GONE


def test_what_others_apply_over_definitions_of_this_program_is_theirs(free: Checkout) -> None:
    assert definitions(free).code == 0
    theirs = minimal("gateways", "Gateway", ["v1", "v1beta1"], "v1.7.0", "experimental")
    file = free.home / "theirs.json"
    file.write_text(json.dumps(theirs), encoding="utf-8")
    done = kubectl(free, "apply", "--server-side", "--force-conflicts", f"--filename={file}")
    assert done.code == 0, done.text
    before = seen(free, "crd", GATEWAYS)
    done = definitions(free, needed="gateway.networking.k8s.io/v1 Gateway")
    assert (done.code, "left alone" in done.stderr) == (0, True), done.text
    assert seen(free, "crd", GATEWAYS) == before
