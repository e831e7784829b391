"""`mesh env`: the environment in which `pulumi` works in a shell."""

import shlex

from mesh_federation.cli.stacks import toolchain
from mesh_federation.cli.surroundings import CURRENT
from mesh_federation.clusters import registry


def env() -> None:
    """Print one `export` for each variable."""
    tools = toolchain({registry.DEFAULT})
    workspace = CURRENT.get().workspace()
    workspace.prepare(tools)
    for name, value in workspace.environment(tools).items():
        print(f"export {name}={shlex.quote(value)}")
