"""A machine for reports."""

from benchmarks.machine import Machine

MACHINE = Machine("a processor", 2, 8.0, "Linux", 0.0, {"python": "3.11"})
