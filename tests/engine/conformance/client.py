"""A plugin's other side: starts it and calls it in the order in which the engine does."""

import select
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from mesh_federation.toolchain.standins.values import Properties, Value, decode, encode, plain
from tests.engine.conformance.implementations import Implementation

# Bounds a case against a plugin that hangs; nothing here takes a tenth of it.
DEADLINE_SECONDS = 60


def all_gone(pipe: IO[str]) -> bool:
    """Whether every process that holds the other end of a pipe ends in time."""
    return bool(select.select([pipe], [], [], DEADLINE_SECONDS)[0]) and pipe.read() == ""


class Refused(Exception):
    """The plugin answered with an error."""


class Invalid(Exception):
    """The plugin found inputs that are not valid."""


@dataclass(frozen=True)
class Made:
    """A resource as it is in the engine's state."""

    urn: str
    id: str
    inputs: Properties
    outputs: Properties

    def __getitem__(self, name: str) -> Value:
        """An output without its secret mark."""
        return plain(self.outputs[name])

    def text(self, name: str) -> str:
        """An output that is a text."""
        value = self[name]
        assert isinstance(value, str), value
        return value


@dataclass(frozen=True)
class Difference:
    """The plugin's answer to Diff.

    Attributes:
        changes: whether anything differs.
        paths: where, in detail.
        replaces: names of the inputs for which it asks for a new resource.
        deletes_first: whether the old resource must go before the new one is made.
    """

    changes: bool
    paths: frozenset[str]
    replaces: frozenset[str]
    deletes_first: bool


class Engine(engine_pb2_grpc.EngineServicer):
    """Stands in for the engine: keeps the messages that plugins send."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self._said = threading.Condition()
        self._messages: dict[str, list[str]] = defaultdict(list)
        self._server = grpc.server(ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Keep a message."""
        with self._said:
            self._messages[request.urn].append(request.message)
            self._said.notify_all()
        return empty_pb2.Empty()

    def messages(self, urn: str) -> list[str]:
        """What was said about one resource."""
        return list(self._messages[urn])

    def await_message(self, urn: str, text: str) -> None:
        """Return as soon as that was said about the resource."""
        with self._said:
            assert self._said.wait_for(lambda: text in self._messages[urn], DEADLINE_SECONDS)

    def stop(self) -> None:
        """Take no more messages."""
        self._server.stop(None).wait()


