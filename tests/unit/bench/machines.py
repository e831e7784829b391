"""A machine for reports."""

from bench.machine import Machine

MACHINE = Machine("a processor", 2, 8.0, "Linux", 0.0, {"python": "3.11"})
