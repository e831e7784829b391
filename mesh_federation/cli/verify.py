"""`mesh verify`: looks at a federation that is up, and proves that it is what the stack file says."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import ValidationError
from rich.console import Console

from mesh_federation.engine.clusters import reach
from mesh_federation.engine.pulumi import Engine, EngineError
from mesh_federation.engine.step import Step
from mesh_federation.plan.federation import ClusterPlan, plan
from mesh_federation.plan.istio_values import NAMESPACE
from mesh_federation.stack.config import Federation
from mesh_federation.verify.catalogue import catalogue, chosen, drills, unknown
from mesh_federation.verify.check import Check
from mesh_federation.verify.cluster import Cluster
from mesh_federation.verify.context import ClusterUnderTest, Context, Outputs
from mesh_federation.verify.reports import junit, text
from mesh_federation.verify.reports.report import Report, entry, report
from mesh_federation.verify.runner import Result, run, run_one
from mesh_federation.verify.verdict import Inconclusive

PAUSE = 10
"""Seconds between two rounds of a watch."""


class NotUp(Exception):
    """There is nothing to verify; the text says why."""


class UnknownChecks(Exception):
    """A person names checks that there are not.

    Attributes:
        known: those that there are.
    """

    def __init__(self, named: Sequence[str], known: Sequence[str]) -> None:
        """Say which, and keep what there is."""
        super().__init__(f"no check goes by {', '.join(named)}")
        self.known = known


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Attributes:
        only: checks, groups or places in the stack file; all checks when empty.
        form: what the report is written as: text, json, junit or html.
        drill: also run those checks that take pods away.
        watch: go on until Ctrl-C.
        warning: how long before its end an authority is complained of.
    """

    only: tuple[str, ...]
    form: StrEnum
    drill: bool
    watch: bool
    warning: timedelta


def verify(engine: Engine, federation: Federation, asked: Asked, out: Console, progress: Console) -> int:
    """Run the checks that are asked for, and write the report.

    Args:
        engine: of the stack.
        federation: what it declares.
        asked: what to check and how to tell.
        out: the report goes here.
        progress: where a line a check goes, unless the report itself is made of them.

    Returns:
        0 when all that apply passed, 1 when one failed, 2 when one could not run.

    Raises:
        NotUp: there is nothing to look at.
        UnknownChecks: a check is asked for that there is not.
    """
    wanted = checks(engine, scene(engine, federation), asked)
    engine.open()
    lines = out if asked.form == "text" else progress
    made = _round(engine.stack, wanted, lines)
    _write(made, federation, asked.form, out)
    while asked.watch:
        time.sleep(PAUSE)
        before = {(each.id, each.proves): each.status for each in made.results}
        made = _round(engine.stack, checks(engine, scene(engine, federation), asked), None)
        changed = [each for each in made.results if before.get((each.id, each.proves)) is not each.status]
        for each in changed:
            lines.print(text.line(each), soft_wrap=True)
        if changed:
            _write(made, federation, asked.form, out)
    return made.code


def scene(engine: Engine, federation: Federation) -> Context:
    """Put the plan of a stack beside what its last `up` left.

    Raises:
        NotUp: nothing was brought up, or by another release of this program, or other clusters.
        EngineError: the state cannot be read.
    """
    if not engine.exists():
        raise NotUp("nothing of it is up")
    if any(cluster.is_existing for cluster in federation.clusters.values()):
        reach(engine, federation, lambda line: None)
    told = engine.ask("stack", "output", "--json", f"--stack={engine.stack}")
    try:
        outputs = Outputs.model_validate_json(told)
    except ValidationError:
        raise NotUp("it was never brought up to its end, or by another release of this program") from None
    planned = plan(federation, engine.stack).clusters
    if lacking := sorted(set(planned) - set(outputs.clusters)):
        raise NotUp(f"{', '.join(lacking)} is declared and was never brought up")
    uids = engine.recorded_uids(NAMESPACE)
    return Context(federation, {name: _site(engine, outputs, each, uids) for name, each in planned.items()})


def _site(engine: Engine, outputs: Outputs, planned: ClusterPlan, uids: Mapping[str, str]) -> ClusterUnderTest:
    running, trust = outputs.clusters[planned.name], outputs.trust[planned.name]
    home = engine.workspace.home
    peoples, scripts = home / running.kubeconfig, home / "clusters" / running.name / "kubeconfig"
    first, *others = (Cluster(planned.name, file, engine.environment) for file in (peoples, scripts))
    there = [other for other in others if other.kubeconfig.exists()]
    return ClusterUnderTest(planned, running, trust, first, (first, *there), uids.get(planned.name, ""))


def checks(engine: Engine, seen: Context, asked: Asked) -> list[Check]:
    """Return the checks that a person asks for.

    Raises:
        UnknownChecks: one of them is none.
    """
    every = [*catalogue(seen, lambda: changes(engine), asked.warning), *(drills(seen) if asked.drill else [])]
    if strange := unknown(every, asked.only):
        raise UnknownChecks(strange, sorted({known for each in every for known in (each.id, each.group)}))
    return chosen(every, asked.only)


def changes(engine: Engine) -> list[Step]:
    """Ask the engine what it would change after a look at the clusters.

    Raises:
        Unseen: it cannot tell.
    """
    try:
        steps = engine.steps("--refresh")
    except EngineError as error:
        last = str(error).strip().splitlines()[-1:]
        raise Inconclusive(f"the engine cannot tell: {''.join(last)}", "./mesh preview --refresh shows why") from None
    return [step for step in steps if step.is_change]


def _round(stack: str, wanted: Sequence[Check], lines: Console | None) -> Report:
    """Run checks once, and show each as it ends."""
    taken, begun, results = datetime.now(UTC), time.monotonic(), list[Result]()
    for result in _run(wanted):
        results.append(result)
        if lines:
            lines.print(text.line(entry(result)), soft_wrap=True)
    return report(stack, taken, time.monotonic() - begun, results)


def _run(wanted: Sequence[Check]) -> Iterator[Result]:
    """Run side by side what changes nothing, then drills one after the other."""
    yield from run([check for check in wanted if check.group != "drill"])
    yield from (run_one(check) for check in wanted if check.group == "drill")


def _write(made: Report, federation: Federation, form: StrEnum, out: Console) -> None:
    if form == "text":
        text.close(made, out)
    elif form == "json":
        out.file.write(made.model_dump_json(by_alias=True, indent=2) + "\n")
    elif form == "junit":
        out.file.write(junit.write(made))
    else:
        out.file.write(page(made, federation))


def page(made: Report, federation: Federation) -> str:
    """Write a report as a page, with the picture of the federation in the colours of its results."""
    from mesh_federation.diagrams.graph import graph
    from mesh_federation.diagrams.live import Report as Shown
    from mesh_federation.diagrams.live import live
    from mesh_federation.diagrams.svg import svg
    from mesh_federation.diagrams.topology import drawing
    from mesh_federation.verify.reports import html

    shown = live(Shown.model_validate(made.model_dump(mode="json")))
    return html.write(made, svg(drawing(graph(federation, plan(federation, made.stack), made.stack), shown)))
