"""`command:local:Command`: shell commands as resources, with the inputs that this product gives them.

Follows the official plugin 1.2.1; tests/engine/conformance has the cases. Other inputs are refused.
"""

import os
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from mesh_federation.toolchain.standins.plugin import (
    Failure,
    Log,
    PropertyChange,
    Refusal,
    Target,
    changed,
    outer_environment,
    serve_provider,
    unsupported,
)
from mesh_federation.toolchain.standins.values import UNKNOWN, Properties, Value, plain, secret_texts

VERSION = "1.2.1"
_TEXTS = ("create", "update", "delete", "stdin")
_INPUTS = (*_TEXTS, "environment", "logging", "triggers", "addPreviousOutputInEnv")
_OUTPUTS = ("stdout", "stderr")
_LOGGED = {
    "stdout": {"stdout"},
    "stderr": {"stderr"},
    "stdoutAndStderr": {"stdout", "stderr"},
    "none": set[str](),
}
_DEFAULT_LOGGING = "stdoutAndStderr"
_INTERPRETER = ("/bin/sh", "-c")
# Masking shorter texts would make the rest of the output unreadable.
_SHORTEST_MASKED = 4
_SHORTEST_MASKED_LINE = 8


@dataclass(frozen=True)
class Finished:
    """Output of a command that succeeded."""

    stdout: str
    stderr: str


