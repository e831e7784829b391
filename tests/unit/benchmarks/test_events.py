import json
from pathlib import Path

import pytest

from benchmarks.events import Event, Span, kubernetes_objects, phase_of, phases, read
from benchmarks.follow import following

FEDERATION = "urn:pulumi:simulated::mesh-federation::mesh-federation:index:Federation"


def urn(chain: str, name: str = "east") -> str:
    return f"{FEDERATION}${chain}::{name}"


CREATE = urn("mesh-federation:index:Cluster$command:local:Command", "east-create")
ROOT = urn("mesh-federation:index:CertificateAuthority$tls:index/privateKey:PrivateKey")
ISTIOD = urn("mesh-federation:index:IstioInstall$kubernetes:apps/v1:Deployment", "east:istio-system/istiod")
SERVICE = urn("mesh-federation:index:Gateway$kubernetes:core/v1:Service")
LISTENER = urn("mesh-federation:index:Export$kubernetes:networking.istio.io/v1:Gateway")
ENTRY = urn("mesh-federation:index:Import$kubernetes:networking.istio.io/v1:ServiceEntry")
SLEEP = urn("mesh-federation:index:Sample$kubernetes:apps/v1:Deployment")
NAMESPACE = urn("kubernetes:core/v1:Namespace", "east:sleep")


@pytest.mark.parametrize(
    ("resource", "phase"),
    [
        (CREATE, "clusters"),
        (ROOT, "trust"),
        (ISTIOD, "Istio"),
        (SERVICE, "gateways"),
        (LISTENER, "links"),
        (ENTRY, "links"),
        (SLEEP, "workloads"),
        (NAMESPACE, None),
        (FEDERATION + "::federation", None),
        (urn("mesh-federation:index:Cluster"), None),
        (urn("mesh-federation:index:Cluster$pulumi:providers:kubernetes"), None),
        ("urn:pulumi:simulated::mesh-federation::pulumi:pulumi:Stack::mesh-federation-simulated", None),
    ],
)
def test_a_resource_belongs_to_the_phase_of_the_component_that_it_is_in(resource: str, phase: str | None) -> None:
    assert phase_of(resource) == phase


def test_a_phase_lasts_from_its_first_start_to_its_last_end_and_phases_may_overlap() -> None:
    events = [
        Event(1.0, True, CREATE),
        Event(1.5, True, ROOT),
        Event(2.0, False, ROOT),
        Event(7.0, False, CREATE),
        Event(7.0, True, ISTIOD),
        Event(7.5, True, NAMESPACE),
        Event(7.6, False, NAMESPACE),
        Event(9.0, False, ISTIOD),
        Event(9.0, True, SLEEP),
        Event(10.0, False, SLEEP),
    ]
    found = phases(events)
    assert found == {
        "clusters": Span(1.0, 7.0),
        "trust": Span(1.5, 2.0),
        "Istio": Span(7.0, 9.0),
        "workloads": Span(9.0, 10.0),
    }
    assert list(found) == ["clusters", "trust", "Istio", "workloads"]
    assert found["workloads"].seconds == pytest.approx(1.0)


def test_a_phase_that_never_ended_has_no_span() -> None:
    assert phases([Event(1.0, True, CREATE)]) == {}


def test_objects_of_kubernetes_are_counted_once_and_nothing_else_is() -> None:
    events = [Event(1.0, begins, each) for begins in (True, False) for each in (CREATE, ROOT, SERVICE, ISTIOD)]
    assert kubernetes_objects(events) == sorted([SERVICE, ISTIOD])


def line(kind: str, resource: str) -> str:
    return json.dumps({"sequence": 3, "timestamp": 1, kind: {"metadata": {"op": "create", "urn": resource}}})


def test_only_starts_and_ends_of_resources_are_read() -> None:
    assert read(line("resourcePreEvent", CREATE), 1.5) == Event(1.5, True, CREATE)
    assert read(line("resOutputsEvent", CREATE), 2.5) == Event(2.5, False, CREATE)
    assert read('{"sequence": 0, "timestamp": 1, "cancelEvent": {}}', 3.0) is None


def test_lines_are_read_whole_however_they_arrive_and_none_is_lost(tmp_path: Path) -> None:
    log = tmp_path / "events"
    begun, ended = line("resourcePreEvent", CREATE) + "\n", line("resOutputsEvent", CREATE) + "\n"
    with following(log) as seen, log.open("a", encoding="utf-8") as writer:
        for part in (begun[:20], begun[20:] + ended[:5], ended[5:]):
            writer.write(part)
            writer.flush()
    assert [(event.begins, event.urn) for event in seen] == [(True, CREATE), (False, CREATE)]
