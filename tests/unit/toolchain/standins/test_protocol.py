"""Loading the protobufs alone harms nothing that needs the whole SDK."""

import subprocess
import sys


def run(program: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_plugins_do_not_load_the_sdk() -> None:
    assert run("import sys, mesh_federation.toolchain.standins.plugin; print('pulumi' in sys.modules)") == "False\n"


def test_plugins_load_no_cryptography_before_they_need_it() -> None:
    assert run("import sys, mesh_federation.toolchain.standins.tls; print('cryptography' in sys.modules)") == "False\n"


def test_the_sdk_can_be_loaded_afterwards_and_shares_the_protobufs() -> None:
    program = (
        "from mesh_federation.toolchain.standins.protocol import provider_pb2 as ours\n"
        "import pulumi\n"
        "from pulumi.runtime.proto import provider_pb2 as theirs\n"
        "print(ours is theirs, pulumi.Output.__name__)\n"
    )
    assert run(program) == "True Output\n"
