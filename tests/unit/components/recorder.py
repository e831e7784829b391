"""Runs the whole Pulumi program against a monitor that records what is registered: no engine, no cluster.

In an update the monitor answers as the plugins would: keys and certificates are real, Commands print a kubeconfig, load
balancers have an address. In a preview it knows nothing that only a running cluster or a made key could tell.
"""

import asyncio
import contextvars
import json
import os
import runpy
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import Stack, wait_for_rpcs

from mesh_federation import document
from mesh_federation.jobs import job
from mesh_federation.toolchain.standins import values
from mesh_federation.toolchain.standins.plugin import Target
from mesh_federation.toolchain.standins.tls import TlsProvider
from mesh_federation.toolchain.standins.values import UNKNOWN, Properties, Secret, Value

ROOT = Path(__file__).parents[3]
PROJECT = "mesh-federation"
STACK_TYPE = "pulumi:pulumi:Stack"
CLOUD_ADDRESS = "203.0.113.7"
"""What load balancers of clusters that are not ours answer with."""
STACK_DEPTH = 12
"""Frames of the caller that Pulumi tells the engine of a resource; below the program are only those of pytest."""
Ingress = Sequence[Mapping[str, str]]
CLOUD: Ingress = ({"ip": CLOUD_ADDRESS},)
CLUSTER_ADDRESS = "10.96.7.7"
"""What Services get that ask for no address of their own."""


@dataclass(frozen=True)
class Registered:
    """One registration as it went over the wire."""

    urn: str
    request: resource_pb2.RegisterResourceRequest

    @property
    def type(self) -> str:
        """Type token."""
        return self.request.type

    @property
    def name(self) -> str:
        """Name of the resource, unique together with its type."""
        return self.request.name

    @property
    def kind(self) -> str:
        """Last part of the type token."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def is_object(self) -> bool:
        """Whether it is an object of the Kubernetes API."""
        return self.type.startswith("kubernetes:")

    @property
    def provider(self) -> str:
        """URN of its explicit provider; empty without one."""
        return self.request.provider.rpartition("::")[0]

    @property
    def dependencies(self) -> frozenset[str]:
        """URNs of everything that must exist before."""
        return frozenset(self.request.dependencies)

    def dependencies_of(self, prop: str) -> frozenset[str]:
        """URNs on which one input depends by data."""
        return frozenset(self.request.propertyDependencies[prop].urns)

    @cached_property
    def inputs(self) -> Properties:
        """Inputs with secrets and unknowns kept apart."""
        return values.decode(self.request.object)

    @cached_property
    def body(self) -> dict[str, Any]:
        """Inputs without secret marks."""
        plain = values.plain(self.inputs)
        assert isinstance(plain, dict)
        return plain

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a job, as its document has them."""
        read: dict[str, Any] = json.loads(self.body["environment"][document.VARIABLE])
        return read

    def unknown_paths(self) -> set[str]:
        """Which parts of the inputs are not known."""
        return set(_unknown("", self.body))


def _unknown(path: str, value: Value) -> Iterator[str]:
    if value is UNKNOWN:
        yield path.lstrip(".")
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _unknown(f"{path}.{key}", below)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _unknown(f"{path}[{index}]", below)


def secret(value: Value) -> bool:
    """Say whether the whole value is marked secret."""
    return isinstance(value, Secret)


@dataclass
class Run:
    """Everything that one run of the program told the engine."""

    registered: list[Registered] = field(default_factory=list)
    outputs: dict[str, Properties] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    exports_known: bool = False

    @property
    def objects(self) -> list[Registered]:
        """All objects of the Kubernetes API."""
        return [each for each in self.registered if each.is_object]

    @property
    def providers(self) -> list[Registered]:
        """The explicit providers."""
        return [each for each in self.registered if _provides(each)]

    def of_type(self, token: str) -> list[Registered]:
        """All of one type."""
        return [each for each in self.registered if each.type == token]

    def one(self, kind: str, name: str) -> Registered:
        """The only registration of a kind and a name."""
        found = [each for each in self.registered if (each.kind, each.name) == (kind, name)]
        assert len(found) == 1, f"{len(found)} registrations of {kind} {name}"
        return found[0]

    def at(self, urn: str) -> Registered:
        """The registration behind a URN."""
        return next(each for each in self.registered if each.urn == urn)

    def before(self, one: Registered) -> set[str]:
        """URNs of everything that exists before a registration: dependencies, their dependencies, and so on.

        The engine takes a component for its children, so a dependency on one is a dependency on all that is in it.
        """
        by_urn = {each.urn: each for each in self.registered}
        children: dict[str, list[str]] = {}
        for each in self.registered:
            children.setdefault(each.request.parent, []).append(each.urn)
        seen: set[str] = set()
        waiting = [*one.dependencies, one.provider]
        while waiting:
            urn = waiting.pop()
            if urn in seen or urn not in by_urn:
                continue
            seen.add(urn)
            waiting += [*by_urn[urn].dependencies, by_urn[urn].provider]
            if not by_urn[urn].request.custom:
                waiting += children.get(urn, [])
        return seen


