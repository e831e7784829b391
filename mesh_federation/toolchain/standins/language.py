"""The language host for Python: runs the user's program in a process of its own and tells the engine how it ended."""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict

from mesh_federation.toolchain.standins.plugin import engine_address, outer_environment, serve
from mesh_federation.toolchain.standins.protocol import language_pb2, language_pb2_grpc, plugin_pb2

# The official host is released with the CLI and has its version.
VERSION = "3.259.0"
# The program has already shown what is wrong: the engine must add nothing.
EXPLAINED = 32
_PROGRAM = Path(__file__).with_name("program.py")
_GRACE_SECONDS = 10


@dataclass(frozen=True)
class Launch:
    """How to start a program.

    Attributes:
        arguments: the command line.
        directory: where it runs.
        environment: its whole environment.
    """

    arguments: tuple[str, ...]
    directory: str
    environment: dict[str, str]


class MissingInterpreter(Exception):
    """The virtual environment that the project names has no Python."""


class Programs:
    """The programs that run now, so that they can be ended."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, launch: Launch) -> int:
        """Run a program to its end; it writes straight to the engine. Returns its exit code."""
        with self._lock:
            process = subprocess.Popen(launch.arguments, cwd=launch.directory, env=launch.environment)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def interrupt(self) -> None:
        """Ask every program to end, and insist after a while."""
        with self._lock:
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Answers the engine's questions about Python programs and runs them."""

    def __init__(self, engine: str) -> None:
        """Tell programs to talk to the engine at this address."""
        self._engine = engine
        self._programs = Programs()

    def stop(self) -> None:
        """End the programs that run."""
        self._programs.interrupt()

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        """Take the engine's address."""
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Version of this host."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        """None: the toolchain has put them on PATH."""
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """None: the toolchain has put them on PATH."""
        return language_pb2.GetRequiredPackagesResponse()

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language_pb2.RuntimeOptionsResponse:
        """Nothing to ask."""
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Nothing to install: the environment belongs to the toolchain."""
        yield language_pb2.InstallDependenciesResponse(stdout=b"Dependencies are installed by `make`.\n")

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        """The Python that runs programs."""
        try:
            executable = interpreter(request.info)
        except MissingInterpreter as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return language_pb2.AboutResponse(executable=executable, version=platform.python_version())

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """The distributions that this Python has installed."""
        from importlib.metadata import distributions

        found = sorted({(each.name, each.version) for each in distributions()})
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Run the program and say how it ended."""
        try:
            code = self._programs.run(launch(request, self._engine))
        except (MissingInterpreter, OSError) as error:
            return language_pb2.RunResponse(error=str(error))
        if code == EXPLAINED:
            return language_pb2.RunResponse(bail=True)
        if code < 0:
            return language_pb2.RunResponse(error=f"the program was ended by {signal.Signals(-code).name}")
        return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {code}" if code else "")

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """End the programs that run."""
        self._programs.interrupt()
        return empty_pb2.Empty()


def launch(request: language_pb2.RunRequest, engine: str) -> Launch:
    """How to start the program that the engine asks for.

    Raises:
        MissingInterpreter: the virtual environment of the project has no Python.
    """
    directory = request.info.program_directory or request.pwd or os.getcwd()
    settings = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "stack": request.stack,
        "organization": request.organization,
        "parallel": request.parallel,
        "dry_run": request.dryRun,
        "root_directory": request.info.root_directory or directory,
    }
    program = os.path.join(directory, request.info.entry_point or request.program or ".")
    environment = outer_environment() | {
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
    }
    # -P: the folder of program.py must not come before the user's own modules; -u: output is shown as it comes.
    arguments = (interpreter(request.info), "-P", "-u", str(_PROGRAM), json.dumps(settings), os.path.normpath(program))
    return Launch((*arguments, *request.args), directory, environment)


def interpreter(info: language_pb2.ProgramInfo) -> str:
    """The Python of the project's virtual environment, or the one that runs this host.

    Raises:
        MissingInterpreter: the project names a virtual environment that has none.
    """
    named = MessageToDict(info.options).get("virtualenv")
    if not named:
        return sys.executable
    found = Path(info.root_directory, named, "bin", "python")
    if not found.exists():
        raise MissingInterpreter(f"{found} does not exist: create it with `python3 -m venv {found.parent.parent}`")
    return str(found)


def main() -> None:
    """Serve the engine whose address is the first argument."""
    host = LanguageHost(engine_address())
    serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server), host.stop)


if __name__ == "__main__":
    main()
