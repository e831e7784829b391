"""A command that is asked to end while programs run for it: it waits for them, and begins nothing more.

Ctrl-C in a terminal reaches those programs too. A SIGTERM, as services and pipelines send it, reaches this process
alone, and is passed on.
"""

import signal
import subprocess
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], object] | int | None
INTERRUPTED = 130
"""Exit status of a command that was asked to end: that of shells and of Typer after Ctrl-C."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """What asked the command to end while the block ran, if anything did.

    Only the main thread may enter the block; programs may be waited for in any thread.
    """

    def __init__(self, passed_on: signal.Signals) -> None:
        """Begin without one.

        Args:
            passed_on: the signal by which a program is asked to end.
        """
        self._passed_on = passed_on
        self._signals: set[int] = set()
        self._running: set[subprocess.Popen[Any]] = set()
        self._told: set[subprocess.Popen[Any]] = set()
        self._before: dict[signal.Signals, Handler] = {}

    @property
    def asked(self) -> bool:
        """Say whether the command is to end."""
        return bool(self._signals)

    def __enter__(self) -> "Interruption":
        """Listen for signals."""
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Leave signals to whoever listened before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, command: Sequence[str], **options: Any) -> int:  # noqa: ANN401 - those of Popen
        """Run a program to its end, and return its exit status; none is begun after the command was asked to end."""
        if self.asked:
            return INTERRUPTED
        program = subprocess.Popen(command, **options)
        self._running.add(program)
        self._pass_on()  # a signal may have come before the program was known
        try:
            return program.wait()
        finally:
            self._running.discard(program)

    def _ask(self, number: int, _: FrameType | None) -> None:
        self._signals.add(number)
        self._pass_on()

    def _pass_on(self) -> None:
        """Ask each program once: the engine would end at once if it were asked twice."""
        for each in tuple(self._running - self._told) if signal.SIGTERM in self._signals else ():
            self._told.add(each)
            each.send_signal(self._passed_on)
