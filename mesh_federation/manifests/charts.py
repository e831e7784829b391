"""Renders Istio's charts to bodies, so that a preview shows every object and an upgrade every change.

A Helm release would show one line, and one killed half-way cannot be repeated (docs/decisions.md).
"""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pulumi
import yaml

from mesh_federation import process
from mesh_federation.plan.istio_values import EGRESS, GATEWAY
from mesh_federation.resources import crds
from mesh_federation.resources.objects import Body

CHARTS = (
    "-> set istio.version to a release whose charts are at hand, or istio.charts to a folder that holds its base, "
    "istiod and gateway; {version} in that path stands for the release"
)

VALUES = {"istiod": "istio.values", GATEWAY: "istio.gatewayValues", EGRESS: "istio.egressValues"}
"""Keys of the stack file whose values are laid over those of a release."""


@dataclass(frozen=True)
class Chart:
    """A chart with its values.

    Attributes:
        name: base, istiod or gateway.
        release: name that objects are named after.
        namespace: of the release.
        folder: where the charts are.
        version: Istio release that they must be of.
        kubernetes_version: what it is rendered for.
        values: handed to Helm as JSON: YAML would turn a value `n` into false.
    """

    name: str
    release: str
    namespace: str
    folder: Path
    version: str
    kubernetes_version: str
    values: Mapping[str, object]


def folder(charts: str, version: str) -> Path:
    """Return the folder of the charts that the stack file asks for.

    Args:
        charts: `official`, or a path in which `{version}` stands for the Istio release.
        version: Istio release of the cluster.

    Raises:
        pulumi.RunError: the toolchain's charts are not known here.
    """
    if charts != "official":
        return Path(charts.replace("{version}", version)).expanduser()
    if "MESH_CHARTS" not in os.environ:
        raise pulumi.RunError('Istio\'s charts are not at hand.\n-> run `./mesh install`, then eval "$(./mesh env)"')
    return Path(os.environ["MESH_CHARTS"])


def render(charts: Sequence[Chart]) -> list[list[Body]]:
    """Render charts side by side, each to its objects in the order in which Helm would install them."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_render, charts))


def _render(chart: Chart) -> list[Body]:
    _refuse_other_release(chart)
    command = ["helm", "template", chart.release, str(chart.folder / chart.name), f"--namespace={chart.namespace}"]
    command += [f"--kube-version={chart.kubernetes_version}", "--values=-"]
    values = json.dumps(chart.values)
    try:
        done = process.run(command, stdin=values)
    except process.ProgramMissing as missing:
        raise pulumi.RunError('helm is not on PATH.\n-> run `eval "$(./mesh env)"` in this shell') from missing
    if done.returncode:
        fix = f"\n-> look at {VALUES[chart.release]} in the stack file" if chart.release in VALUES else ""
        raise pulumi.RunError(f"chart {chart.folder / chart.name} cannot be rendered:\n{done.stderr.strip()}{fix}")
    documents = yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
    return [_settled(document) for document in documents if document and document["kind"] != crds.KIND]


def _refuse_other_release(chart: Chart) -> None:
    """Charts of another release would install another Istio than the stack file says."""
    try:
        about = yaml.safe_load((chart.folder / chart.name / "Chart.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        raise pulumi.RunError(f"no chart {chart.name} in {chart.folder} ({error.strerror}).\n{CHARTS}") from error
    found = str(about["version"])
    if found != chart.version and not found.startswith(f"{chart.version}-"):
        raise pulumi.RunError(f"{chart.folder / chart.name} is of Istio {found}, not {chart.version}.\n{CHARTS}")


def _settled(body: dict[str, object]) -> Body:
    """Say what the chart leaves to Helm or to the running istiod, so that nothing changes behind the engine's back."""
    if body["kind"] == "ValidatingWebhookConfiguration":
        # istiod turns Ignore into Fail as soon as it runs, and a server-side apply would conflict over it.
        webhooks = body["webhooks"]
        assert isinstance(webhooks, list)
        body["webhooks"] = [{**webhook, "failurePolicy": "Fail"} for webhook in webhooks]
    return body
