"""`mesh env`: the environment in which `pulumi` works in a shell."""

import shlex

from mesh_federation.cli.stacks import toolchain
from mesh_federation.clusters import registry
from mesh_federation.engine.workspace import Workspace


def env() -> None:
    """Print one `export` for each variable."""
    tools = toolchain({registry.DEFAULT})
    workspace = Workspace.current()
    workspace.prepare(tools)
    for name, value in workspace.environment(tools).items():
        print(f"export {name}={shlex.quote(value)}")
