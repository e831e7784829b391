"""Runs one Pulumi program: the language host starts this file with the project's Python.

It imports nothing of this package, because that Python may not have it.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

# The message has been shown to the user: the engine must add nothing.
EXPLAINED = 32
# What a shell reports for a program that SIGINT ended.
INTERRUPTED = 130
_THREADS_PER_OPERATION = 4


def main() -> int:
    """Run the program named on the command line. Returns the exit code for the language host."""
    settings, program = json.loads(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    try:
        import pulumi
    except ImportError:
        print(f"{sys.executable} has no Pulumi SDK: install the project's requirements into it", file=sys.stderr)
        return 1
    _configure(settings)
    try:
        _run(program, int(settings["parallel"]))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return EXPLAINED
    except Exception as error:
        pulumi.log.error(_explanation(error, program))
        return EXPLAINED
    return 0


def _configure(settings: dict[str, object]) -> None:
    from pulumi import runtime
    from pulumi.runtime.config import get_config_env, get_config_secret_keys_env, set_all_config

    set_all_config(get_config_env(), get_config_secret_keys_env())
    runtime.configure(runtime.Settings(**settings))  # type: ignore[arg-type]


def _run(program: str, parallel: int) -> None:
    import pulumi

    # A program that fails leaves futures that nobody awaits: that is no news to its user.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with ThreadPoolExecutor(max(parallel, 1) * _THREADS_PER_OPERATION) as executor:
        loop.set_default_executor(executor)
        try:
            loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _execute(program)))
        except KeyboardInterrupt:
            # The executor's threads wait for the engine, which waits for this process.
            os._exit(INTERRUPTED)
    loop.close()


def _execute(program: str) -> None:
    import pulumi

    if os.path.isdir(program) and not os.path.exists(os.path.join(program, "__main__.py")):
        raise pulumi.RunError(f"there is no `__main__.py` in {program}")
    runpy.run_path(program, run_name="__main__")


def _explanation(error: Exception, program: str) -> str:
    """The error with the part of its traceback that begins in the user's program."""
    step: TracebackType | None = error.__traceback__
    while step is not None and not step.tb_frame.f_code.co_filename.startswith(os.path.abspath(program)):
        step = step.tb_next
    shown = traceback.format_exception(type(error), error, step or error.__traceback__)
    return "Program failed with an unhandled exception:\n" + "".join(shown)


if __name__ == "__main__":
    sys.exit(main())