class RunningCommand:
    """The processes that commands have running now, so that they can be ended."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False

    def start(self, script: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, so that its children end with it."""
        with self._lock:
            if self._cancelled:
                raise Refusal("cancelled")
            process = subprocess.Popen(
                [*_INTERPRETER, script],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._processes.add(process)
            return process

    def finished(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a process: what it left running in the background is not ended any more."""
        with self._lock:
            self._processes.discard(process)

    def cancel(self) -> None:
        """Kill every process with its group and start no more."""
        with self._lock:
            self._cancelled = True
            for process in self._processes:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


class Mask:
    """Hides the secrets among the inputs in texts that are shown."""

    def __init__(self, inputs: Properties) -> None:
        """Collect what must not be shown."""
        texts = {text for text in secret_texts(inputs) if len(text.strip()) >= _SHORTEST_MASKED}
        lines = {line.strip() for text in texts for line in text.splitlines()}
        hidden = texts | {line for line in lines if len(line) >= _SHORTEST_MASKED_LINE}
        longest_first = sorted(hidden, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if hidden else None

    def __call__(self, text: str) -> str:
        """The text with every secret replaced."""
        return self._pattern.sub("[secret]", text) if self._pattern else text


class CommandProvider:
    """Runs commands for the engine."""

    version = VERSION

    def __init__(self, log: Log) -> None:
        """Send the commands' output to `log`."""
        self._log = log
        self._running = RunningCommand()

    def check(self, target: Target, news: Properties) -> list[Failure]:
        """Return the inputs that are of the wrong type or not supported."""
        return list(_failures(news))

    def diff(self, target: Target, inputs: Properties, state: Properties, news: Properties) -> PropertyChange:
        """Any change runs a command; that one of `triggers` makes a new resource, the SDK says (replace_on_changes)."""
        return changed(inputs, news, lambda name: False)

    def create(self, target: Target, news: Properties, preview: bool) -> tuple[str, Properties]:
        """Run `create`."""
        if preview:
            return "", _unknown_outputs(news)
        return f"{target.name}{secrets.token_hex(4)}", self._outputs(target, news, plain(news.get("create")), {})

    def update(self, target: Target, state: Properties, news: Properties, preview: bool) -> Properties:
        """Run `update`, or `create` where there is none."""
        if preview:
            return _unknown_outputs(news)
        script = plain(news["update"]) if "update" in news else plain(news.get("create"))
        return self._outputs(target, news, script, state)

    def delete(self, target: Target, state: Properties) -> None:
        """Run `delete` with the inputs that are in state."""
        if (script := plain(state.get("delete"))) is not None:
            self._run(target, state, str(script), state)

    def read(self, target: Target, state: Properties) -> Properties:
        """Return the state unchanged: there is no way to look at what a command has made."""
        return state

    def cancel(self) -> None:
        """Kill the commands that run."""
        self._running.cancel()

    def _outputs(self, target: Target, news: Properties, script: Value, previous: Properties) -> Properties:
        kept = {name: previous[name] for name in _OUTPUTS if name in previous}
        if script is None:
            # The official plugin has the two texts in its state even when it ran nothing.
            produced: Properties = {"stdout": "", "stderr": "", **kept}
        else:
            finished = self._run(target, news, str(script), previous)
            produced = {**kept, "stdout": finished.stdout, "stderr": finished.stderr}
        return {**news, **produced}

    def _run(self, target: Target, inputs: Properties, script: str, previous: Properties) -> Finished:
        mask = Mask({**inputs, **{f"previous {name}": previous[name] for name in _OUTPUTS if name in previous}})
        logged = _LOGGED[str(plain(inputs.get("logging", _DEFAULT_LOGGING)))]
        try:
            process = self._running.start(script, _environment(inputs, previous))
        except (OSError, ValueError) as error:
            raise Refusal(mask(f"{error}: running {script!r}")) from None
        try:
            return _finish(
                process,
                str(plain(inputs.get("stdin", ""))),
                lambda stream, line: self._log(target, mask(line)) if stream in logged else None,
                lambda status, text: Refusal(mask(f'{status}: running "{script}":\n{text}')),
            )
        finally:
            self._running.finished(process)


def _finish(
    process: subprocess.Popen[bytes],
    stdin: str,
    show: Callable[[str, str], None],
    refusal: Callable[[str, str], Refusal],
) -> Finished:
    """Feed a process, collect what it writes, in the order in which it came for the error text."""
    together: list[bytes] = []
    apart: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    assert process.stdout is not None and process.stderr is not None and process.stdin is not None

    def collect(name: str, stream: IO[bytes]) -> None:
        for line in stream:
            apart[name].append(line)
            together.append(line)
            show(name, line.decode(errors="replace").rstrip("\r\n"))

    readers = [
        threading.Thread(target=collect, args=(name, stream), daemon=True)
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for reader in readers:
        reader.start()
    _feed(process.stdin, stdin)
    status = process.wait()
    for reader in readers:
        reader.join()
    if status != 0:
        raise refusal(_status(status), b"".join(together).decode(errors="replace"))
    return Finished(*(b"".join(apart[name]).decode(errors="replace").removesuffix("\n") for name in apart))


def _feed(stream: IO[bytes], text: str) -> None:
    try:
        stream.write(text.encode())
        stream.close()
    except BrokenPipeError:
        # A command may end without reading what it was given.
        return


def _status(code: int) -> str:
    return f"exit status {code}" if code > 0 else f"signal: {signal.strsignal(-code) or -code}".lower()


def _environment(inputs: Properties, previous: Properties) -> dict[str, str]:
    environment = outer_environment()
    given = plain(inputs.get("environment"))
    if isinstance(given, dict):
        environment |= {name: _text(value) for name, value in given.items()}
    if plain(inputs.get("addPreviousOutputInEnv", True)):
        for name in ("stdout", "stderr"):
            if text := plain(previous.get(name)):
                environment[f"PULUMI_COMMAND_{name.upper()}"] = _text(text)
    return environment


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unknown_outputs(news: Properties) -> Properties:
    return {**news, **dict.fromkeys(_OUTPUTS, UNKNOWN)}


def _failures(inputs: Properties) -> Iterator[Failure]:
    yield from unsupported(inputs, _INPUTS)
    for name, value in inputs.items():
        known = plain(value)
        if known is UNKNOWN:
            continue
        if name in _TEXTS and not isinstance(known, str):
            yield Failure(name, "expected a string")
        if name == "environment" and not isinstance(known, dict):
            yield Failure(name, "expected a map of strings")
        if name == "logging" and known not in _LOGGED:
            yield Failure(name, f"expected one of {', '.join(_LOGGED)}")


if __name__ == "__main__":
    serve_provider(CommandProvider)