class Plugin:
    """A running plugin."""

    def __init__(self, stub: provider_pb2_grpc.ResourceProviderStub, engine: Engine, origin: str) -> None:
        """Call the plugin through `stub`."""
        self.origin = origin
        self._stub = stub
        self._engine = engine
        self._count = 0
        self._lock = threading.Lock()

    def urn(self, kind: str) -> str:
        """A URN that no other case has."""
        with self._lock:
            self._count += 1
            return f"urn:pulumi:test::conformance::{kind}::case{self._count}"

    def messages(self, urn: str) -> list[str]:
        """Lines shown beside a resource."""
        return self._engine.messages(urn)

    def await_message(self, urn: str, text: str) -> None:
        """Return as soon as that line is shown beside the resource."""
        self._engine.await_message(urn, text)

    def check(self, kind: str, inputs: Properties, urn: str = "") -> Properties:
        """Inputs as the plugin wants them kept.

        Raises:
            Invalid: the plugin found something wrong.
        """
        urn = urn or self.urn(kind)
        request = provider_pb2.CheckRequest(
            urn=urn, name=_name(urn), type=kind, news=encode(inputs), randomSeed=b"0" * 32
        )
        response = self._stub.Check(request, timeout=DEADLINE_SECONDS)
        if response.failures:
            raise Invalid("; ".join(f"{failure.property}: {failure.reason}" for failure in response.failures))
        return decode(response.inputs)

    def create(self, kind: str, inputs: Properties, *, preview: bool = False, urn: str = "") -> Made:
        """Check and create, as for a resource that is new in the program."""
        urn = urn or self.urn(kind)
        checked = self.check(kind, inputs, urn)
        request = provider_pb2.CreateRequest(
            urn=urn, name=_name(urn), type=kind, properties=encode(checked), preview=preview
        )
        with _refusals():
            response = self._stub.Create(request, timeout=DEADLINE_SECONDS)
        return Made(urn, response.id, checked, decode(response.properties))

    def diff(self, made: Made, inputs: Properties) -> Difference:
        """Compare a resource with what the program says now."""
        kind = _kind(made.urn)
        checked = self.check(kind, inputs, made.urn)
        request = provider_pb2.DiffRequest(
            id=made.id,
            urn=made.urn,
            name=_name(made.urn),
            type=kind,
            olds=encode(made.outputs),
            old_inputs=encode(made.inputs),
            news=encode(checked),
        )
        with _refusals():
            response = self._stub.Diff(request, timeout=DEADLINE_SECONDS)
        changes = response.changes == provider_pb2.DiffResponse.DIFF_SOME
        replaces = frozenset(map(_root, response.replaces))
        return Difference(changes, frozenset(response.detailedDiff), replaces, response.deleteBeforeReplace)

    def update(self, made: Made, inputs: Properties, *, preview: bool = False) -> Made:
        """Change a resource in place."""
        kind = _kind(made.urn)
        checked = self.check(kind, inputs, made.urn)
        request = provider_pb2.UpdateRequest(
            id=made.id,
            urn=made.urn,
            name=_name(made.urn),
            type=kind,
            olds=encode(made.outputs),
            old_inputs=encode(made.inputs),
            news=encode(checked),
            preview=preview,
        )
        with _refusals():
            response = self._stub.Update(request, timeout=DEADLINE_SECONDS)
        return Made(made.urn, made.id, checked, decode(response.properties))

    def delete(self, made: Made) -> None:
        """Remove a resource."""
        request = provider_pb2.DeleteRequest(
            id=made.id,
            urn=made.urn,
            name=_name(made.urn),
            type=_kind(made.urn),
            properties=encode(made.outputs),
            old_inputs=encode(made.inputs),
        )
        with _refusals():
            self._stub.Delete(request, timeout=DEADLINE_SECONDS)

    def refresh(self, made: Made) -> Made:
        """Read a resource again."""
        request = provider_pb2.ReadRequest(
            id=made.id,
            urn=made.urn,
            name=_name(made.urn),
            type=_kind(made.urn),
            properties=encode(made.outputs),
            inputs=encode(made.inputs),
        )
        with _refusals():
            response = self._stub.Read(request, timeout=DEADLINE_SECONDS)
        return Made(made.urn, response.id, decode(response.inputs), decode(response.properties))

    def cancel(self) -> None:
        """Ask the plugin to stop what it does."""
        self._stub.Cancel(empty_pb2.Empty(), timeout=DEADLINE_SECONDS)


@contextmanager
def running(implementation: Implementation, engine: Engine) -> Iterator[Plugin]:
    """A plugin from its first line of output to its quiet end."""
    process = subprocess.Popen(
        (*implementation.arguments, engine.address),
        env=implementation.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            _configure(stub, engine)
            yield Plugin(stub, engine, implementation.origin)
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        finally:
            process.kill()
            process.stdout.close()


def _configure(stub: provider_pb2_grpc.ResourceProviderStub, engine: Engine) -> None:
    try:
        handshake = provider_pb2.ProviderHandshakeRequest(engine_address=engine.address, configure_with_urn=True)
        stub.Handshake(handshake, timeout=DEADLINE_SECONDS)
    except grpc.RpcError as error:
        # Older plugins have no handshake; the engine goes on without.
        if error.code() != grpc.StatusCode.UNIMPLEMENTED:
            raise
    stub.Configure(
        provider_pb2.ConfigureRequest(acceptSecrets=True, acceptResources=True, sends_old_inputs=True),
        timeout=DEADLINE_SECONDS,
    )


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise Refused(error.details()) from None


def _kind(urn: str) -> str:
    return urn.split("::")[2]


def _name(urn: str) -> str:
    return urn.split("::")[3]


def _root(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]