def _provides(one: Registered) -> bool:
    return one.type.startswith("pulumi:providers:")


class Recorder(mocks.MockMonitor):
    """Stands in for the engine's resource monitor."""

    def __init__(self, stack: str, preview: bool, left: Mapping[str, object], ingress: Ingress) -> None:
        """Start with nothing registered."""
        super().__init__(_Nothing(left))
        self._stack = stack
        self._ingress = ingress
        self._preview = preview
        self._tls = TlsProvider(lambda *_: None)
        self.run = Run()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Name a resource as the engine does; the stack is left out of the types."""
        above = parent.split("::")[2] if parent else ""
        qualified = type_ if above in ("", STACK_TYPE) else f"{above}${type_}"
        return f"urn:pulumi:{self._stack}::{PROJECT}::{qualified}::{name}"

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> resource_pb2.RegisterResourceResponse:
        """Record a registration and answer it."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        one = Registered(urn, request)
        self.run.registered.append(one)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if self._preview:
            return resource_pb2.RegisterResourceResponse(urn=urn, id="", object=request.object)
        state = values.encode({**one.inputs, **self._made(one)})
        return resource_pb2.RegisterResourceResponse(urn=urn, id=f"id-of-{request.name}", object=state)

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> object:
        """Record the outputs of a component."""
        self.run.outputs[request.urn] = values.decode(request.outputs)
        return empty_pb2.Empty()

    def _made(self, one: Registered) -> Properties:
        if one.type.startswith("tls:"):
            _, outputs = self._tls.create(Target(one.urn, one.type, one.name), one.inputs, preview=False)
            return outputs
        if one.type == "command:local:Command":
            if one.name.endswith("-gateway-address"):
                return {"stdout": json.dumps(list(self._ingress)), "stderr": ""}
            exists = job.parse(one.body["create"]) == ("existing", "create")
            return {"stdout": uid(one.name) if exists else kubeconfig(one.name), "stderr": ""}
        if one.kind == "Service":
            return {"spec": {"clusterIP": CLUSTER_ADDRESS, **one.body["spec"]}, "status": {"loadBalancer": {}}}
        return {}


def uid(command: str) -> str:
    """Return what the Command of an existing cluster prints: which one it is."""
    return f"uid-of-{command.removesuffix('-create')}"


def kubeconfig(command: str) -> str:
    """Return what a Command prints; its token must never be seen in plain text."""
    return json.dumps({"users": [{"name": command, "user": {"token": f"token-of-{command}"}}]})


class _Nothing(mocks.Mocks):
    """The recorder answers by itself, but for what the last run left."""

    def __init__(self, left: Mapping[str, object]) -> None:
        """Remember the stack's outputs."""
        self._left = left

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Tell what the last run left; refuse all else: the program reads nothing more at plan time."""
        assert args.token == "pulumi:pulumi:readStackOutputs", f"the program calls {args.token}"
        return {"name": args.args["name"], "outputs": dict(self._left)}, []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Refuse: never reached."""
        raise AssertionError(f"{args.typ} {args.name} did not go through the recorder")


def run(
    federation: Mapping[str, object],
    *,
    stack: str = "test",
    preview: bool = False,
    environment: Mapping[str, str] | None = None,
    secret_config: Sequence[str] = (),
    left: Mapping[str, object] | None = None,
    ingress: Ingress = CLOUD,
) -> Run:
    """Run __main__.py with a federation as its configuration.

    Args:
        federation: as under `mesh-federation:federation` of a stack file.
        stack: name of the stack.
        preview: whether what only running things can tell stays unknown.
        environment: added to this process' own meanwhile.
        secret_config: keys of the configuration that are encrypted.
        left: outputs of the run before.
        ingress: what load balancers of clusters that are not ours give.
    """

    def isolated() -> Run:
        recorder, loop = Recorder(stack, preview, left or {}, ingress), asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs.clear()
        settings.set_root_resource(None)  # type: ignore[arg-type] # or the next run would get this one's stack
        pulumi.runtime.set_all_config({f"{PROJECT}:federation": json.dumps(federation)}, list(secret_config))
        mocks.set_mocks(_Nothing(left or {}), project=PROJECT, stack=stack, preview=preview, monitor=recorder)

        async def program() -> None:
            at_interrupt = signal.getsignal(signal.SIGINT)
            try:
                runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
            finally:
                signal.signal(signal.SIGINT, at_interrupt)  # the program's own way to end would end the tests
            await wait_for_rpcs()
            root = settings.get_root_resource()
            assert isinstance(root, Stack)
            exported = pulumi.Output.from_input(dict(root.outputs))
            recorder.run.exports_known = await exported.is_known()
            recorder.run.exports = dict(await exported.future(with_unknowns=True) or {})

        try:
            loop.run_until_complete(program())
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.close()
        return recorder.run

    with (
        patch.dict(os.environ, {**(environment or {}), "PULUMI_ERROR_OUTPUT_STRING": "true"}),
        patch.object(sys, "tracebacklimit", STACK_DEPTH, create=True),
    ):
        return contextvars.copy_context().run(isolated)
