"""The stand-ins together under the real engine, started from the command line as a user does."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh_federation.toolchain.install import Toolchain
from tests.engine.conformance.client import all_gone
from tests.engine.conformance.implementations import CHECKOUT

STAND_INS = {"resource-command": "command", "resource-tls": "tls", "language-python": "language"}
PASSWORD = "correct-horse-battery-staple"
# Bounds an engine that hangs; nothing here takes a tenth of it.
DEADLINE_SECONDS = 120


@dataclass(frozen=True)
class Project:
    """A Pulumi project of its own, with state and home of its own."""

    folder: Path
    environment: dict[str, str]

    def program(self, text: str) -> None:
        """Write the program."""
        (self.folder / "__main__.py").write_text(text)

    def pulumi(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the engine to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Command line of the engine."""
        return ("pulumi", *arguments, "--non-interactive")

    def up(self, **environment: str) -> str:
        """Bring the stack up; what the engine showed."""
        done = self.pulumi("up", "--yes", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def outputs(self) -> dict[str, object]:
        """Outputs of the stack."""
        found = json.loads(self.pulumi("stack", "output", "--json", "--show-secrets").stdout)
        assert isinstance(found, dict)
        return found

    def state(self) -> dict[str, dict[str, object]]:
        """Resources in state by name, secrets as the backend keeps them."""
        exported = json.loads(self.pulumi("stack", "export").stdout)
        return {each["urn"].rpartition("::")[2]: each for each in exported["deployment"].get("resources", [])}


@pytest.fixture
def project(tmp_path: Path, toolchain: Toolchain) -> Project:
    tools, folder, state = (tmp_path / name for name in ("bin", "project", "state"))
    for each in (tools, folder, state):
        each.mkdir()
    for program, module in STAND_INS.items():
        _launcher(tools / f"pulumi-{program}", module)
    (folder / "Pulumi.yaml").write_text("name: conformance\nruntime: python\n")
    environment = os.environ | {
        "PATH": os.pathsep.join([str(tools), str(toolchain.bin), os.environ["PATH"]]),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "passphrase",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    made = Project(folder, environment)
    created = made.pulumi("stack", "init", "test")
    assert created.returncode == 0, created.stderr
    return made


def _launcher(path: Path, module: str) -> None:
    run = f'"{sys.executable}" -m mesh_federation.toolchain.standins.{module}'
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{CHECKOUT}" exec {run} "$@"\n')
    path.chmod(0o755)


CHAIN = """
import pulumi, pulumi_command as command, pulumi_tls as tls
key = tls.PrivateKey("key", algorithm="ECDSA", ecdsa_curve="P256")
root = tls.SelfSignedCert("root", private_key_pem=key.private_key_pem, is_ca_certificate=True,
    allowed_uses=["cert_signing"], validity_period_hours=100, subject={"common_name": "root"})
leaf_key = tls.PrivateKey("leaf-key", algorithm="RSA", rsa_bits=2048)
request = tls.CertRequest("request", private_key_pem=leaf_key.private_key_pem, dns_names=["a.test"],
    subject={"common_name": "leaf"})
leaf = tls.LocallySignedCert("leaf", cert_request_pem=request.cert_request_pem, ca_cert_pem=root.cert_pem,
    ca_private_key_pem=key.private_key_pem, is_ca_certificate=True, allowed_uses=["cert_signing"],
    validity_period_hours=10)
shown = command.local.Command("shown", create="openssl x509 -noout -ext subjectAltName", stdin=leaf.cert_pem)
pulumi.export("names", shown.stdout)
"""


def test_keys_certificates_and_a_command_come_up_stay_and_go(project: Project) -> None:
    project.program(CHAIN)
    preview = project.pulumi("preview")
    assert (preview.returncode, "7 to create" in preview.stdout) == (0, True), preview.stdout
    assert "7 created" in project.up()
    assert "DNS:a.test" in str(project.outputs()["names"])
    assert "7 unchanged" in project.up()
    refreshed = project.pulumi("refresh", "--yes")
    assert "7 unchanged" in refreshed.stdout
    assert "7 deleted" in project.pulumi("destroy", "--yes").stdout
    assert project.state() == {}


def test_private_keys_are_in_plain_text_nowhere(project: Project) -> None:
    project.program(CHAIN)
    shown = project.up() + project.pulumi("preview", "--diff").stdout + json.dumps(project.state())
    assert "BEGIN CERTIFICATE" in shown
    assert "PRIVATE KEY-----" not in shown


TRIGGERED = """
import os, pulumi_command as command
command.local.Command("it", create="echo create >> log", update="echo update >> log", delete="echo delete >> log",
    triggers=[os.environ["TRIGGER"]], environment={"A": os.environ["A"]})
"""


def test_update_replacement_and_deletion_run_in_the_order_of_the_official_plugin(project: Project) -> None:
    project.program(TRIGGERED)
    project.up(TRIGGER="1", A="1")
    project.up(TRIGGER="1", A="2")
    assert "1 replaced" in project.up(TRIGGER="2", A="2")
    project.pulumi("destroy", "--yes")
    assert (project.folder / "log").read_text().split() == ["create", "update", "create", "delete", "delete"]


def test_failed_create_is_shown_and_leaves_nothing_in_state(project: Project) -> None:
    project.program('import pulumi_command as c\nc.local.Command("it", create="echo reason >&2; exit 7")')
    done = project.pulumi("up", "--yes")
    assert done.returncode != 0
    assert "exit status 7" in done.stdout
    assert "reason" in done.stdout
    assert "it" not in project.state()


def test_secret_stdin_is_encrypted_in_state_and_never_shown(project: Project) -> None:
    """What a command makes of it is secret where the program says so, as every Command of this product does."""
    project.program(
        "import pulumi, pulumi_command as c\n"
        f'it = c.local.Command("it", create="cat", stdin=pulumi.Output.secret("{PASSWORD}"), logging="none",\n'
        '    opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout", "stderr"]))\n'
        'pulumi.export("out", it.stdout)\n'
    )
    shown = project.up() + json.dumps(project.state())
    assert PASSWORD not in shown
    assert project.outputs() == {"out": PASSWORD}


def test_program_output_is_shown_with_config_and_names(project: Project) -> None:
    project.pulumi("config", "set", "greeting", "hello")
    project.program(
        "import pulumi\n"
        "print(pulumi.Config().require('greeting'), pulumi.get_project(), pulumi.get_stack(), end=' ')\n"
        "print(pulumi.runtime.is_dry_run())"
    )
    assert "hello conformance test True" in project.pulumi("preview").stdout


def test_program_imports_its_neighbours_and_nothing_of_the_stand_ins(project: Project) -> None:
    (project.folder / "neighbour.py").write_text("NAME = 'next door'")
    project.program(
        "import importlib.util, neighbour\n"
        "print(neighbour.NAME, [importlib.util.find_spec(n) for n in ('values', 'toolchain')])"
    )
    assert "next door [None, None]" in project.pulumi("preview").stdout


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("import pulumi\nraise pulumi.RunError('fix this')", "error: fix this"),
    ],
)
def test_explained_failure_is_shown_once(project: Project, program: str, message: str) -> None:
    project.program(program)
    done = project.pulumi("preview")
    assert done.returncode != 0
    diagnostics = done.stdout.partition("Diagnostics:")[2]
    assert diagnostics.count(message) == 1
    assert "non-zero exit code" not in done.stdout
    assert "standins" not in done.stdout


