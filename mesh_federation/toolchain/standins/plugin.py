"""Serving a plugin to the engine: the port on the first line of stdout, a gRPC server, a quiet end at a signal."""

import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol, TypeVar

import grpc
from google.protobuf import empty_pb2

from mesh_federation.toolchain.standins.protocol import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)
from mesh_federation.toolchain.standins.values import Properties, decode, encode, property_differences

# The engine sends state and assets in one message and sets no limit of its own.
GRPC_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Above the number of operations that the engine runs at once on a large machine.
_WORKERS = 256
_ORPHAN_CHECK_SECONDS = 1.0
CHECKOUT = Path(__file__).resolve().parents[3]
T = TypeVar("T")


class Refusal(Exception):
    """An operation failed; the message is shown to the user."""


@dataclass(frozen=True)
class Failure:
    """An input that is not valid."""

    property: str
    reason: str


@dataclass(frozen=True)
class PropertyChange:
    """Difference between the inputs in state and those of the program.

    Attributes:
        paths: every differing path with `add`, `delete` or `update`.
        replaces: the paths among them that need a new resource.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    replaces: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Target:
    """The resource that an operation is about."""

    urn: str
    type: str
    name: str
    id: str = ""


class NamedKind(Protocol):
    """The fields that every request about a resource has."""

    urn: str
    type: str
    name: str


class Log(Protocol):
    """Takes the messages of a provider."""

    def __call__(self, target: Target, text: str) -> None:
        """Show one line beside the resource."""


class StandIn(Protocol):
    """A resource provider; the methods follow the engine's protocol."""

    version: str

    def check(self, target: Target, news: Properties) -> list[Failure]:
        """Return the inputs that are not valid."""

    def diff(self, target: Target, inputs: Properties, state: Properties, news: Properties) -> PropertyChange:
        """Compare the inputs in state with those of the program."""

    def create(self, target: Target, news: Properties, preview: bool) -> tuple[str, Properties]:
        """Create the resource; return its id and outputs."""

    def update(self, target: Target, state: Properties, news: Properties, preview: bool) -> Properties:
        """Change the resource in place; return its outputs."""

    def delete(self, target: Target, state: Properties) -> None:
        """Remove the resource."""

    def read(self, target: Target, state: Properties) -> Properties:
        """Return the current state."""

    def cancel(self) -> None:
        """Stop all running operations."""


def unsupported(inputs: Properties, known: Collection[str]) -> Iterator[Failure]:
    """Refuse inputs that the official plugin has and a stand-in has not: to ignore them would make something else."""
    for name in inputs.keys() - known:
        yield Failure(name, "the stand-in for the official plugin does not support this input")


def outer_environment() -> dict[str, str]:
    """The environment of the engine: without the entry that a launcher put into PYTHONPATH to find this package."""
    environment = dict(os.environ)
    paths = [path for path in environment.pop("PYTHONPATH", "").split(os.pathsep) if path]
    if paths and Path(paths[0]).resolve() == CHECKOUT:
        del paths[0]
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def serve(register: Callable[[grpc.Server], None], stop: Callable[[], None]) -> None:
    """Serve until a signal arrives or the engine is gone, then call `stop`.

    Args:
        register: adds the plugin's services to the server.
        stop: ends what the plugin has running.
    """
    parent = os.getppid()  # before the engine, which waits for the port, can go on or be killed
    # A handler may only do what cannot wait for a lock: it writes to a pipe that the main thread reads.
    woken, wake = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_wake, wake))
    server = grpc.server(ThreadPoolExecutor(_WORKERS), options=GRPC_OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    _wait(woken, parent)
    stop()
    server.stop(grace=1).wait()
    # Worker threads may still wait for a child's output: they must not keep the process.
    sys.stdout.flush()
    os._exit(0)


def serve_provider(make: Callable[[Log], StandIn]) -> None:
    """Serve a resource provider to the engine whose address is the first argument, if there is one."""
    servicer = _Servicer(make)
    if engine := engine_address():
        servicer.attach(engine)
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server), servicer.stop)


def engine_address() -> str:
    """Address of the engine: the first argument that is not a flag, or nothing when no engine started the plugin."""
    return next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")


def _wake(pipe: int, number: int, frame: FrameType | None) -> None:
    os.write(pipe, b".")


