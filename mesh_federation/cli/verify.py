"""`mesh verify`: checks that a running federation is what its stack file declares."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.console import Console

from mesh_federation.cli import stacks
from mesh_federation.cli.errors import NOT_RUN, CouldNotRun, Refused
from mesh_federation.cli.options import ReportFormat
from mesh_federation.engine import applied
from mesh_federation.engine.clusters import refresh_kubeconfigs
from mesh_federation.engine.outputs import ClusterOutput, StackOutputs, TrustOutput
from mesh_federation.engine.pulumi import Engine, EngineError
from mesh_federation.engine.snapshot import Snapshot
from mesh_federation.engine.step import Step
from mesh_federation.observe.check import checks as checks_of_others
from mesh_federation.plan.federation import ClusterPlan, plan
from mesh_federation.stack import pem
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import Problem
from mesh_federation.verify.catalogue import catalogue, chosen, drills, unknown
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.drift import owner
from mesh_federation.verify.kubectl import CachedKubectl
from mesh_federation.verify.reports import junit, text
from mesh_federation.verify.reports.report import VerificationReport, entry, report
from mesh_federation.verify.runner import CheckResult, run, run_one
from mesh_federation.verify.verdict import Inconclusive

PAUSE = 10
"""Seconds between two rounds of --watch."""


class NotUp(Exception):
    """The stack is not up; the text is the reason."""


class UnknownChecks(Exception):
    """A selector selects no check.

    Attributes:
        known: selectors of existing checks.
    """

    def __init__(self, named: Sequence[str], known: Sequence[str]) -> None:
        """Name the selectors, and keep the known ones."""
        super().__init__(f"no check matches {', '.join(named)}")
        self.known = known


UNDECLARED = "refusals.undeclared"
"""The check that sends requests from accounts that an export does not name."""


@dataclass(frozen=True)
class VerifyOptions:
    """Options of the command.

    Attributes:
        only: ids, groups or key paths that select checks; all checks if empty.
        form: format of the report: text, json, junit or html.
        drill: also run drills, which scale down pods temporarily.
        watch: repeat until Ctrl-C.
        warning: an authority that expires within this time fails its check.
    """

    only: tuple[str, ...]
    form: ReportFormat
    drill: bool
    watch: bool
    warning: timedelta


def verify_stack(
    stack: str, overlay: Path | None, only: tuple[str, ...], form: ReportFormat, drill: bool, watch: bool,
    warning: timedelta | None,
) -> int:  # fmt: skip
    """Verify a stack; returns the exit status of the command.

    Raises:
        CouldNotRun: the verification could not start.
    """
    try:
        workspace, federation = stacks.declared(stack, overlay)
        engine = stacks.engine(workspace, stack, stacks.toolchain(stacks.providers(federation)))
        stacks.refuse_without_state(engine)
    except Refused as refused:
        raise CouldNotRun(refused.problem) from None
    except typer.Exit:
        raise typer.Exit(NOT_RUN) from None
    soon = timedelta(days=federation.trust.warn_days) if warning is None else warning
    what = f"{stack} cannot be verified"
    try:
        return verify(
            engine, federation, VerifyOptions(only, form, drill, watch, soon), Console(), Console(stderr=True)
        )
    except NotUp as reason:
        problem = Problem("", "not-up", f"{what}: {reason}", f"./mesh up --stack {stack}")
    except EngineError as error:
        problem = Problem("", "engine-failed", f"{what}: {error}", "./mesh preview shows the error of the engine")
    except UnknownChecks as unknown:
        problem = Problem("", "unknown-check", str(unknown), f"choose one of: {', '.join(unknown.known)}")
    raise CouldNotRun(problem)


def verify(engine: Engine, federation: Federation, options: VerifyOptions, out: Console, progress: Console) -> int:
    """Run the selected checks and write the report.

    Args:
        engine: the engine of the stack.
        federation: the declared federation.
        options: options of the command.
        out: console for the report.
        progress: console for one line per check, unless the report is text.

    Returns:
        0 if all applicable checks passed, 1 if one failed, 2 if one could not run.

    Raises:
        NotUp: the stack is not up.
        UnknownChecks: a selector selects no check.
    """
    selected = checks(engine, federation, options)
    engine.open()
    lines = out if options.form is ReportFormat.TEXT else progress
    made = _round(engine.stack, selected, lines)
    _write(made, federation, options.form, out)
    while options.watch:
        time.sleep(PAUSE)
        before = {(each.id, each.description): each.status for each in made.results}
        made = _round(engine.stack, checks(engine, federation, options), None)
        changed = [each for each in made.results if before.get((each.id, each.description)) is not each.status]
        for each in changed:
            lines.print(text.line(each), soft_wrap=True)
        if changed:
            _write(made, federation, options.form, out)
    return made.code


def show_refusals(engine: Engine, federation: Federation, console: Console) -> int:
    """Show that exports refuse callers that they do not name; returns 0 if all of them do, else 1.

    Args:
        engine: the engine of the stack.
        federation: the declared federation.
        console: for one line per export.
    """
    options = VerifyOptions((UNDECLARED,), ReportFormat.TEXT, False, False, timedelta())
    made = _round(engine.stack, checks(engine, federation, options), None)
    for each in made.results:
        console.print(text.line(each), soft_wrap=True)
    return made.code


def under_test(engine: Engine, federation: Federation) -> tuple[Context, str]:
    """Return the plan of a stack together with the clusters that its last `up` left, and when its state was saved.

    Raises:
        NotUp: nothing is up, or another release of mesh-federation or another set of clusters is.
        EngineError: the state cannot be read.
    """
    if not engine.exists():
        raise NotUp("it is not up")
    if any(cluster.is_existing for cluster in federation.clusters.values()):
        refresh_kubeconfigs(engine, federation, lambda line: None)
    state = engine.snapshot()
    try:
        outputs = StackOutputs.model_validate(state.outputs)
    except ValidationError:
        raise NotUp("its last `up` did not complete, or was made by another release of mesh-federation") from None
    planned = plan(federation, engine.stack)
    if missing := sorted(set(planned.clusters) - set(outputs.clusters)):
        raise NotUp(f"{', '.join(missing)} is declared but was never brought up")
    trust = {
        name: _trust_of_others(federation, name) if each.declared.observed else outputs.trust[name]
        for name, each in planned.clusters.items()
    }
    clusters = {name: _under_test(engine, outputs, each, trust[name], state) for name, each in planned.clusters.items()}
    partners = {name: _partner(engine, each, federation) for name, each in planned.partners.items()}
    return Context(federation, clusters, partners), state.saved


def _partner(engine: Engine, planned: ClusterPlan, federation: Federation) -> ClusterUnderTest:
    """Describe a partner by its card; no kubeconfig leads to it."""
    domain = planned.declared.trust_domain
    output = ClusterOutput(name=planned.name, kubeconfig="", gateway=planned.addresses, trust_domain=domain)
    trust = _trust_of_others(federation, planned.name)
    return ClusterUnderTest(planned, output, trust, CachedKubectl(planned.name, Path(os.devnull), engine.environment))


def _under_test(
    engine: Engine, outputs: StackOutputs, planned: ClusterPlan, trust: TrustOutput, state: Snapshot
) -> ClusterUnderTest:
    output = outputs.clusters[planned.name]
    home = engine.workspace.home
    for_people, for_jobs = home / output.kubeconfig, home / "clusters" / output.name / "kubeconfig"
    first, *others = (CachedKubectl(planned.name, file, engine.environment) for file in (for_people, for_jobs))
    connections = (first, *(other for other in others if other.kubeconfig.exists()))
    connect = planned.declared.provider.connector(home, engine.stack)
    recorded = tuple(each for each in state.objects if owner(each.name, outputs.clusters) == planned.name)
    uid = state.uids(output.istio_namespace).get(planned.name, "")
    return ClusterUnderTest(planned, output, trust, first, connections, uid, recorded, connect)


def _trust_of_others(federation: Federation, name: str) -> TrustOutput:
    """Describe the trust of a mesh of others, of which no `up` has a record."""
    roots, anchors = _prints(federation.roots_of_others[name]), _prints(federation.anchors_of_others[name])
    return TrustOutput(authority="", root=roots[0], trusted=roots, anchors=anchors)


def _prints(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(pem.fingerprint(each) for text in texts for each in pem.certificates(text))


def checks(engine: Engine, federation: Federation, options: VerifyOptions) -> list[Check]:
    """Return the selected checks.

    Raises:
        NotUp: the stack is not up.
        UnknownChecks: a selector selects no check.
    """
    context, saved = under_test(engine, federation)
    declared = applied.declaration(engine, federation)
    is_applied = applied.is_current(engine, declared, saved)
    preview = None if is_applied else partial(changes, engine, declared, saved)
    every = [
        *checks_of_others(context),
        *catalogue(context, preview, options.warning),
        *(drills(context) if options.drill else []),
    ]
    if unmatched := unknown(every, options.only):
        raise UnknownChecks(unmatched, sorted({known for each in every for known in (each.id, each.group)}))
    return chosen(every, options.only)


def changes(engine: Engine, declared: str, saved: str) -> list[Step]:
    """Return what the engine would change in the state; if that is nothing, note it for the next time.

    Args:
        engine: the engine of the stack.
        declared: hash of the declaration.
        saved: when the state was saved.

    Raises:
        Inconclusive: the preview failed.
    """
    try:
        steps = [step for step in engine.steps() if step.is_change]
    except EngineError as error:
        lines = [line.strip() for line in str(error).splitlines() if not line.lstrip().startswith("->")]
        raise Inconclusive(f"the preview failed: {''.join(lines[-1:])}", "./mesh preview shows the error") from None
    if not steps:
        applied.remember(engine, declared, saved)
    return steps


def _round(stack: str, selected: Sequence[Check], lines: Console | None) -> VerificationReport:
    """Run checks once and print each as it ends."""
    taken, start, results = datetime.now(UTC), time.monotonic(), list[CheckResult]()
    for result in _run(selected):
        results.append(result)
        if lines:
            lines.print(text.line(entry(result)), soft_wrap=True)
    return report(stack, taken, time.monotonic() - start, results)


def _run(selected: Sequence[Check]) -> Iterator[CheckResult]:
    """Run checks in parallel, then drills one after the other."""
    yield from run([check for check in selected if check.group != "drill"])
    yield from (run_one(check) for check in selected if check.group == "drill")


def _write(made: VerificationReport, federation: Federation, form: ReportFormat, out: Console) -> None:
    if form is ReportFormat.TEXT:
        text.close(made, out)
    elif form is ReportFormat.JSON:
        out.file.write(made.model_dump_json(by_alias=True, indent=2) + "\n")
    elif form is ReportFormat.JUNIT:
        out.file.write(junit.write(made))
    else:
        out.file.write(page(made, federation))


def page(made: VerificationReport, federation: Federation) -> str:
    """Return a report as a page, with the picture of the federation in the colours of its results."""
    from mesh_federation.diagrams.graph import graph
    from mesh_federation.diagrams.live import Report as Shown
    from mesh_federation.diagrams.live import live
    from mesh_federation.diagrams.svg import svg
    from mesh_federation.diagrams.topology import drawing
    from mesh_federation.verify.reports import html

    shown = live(Shown.model_validate(made.model_dump(mode="json")))
    return html.write(made, svg(drawing(graph(federation, plan(federation, made.stack), made.stack), shown)))