def test_exit_code_of_a_program_is_shown(project: Project) -> None:
    project.program("raise SystemExit(5)")
    done = project.pulumi("preview")
    assert done.returncode != 0
    assert "exit code: 5" in done.stdout


def test_missing_program_is_an_error_that_names_the_file(project: Project) -> None:
    done = project.pulumi("preview")
    assert done.returncode != 0
    assert "__main__.py" in done.stdout + done.stderr


def test_virtual_environment_without_python_is_an_error_that_names_it(project: Project) -> None:
    (project.folder / "Pulumi.yaml").write_text(
        "name: conformance\nruntime:\n  name: python\n  options:\n    virtualenv: absent\n"
    )
    project.program("")
    done = project.pulumi("preview")
    assert done.returncode != 0
    assert f"{project.folder}/absent/bin/python does not exist" in done.stdout + done.stderr


def test_virtual_environment_of_the_project_runs_the_program(project: Project) -> None:
    (project.folder / "venv" / "bin").mkdir(parents=True)
    python = project.folder / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nTHROUGH=venv exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (project.folder / "Pulumi.yaml").write_text(
        "name: conformance\nruntime:\n  name: python\n  options:\n    virtualenv: venv\n"
    )
    project.program("import os; print('through', os.environ['THROUGH'])")
    assert "through venv" in project.pulumi("preview").stdout


def test_main_folder_of_the_project_is_run(project: Project) -> None:
    (project.folder / "Pulumi.yaml").write_text("name: conformance\nruntime: python\nmain: deep/er\n")
    (project.folder / "deep" / "er").mkdir(parents=True)
    (project.folder / "deep" / "er" / "__main__.py").write_text("import os; print('in', os.getcwd())")
    assert f"in {project.folder}/deep/er" in project.pulumi("preview").stdout


def test_interrupt_ends_the_command_and_the_engine(project: Project) -> None:
    os.mkfifo(project.folder / "alive")
    project.program(
        "import pulumi_command as c\n"
        'c.local.Command("it", create="exec 3>alive; echo up >&3; tail -f /dev/null & tail -f /dev/null")'
    )
    engine = subprocess.Popen(
        project.command("up", "--yes", "--skip-preview"),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with (project.folder / "alive").open() as alive:
        assert alive.readline() == "up\n"
        engine.send_signal(signal.SIGINT)
        assert all_gone(alive)
    assert engine.wait(DEADLINE_SECONDS) != 0


def test_killed_engine_leaves_no_command_running(project: Project) -> None:
    os.mkfifo(project.folder / "alive")
    project.program(
        'import pulumi_command as c\nc.local.Command("it", create="exec 3>alive; echo up >&3; tail -f /dev/null")'
    )
    engine = subprocess.Popen(
        project.command("up", "--yes", "--skip-preview"),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with (project.folder / "alive").open() as alive:
        assert alive.readline() == "up\n"
        engine.kill()
        assert all_gone(alive)
    engine.wait(DEADLINE_SECONDS)
