"""What the agent makes of pods, against a table that a real kubelet must agree with."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from tests.engine.native.conftest import PodCluster

POD = "pod"


class PodCase(BaseModel):
    """A row of the table; the file says what its keys mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str
    rule: str
    pod: dict[str, object]
    objects: list[dict[str, object]] = []
    labels: dict[str, str] = {}
    wait: list[str]
    status: dict[str, str] = {}
    logs: dict[str, list[str]] = {}
    events: list[str] = []
    native: bool = False


TABLE = [
    PodCase.model_validate(row)
    for row in yaml.safe_load((Path(__file__).parent / "pods" / "table.yaml").read_text(encoding="utf-8"))
]


@pytest.fixture(scope="module")
def applied(cluster: PodCluster) -> PodCluster:
    """Create all pods of the table at once, so that they wait side by side."""
    cases = [case for case in TABLE if cluster.native or not case.native]
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": case.case}} for case in cases]
    cluster.output("apply", "-f", "-", stdin=yaml.safe_dump_all(namespaces))
    for case in cases:
        cluster.wait(case.case, "serviceaccount/default", "create")
    cluster.output("apply", "-f", "-", stdin=yaml.safe_dump_all([item for case in cases for item in _objects(case)]))
    return cluster


def _objects(case: PodCase) -> list[Mapping[str, object]]:
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": _with_loaded_images(case.pod),
           "metadata": {"name": POD, "namespace": case.case, "labels": case.labels}}  # fmt: skip
    return [*({**item, "metadata": {**_metadata(item), "namespace": case.case}} for item in case.objects), pod]


def _with_loaded_images(spec: Mapping[str, object]) -> Mapping[str, object]:
    """Take images from the node if they are there: a cluster to compare with may reach no registry."""
    kinds = {key: value for key, value in spec.items() if isinstance(value, list) and "ontainers" in key}
    loaded = {key: [{"imagePullPolicy": "IfNotPresent", **each} for each in value] for key, value in kinds.items()}
    return {**spec, **loaded}


def _metadata(item: Mapping[str, object]) -> Mapping[str, object]:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    return metadata


@pytest.mark.parametrize("case", TABLE, ids=[case.case for case in TABLE])
def test_a_pod_becomes_what_a_kubelet_makes_of_it(applied: PodCluster, case: PodCase) -> None:
    if case.native and not applied.native:
        pytest.skip("a real kubelet has what the agent refuses")
    for condition in case.wait:
        applied.wait(case.case, f"pod/{POD}", condition)
    found = {path: applied.output("get", "pod", POD, "-n", case.case, "-o", f"jsonpath={path}") for path in case.status}
    assert found == case.status, case.rule
    for container, patterns in case.logs.items():
        text = applied.output("logs", POD, "-n", case.case, "-c", container)
        position = 0
        for pattern in patterns:
            match = re.compile(pattern, re.MULTILINE).search(text, position)
            assert match, f"{case.rule}: nothing matches {pattern} from here:\n{text[position:]}"
            position = match.end()
    for reason in case.events:
        watch = ("get", "events", "-n", case.case, "--watch", "-o", "custom-columns=REASON:.reason", "--no-headers")
        assert reason in applied.lines(*watch, until=reason), f"{case.rule}: no event {reason}"
