"""Istio's charts, rendered to objects, so that a preview shows each of them and an upgrade every change.

A Helm release would show one line, and one killed half-way cannot be repeated (docs/decisions.md).
"""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pulumi
import yaml

from mesh_federation import process
from mesh_federation.manifests import published, render_cache
from mesh_federation.manifests.render_cache import RenderCache
from mesh_federation.plan.istio_values import EGRESS, GATEWAY, OWN_GATEWAY
from mesh_federation.plan.objects import Body

Key = TypeVar("Key")

CHARTS = (
    "-> set the release, istio.version or clusters.X.istio.version, to one whose charts are at hand, or istio.charts to"
    " a folder that holds its base, istiod and gateway; {version} in that path stands for the release"
)

VALUES = {"istiod": "values", GATEWAY: "gatewayValues", OWN_GATEWAY: "gatewayValues", EGRESS: "egressValues"}
"""Keys below `istio` in the stack file whose values are merged over those of a release."""


@dataclass(frozen=True)
class Chart:
    """A chart with its values.

    Attributes:
        name: base, istiod or gateway.
        release: name that objects are named after.
        namespace: of the release.
        folder: of the charts.
        version: Istio release that they must be of.
        kubernetes_version: that it is rendered for.
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
        pulumi.RunError: the toolchain's charts are not installed.
    """
    if charts != "official":
        return Path(charts.replace("{version}", version)).expanduser()
    if "MESH_CHARTS" not in os.environ:
        raise pulumi.RunError('Istio\'s charts are not at hand.\n-> run `./mesh install`, then eval "$(./mesh env)"')
    return Path(os.environ["MESH_CHARTS"])


def definitions(folder: Path) -> Path:
    """Return the file with Istio's custom resource definitions in a folder of charts."""
    return folder / "base" / "files" / "crd-all.gen.yaml"


def render(charts: Mapping[Key, Chart], cache: RenderCache) -> dict[Key, list[Body]]:
    """Render charts side by side, each to its objects in the order in which Helm would install them.

    Args:
        charts: by any key.
        cache: of charts that were rendered before.
    """
    with ThreadPoolExecutor() as pool:
        return dict(zip(charts, pool.map(partial(_rendered, cache), charts.values()), strict=True))


def _rendered(cache: RenderCache, chart: Chart) -> list[Body]:
    """Return the objects of a chart, from the cache if nothing changed that they come from."""
    _refuse_other_release(chart)
    known = (chart.release, chart.namespace, chart.kubernetes_version, json.dumps(chart.values, sort_keys=True))
    key = render_cache.key(chart.folder / chart.name, *known)
    found = cache.get(key)
    if found is None:
        found = _render(chart)
        cache.put(key, found)
    return found


def _render(chart: Chart) -> list[Body]:
    command = ["helm", "template", chart.release, str(chart.folder / chart.name), f"--namespace={chart.namespace}"]
    command += [f"--kube-version={chart.kubernetes_version}", "--values=-"]
    values = json.dumps(chart.values)
    try:
        done = process.run(command, stdin=values)
    except process.ProgramMissing as missing:
        raise pulumi.RunError('helm is not on PATH.\n-> run `eval "$(./mesh env)"` in this shell') from missing
    if done.returncode:
        key = VALUES.get(chart.release)
        fix = f"\n-> look at istio.{key} and clusters.X.istio.{key} in the stack file" if key else ""
        raise pulumi.RunError(f"chart {chart.folder / chart.name} cannot be rendered:\n{done.stderr.strip()}{fix}")
    documents = yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
    return [_normalized(document) for document in documents if document and document["kind"] != published.DEFINITION]


def _refuse_other_release(chart: Chart) -> None:
    """Refuse charts of another release: they would install another Istio than the stack file names."""
    try:
        about = yaml.safe_load((chart.folder / chart.name / "Chart.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        raise pulumi.RunError(f"no chart {chart.name} in {chart.folder} ({error.strerror}).\n{CHARTS}") from error
    found = str(about["version"])
    if found != chart.version and not found.startswith(f"{chart.version}-"):
        raise pulumi.RunError(f"{chart.folder / chart.name} is of Istio {found}, not {chart.version}.\n{CHARTS}")


def _normalized(body: Body) -> Body:
    """Declare what the chart leaves to Helm or to the running istiod, so that no object changes without the engine."""
    if body["kind"] == "ValidatingWebhookConfiguration":
        # istiod turns Ignore into Fail as soon as it runs, and a server-side apply would conflict over it.
        webhooks = body["webhooks"]
        assert isinstance(webhooks, list)
        body["webhooks"] = [{**webhook, "failurePolicy": "Fail"} for webhook in webhooks]
    return body