def _wait(woken: int, parent: int) -> None:
    engine = engine_address()
    # Asked after the parent was noted: an engine that dies later is seen below.
    if engine and not _answers(engine):
        return
    while not select.select([woken], [], [], _ORPHAN_CHECK_SECONDS)[0]:
        # An engine that was killed sends no signal.
        if engine and os.getppid() != parent:
            return


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError):
        return False
    return True


class _Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates the engine's calls for a Provider."""

    def __init__(self, make: Callable[[Log], StandIn]) -> None:
        self._address = ""
        self._engine: engine_pb2_grpc.EngineStub | None = None
        self._provider = make(self._log)

    def attach(self, address: str) -> None:
        if address == self._address:
            return
        self._address = address
        channel = grpc.insecure_channel(address, options=GRPC_OPTIONS)
        self._engine = engine_pb2_grpc.EngineStub(channel)

    def stop(self) -> None:
        self._provider.cancel()

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.attach(request.address)
        return empty_pb2.Empty()

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        self.attach(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        failures = self._guard(context, lambda: self._provider.check(_target(request), decode(request.news)))
        return provider_pb2.CheckResponse(
            inputs=encode(decode(request.news)),
            failures=[provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in failures],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        state, news = decode(request.olds), decode(request.news)
        inputs = _inputs(request, news)
        return _diff_response(
            self._guard(context, lambda: self._provider.diff(_target(request, request.id), inputs, state, news))
        )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        news = decode(request.properties)
        made = self._guard(context, lambda: self._provider.create(_target(request), news, request.preview))
        return provider_pb2.CreateResponse(id="" if request.preview else made[0], properties=encode(made[1]))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        state, news = decode(request.olds), decode(request.news)
        target = _target(request, request.id)
        outputs = self._guard(context, lambda: self._provider.update(target, state, news, request.preview))
        return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        target = _target(request, request.id)
        self._guard(context, lambda: self._provider.delete(target, decode(request.properties)))
        return empty_pb2.Empty()

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        target = _target(request, request.id)
        outputs = self._guard(context, lambda: self._provider.read(target, decode(request.properties)))
        return provider_pb2.ReadResponse(id=request.id, properties=encode(outputs), inputs=request.inputs)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._provider.cancel()
        return empty_pb2.Empty()

    def _log(self, target: Target, text: str) -> None:
        if self._engine is None:
            return
        message = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text, urn=target.urn, ephemeral=True)
        try:
            self._engine.Log(message, timeout=10)
        except grpc.RpcError:
            # A message that cannot be shown must not fail the operation that it is about.
            logging.debug("the engine did not take a message")

    def _guard(self, context: grpc.ServicerContext, operation: Callable[[], T]) -> T:
        try:
            return operation()
        except Refusal as refusal:
            _refuse(context, str(refusal))


def _refuse(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")


def _target(request: NamedKind, identity: str = "") -> Target:
    kind, _, name = request.urn.split("::", 2)[-1].partition("::")
    return Target(request.urn, request.type or kind.rpartition("$")[2], request.name or name, identity)


def _inputs(request: provider_pb2.DiffRequest, news: Properties) -> Properties:
    """Old inputs; an engine that does not send them leaves the part of the state that has the inputs' names."""
    if request.HasField("old_inputs"):
        return decode(request.old_inputs)
    return {key: value for key, value in decode(request.olds).items() if key in news}


_KINDS = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
}


def _diff_response(change: PropertyChange) -> provider_pb2.DiffResponse:
    some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
    detailed = {
        path: provider_pb2.PropertyDiff(kind=_KINDS[kind][path in change.replaces], inputDiff=True)
        for path, kind in change.paths.items()
    }
    return provider_pb2.DiffResponse(
        changes=some if change.paths else none,
        replaces=sorted(change.replaces),
        diffs=sorted({_root(path) for path in change.paths}),
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def _root(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def changed(inputs: Properties, news: Properties, replaces: Callable[[str], bool]) -> PropertyChange:
    """The change between two sets of inputs, where `replaces` says which properties need a new resource."""
    paths = property_differences(inputs, news)
    return PropertyChange(paths, frozenset(path for path in paths if replaces(_root(path))))
