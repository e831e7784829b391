"""The program leaves without a word when the engine interrupts it: the engine tells why by itself."""

import subprocess
import sys

from tests.unit.components.recorder import ROOT

INTERRUPTED = """
import os, runpy, signal
import pulumi
pulumi.get_stack = lambda: os.kill(os.getpid(), signal.SIGINT)
runpy.run_path("__main__.py", run_name="__main__")
"""
ALL_IS_TOLD = 32
"""Exit status after which neither language host adds anything (pulumi-language-python)."""


def test_an_interrupted_program_shows_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (ALL_IS_TOLD, "", "")
