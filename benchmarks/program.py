"""The Pulumi program alone: no engine waits for it, and it waits for no engine.

usage: python -m benchmarks.program STACK   in an environment with MESH_CHARTS and helm

A monitor inside the process answers every registration at once, as in a first preview. Prints the clock at the last
registration, and how many there were.
"""

import asyncio
import json
import runpy
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TypedDict

CHECKOUT = Path(__file__).resolve().parent.parent


class Registered(TypedDict):
    """What this program prints.

    Attributes:
        last: seconds of the system's clock.
        resources: how many were registered.
    """

    last: float
    resources: int


def measure(stack: str, environment: Mapping[str, str]) -> float:
    """Return the seconds from the start of an interpreter to the program's last registration."""
    from benchmarks.scratch import run

    begun = time.time()
    said = run([sys.executable, "-m", "bench.program", stack], CHECKOUT, environment)
    registered: Registered = json.loads(said)
    return registered["last"] - begun


def main(stack: str) -> None:
    """Run __main__.py and print what was registered when."""
    import pulumi
    import yaml
    from pulumi.runtime import mocks
    from pulumi.runtime.stack import wait_for_rpcs

    registered: Registered = {"last": 0.0, "resources": 0}

    class Monitor(mocks.Mocks):
        def call(self, args: mocks.MockCallArgs) -> NoReturn:
            raise AssertionError(f"the program calls {args.token}")

        def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, object]]:
            registered["last"] = time.time()
            registered["resources"] += 1
            return "", args.inputs

    config = yaml.safe_load((CHECKOUT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    pulumi.runtime.set_all_config({key: json.dumps(value) for key, value in config.items()})
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(Monitor(), project="mesh-federation", stack=stack, preview=True)

    async def program() -> None:
        runpy.run_path(str(CHECKOUT / "__main__.py"), run_name="__main__")
        await wait_for_rpcs()

    loop.run_until_complete(program())
    print(json.dumps(registered))


if __name__ == "__main__":
    main(sys.argv[1])
