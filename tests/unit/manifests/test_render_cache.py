"""Charts are rendered again only if something changed that they are rendered from."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.manifests.charts import Chart, render
from mesh_federation.manifests.render_cache import MOST, RenderCache

HELM = """#!/bin/sh
cat >/dev/null
echo "$3" >>{runs}
printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {{name: %s, labels: {{n: "%s"}}}}\\n' "$2" "$(wc -l <{runs})"
"""


@pytest.fixture
def chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chart:
    """A chart, and a Helm that counts its runs and renders something else each time."""
    folder = tmp_path / "charts"
    (folder / "istiod" / "templates").mkdir(parents=True)
    (folder / "istiod" / "Chart.yaml").write_text("name: istiod\nversion: 1.31.0\n", encoding="utf-8")
    (folder / "istiod" / "templates" / "a.yaml").write_text("a: 1\n", encoding="utf-8")
    helm = tmp_path / "bin" / "helm"
    helm.parent.mkdir()
    helm.write_text(HELM.format(runs=tmp_path / "runs"), encoding="utf-8")
    helm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helm.parent}{os.pathsep}{os.environ['PATH']}")
    return Chart("istiod", "istiod", "istio-system", folder, "1.31.0", "1.34.4", {"a": {"b": 1}})


@pytest.fixture
def cache(tmp_path: Path) -> RenderCache:
    return RenderCache(tmp_path / "rendered")


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text(encoding="utf-8").splitlines())


def test_an_unchanged_chart_is_rendered_once(chart: Chart, cache: RenderCache, tmp_path: Path) -> None:
    first = render({"a": chart}, cache)
    again = render({"a": replace(chart, values={"a": {"b": 1}})}, cache)
    assert first == again and runs(tmp_path) == 1


CHANGES: dict[str, Callable[[Chart], Chart]] = {
    "values": lambda chart: replace(chart, values={"a": {"b": 2}}),
    "release": lambda chart: replace(chart, release="istiod-canary"),
    "namespace": lambda chart: replace(chart, namespace="istio"),
    "release of Kubernetes": lambda chart: replace(chart, kubernetes_version="1.33.0"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_it_is_rendered_from_renders_it_again(
    chart: Chart, cache: RenderCache, tmp_path: Path, change: Callable[[Chart], Chart]
) -> None:
    assert render({"a": chart}, cache) != render({"a": change(chart)}, cache)
    assert runs(tmp_path) == 2


@pytest.mark.parametrize("name", ["templates/a.yaml", "templates/new.yaml", "values.yaml"])
def test_a_change_of_a_file_of_the_chart_renders_it_again(
    chart: Chart, cache: RenderCache, tmp_path: Path, name: str
) -> None:
    render({"a": chart}, cache)
    (chart.folder / "istiod" / name).write_text("a: 2\n", encoding="utf-8")
    render({"a": chart}, cache)
    assert runs(tmp_path) == 2


def test_another_helm_renders_it_again(chart: Chart, cache: RenderCache, tmp_path: Path) -> None:
    render({"a": chart}, cache)
    helm = tmp_path / "bin" / "helm"
    helm.write_text(helm.read_text(encoding="utf-8") + "# another\n", encoding="utf-8")
    render({"a": chart}, cache)
    assert runs(tmp_path) == 2


@pytest.mark.parametrize("content", ["", "{", "null", '{"a": 1}'])
def test_a_damaged_file_is_rendered_again(chart: Chart, cache: RenderCache, tmp_path: Path, content: str) -> None:
    render({"a": chart}, cache)
    [file] = cache.folder.iterdir()
    file.write_text(content, encoding="utf-8")
    assert render({"a": chart}, cache)["a"][0]["kind"] == "ConfigMap"
    assert runs(tmp_path) == 2


def test_a_folder_that_cannot_be_written_fails_nothing(chart: Chart, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert render({"a": chart}, RenderCache(tmp_path / "file" / "rendered"))["a"]


def test_what_is_kept_can_be_read_by_its_owner_alone_and_is_bounded(
    chart: Chart, cache: RenderCache, tmp_path: Path
) -> None:
    render({number: replace(chart, values={"n": number}) for number in range(MOST + 3)}, cache)
    files = list(cache.folder.iterdir())
    assert len(files) <= MOST
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
