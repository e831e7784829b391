"""The turns of product and script, from nothing and back, in a Docker network of this run."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import events, listing, memory
from benchmarks.lab import walkthrough
from benchmarks.lab.crossing import Crossing, crossing
from benchmarks.lab.figures import BringUp, Change, Round, Scripted, Turn
from benchmarks.lab.network import clear, containers, version
from benchmarks.listing import Listed
from benchmarks.machine import Machine
from benchmarks.product import Product
from benchmarks.scratch import CHECKOUT, BenchError, clean_environment, scratch, undisturbed
from mesh_federation import loader
from mesh_federation.plan.federation import Plan, plan
from mesh_federation.stack import overlay as overlays
from mesh_federation.toolchain.install import Toolchain

Objects = Mapping[str, set[Listed]]
"""What is in each cluster."""
Probe = Callable[[Path, Mapping[str, str]], float]
"""Calls across the meshes with a cluster's kubeconfig until they show what they should; returns seconds."""


class Network(NamedTuple):
    """The Docker network of a run."""

    name: str
    subnet: str


@dataclass(frozen=True)
class Lab:
    """What product and script make, each in its turn.

    Attributes:
        stack: name of the stack.
        network: name of the Docker network.
        plan: of the stack with the overlay.
        crossing: the call that ends a bring-up.
        whole: overlay of this run: the user's, and the network.
        closed: the same, without exports and imports.
    """

    stack: str
    network: str
    plan: Plan
    crossing: Crossing
    whole: Path
    closed: Path


@dataclass(frozen=True)
class First:
    """What the bring-up that does not count tells.

    Attributes:
        machine: where, and with what.
        memory: peak of engine, plugins and program, in bytes.
        images: that ran, without their registries, sorted.
        kinds: of all objects that the product makes, as kubectl takes them.
        toolchain: with which the script runs, too.
    """

    machine: Machine
    memory: int
    images: Sequence[str]
    kinds: Sequence[str]
    toolchain: Toolchain


def prepare(folder: Path, stack: str, overlay: Path | None, network: Network) -> Lab:
    """Lay this run's network over the stack, and decide what is made.

    Raises:
        InvalidModel: with all findings.
        BenchError: the script does not build such a stack, or nothing can be called in it.
    """
    stack_file = CHECKOUT / f"Pulumi.{stack}.yaml"
    loader.read(stack_file, overlay)  # what is wrong is said of the files that people wrote
    above, _ = overlays.load(overlay) if overlay else ({}, [])
    lab = {"lab": {"network": network.name, "subnet": network.subnet}}
    whole, closed = folder / "whole.yaml", folder / "closed.yaml"
    whole.write_text(json.dumps(overlays.merged(above, lab)), encoding="utf-8")
    closed.write_text(json.dumps(overlays.merged(above, {**lab, "exports": [], "imports": []})), encoding="utf-8")
    federation = loader.read(stack_file, whole)
    walkthrough.suits(federation)
    planned = plan(federation, stack)
    return Lab(stack, network.name, planned, crossing(federation, planned), whole, closed)


def warm_up(lab: Lab) -> First:
    """Bring the stack up once under the eye of the sampler, which would cost the timed rounds a few percent."""
    with _turn(lab) as folder:
        product = _fresh(lab, folder)
        machine = _machine(product.toolchain)
        with memory.watching(folder) as peak:
            product.up()
        kinds = listing.kinds(body for bodies in product.objects().values() for body in bodies)
        toolchain = product.toolchain
        ran = [listing.images(file, _settings(product)) for file in product.kubeconfigs().values()]
        _down(lab, product)
    images = {listed.name.rpartition("/")[2] for cluster in ran for listed in cluster}
    return First(machine, peak.memory.engine, sorted(images), kinds, toolchain)


def round_of(lab: Lab, first: First, number: int, tell: Callable[[str], None]) -> Round:
    """Let product and script take their turns; in every other round the script goes first.

    Raises:
        BenchError: they did not make the same.
    """
    made: dict[str, Objects] = {}

    def product() -> Turn:
        tell(f"round {number}: product")
        turn, made["product"] = _product(lab, first.kinds)
        return turn

    def script() -> Scripted:
        tell(f"round {number}: script")
        scripted, made["script"] = _script(lab, first)
        return scripted

    if number % 2:
        turn, scripted = product(), script()
    else:
        scripted, turn = script(), product()
    listing.require_same(made["product"], made["script"])
    cold, warm = turn.cold.total, turn.warm.total
    tell(f"round {number}: new checkout {cold:.1f} s, again {warm:.1f} s, script {scripted.total:.1f} s")
    return Round(turn, scripted)


def _product(lab: Lab, kinds: Sequence[str]) -> tuple[Turn, Objects]:
    with _turn(lab) as folder:
        product = _fresh(lab, folder)
        cold = _bring_up(lab, product)
        _down(lab, product)
        preview = product.preview()
        warm = _bring_up(lab, product)
        made = _objects(product.kubeconfigs(), kinds, _settings(product))
        noop, _ = product.up()
        remove = _change(lab, product.laying(lab.closed), lab.crossing.refused)
        add = _change(lab, product, lab.crossing.answered)
        down = _down(lab, product)
    return Turn(cold, warm, preview, noop, remove, add, down), made


def _script(lab: Lab, first: First) -> tuple[Scripted, Objects]:
    with _turn(lab) as folder:
        environment = clean_environment(folder)
        settings = {**environment, **first.toolchain.environment()}
        walkthrough.write(lab.plan, folder, first.toolchain)
        scripted = walkthrough.execute(lab.plan, folder, first.toolchain, settings)
        kubeconfigs = {name: folder / name / "kubeconfig" for name in lab.plan.clusters}
        answer = lab.crossing.answered(kubeconfigs[lab.crossing.call.cluster], settings)
        made = _objects(kubeconfigs, first.kinds, settings)
    return replace(scripted, answer=answer), made


@contextmanager
def _turn(lab: Lab) -> Iterator[Path]:
    """Yield an empty folder; nothing of what runs in it or in the network stays, so that turns do not meet."""
    try:
        with scratch() as folder:
            yield folder
    finally:
        with undisturbed():
            clear(lab.network)


def _fresh(lab: Lab, folder: Path) -> Product:
    return Product.fresh(folder, lab.stack, "kind").laying(lab.whole)


def _bring_up(lab: Lab, product: Product) -> BringUp:
    seconds, seen = product.up()
    return BringUp(seconds, events.phases(seen), _effect(lab, product, lab.crossing.answered))


def _change(lab: Lab, product: Product, probe: Probe) -> Change:
    seconds, _ = product.up()
    return Change(seconds, _effect(lab, product, probe))


def _down(lab: Lab, product: Product) -> float:
    seconds = product.down()
    if left := containers(lab.network):
        raise BenchError(f"`mesh down` left {len(left)} containers in network {lab.network}")
    return seconds


def _effect(lab: Lab, product: Product, probe: Probe) -> float:
    return probe(product.kubeconfigs()[lab.crossing.call.cluster], _settings(product))


def _objects(kubeconfigs: Mapping[str, Path], kinds: Sequence[str], settings: Mapping[str, str]) -> Objects:
    return {
        cluster: listing.listing(file, kinds, settings) | listing.images(file, settings)
        for cluster, file in kubeconfigs.items()
    }


def _settings(product: Product) -> dict[str, str]:
    return {**product.environment, **product.toolchain.environment()}


def _machine(toolchain: Toolchain) -> Machine:
    machine = Machine.current(toolchain)
    return replace(machine, versions={**machine.versions, "docker": version()})
