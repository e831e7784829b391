"""Which machines are refused before anything is made, and what their owners are told."""

import sys
from pathlib import Path

import pytest

from mesh_federation.native import support
from mesh_federation.native.sandbox import LIMIT, refused


def test_a_machine_without_namespaces_is_told_what_runs_there() -> None:
    problem = support.unknown_system("darwin")
    assert "this is macOS" in problem.what and "simulated" in problem.fix and "kind" in problem.fix


@pytest.mark.parametrize(
    ("release", "what"),
    [
        ("4.4.0-19041-Microsoft", "WSL 1 only imitates it"),
        ("5.11.0-1027-azure", "need Linux 5.12 or newer, and this is 5.11.0-1027-azure"),
        ("4.18.0-553.el8_10.x86_64", "need Linux 5.12 or newer"),
    ],
)
def test_a_kernel_that_lacks_something_is_named(release: str, what: str) -> None:
    [problem] = support.unfit_kernel(release, "x86_64")
    assert what in problem.what and problem.fix


@pytest.mark.parametrize("release", ["5.12.0", "5.15.167.4-microsoft-standard-WSL2", "6.8.0-45-generic", "10.0"])
def test_newer_kernels_are_fit(release: str) -> None:
    assert not list(support.unfit_kernel(release, "aarch64"))


def test_a_machine_of_an_unknown_kind_is_refused() -> None:
    [problem] = support.unfit_kernel("6.8.0", "riscv64")
    assert "this machine is riscv64" in problem.what


def test_each_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "ip").touch(mode=0o755)
    found = {problem.what: problem.fix for problem in support.missing_programs(str(tmp_path))}
    assert found == {
        "nft is not installed": "install the package nftables",
        "nsenter is not installed": "install the package util-linux",
        "curl is not installed": "install the package curl",
    }


def test_a_program_that_users_do_not_have_on_their_path_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for program in support.PROGRAMS:
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(support, "FOLDERS", (str(tmp_path),))
    assert not list(support.missing_programs())


def test_another_system_is_refused_without_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(support, "tried", pytest.fail)
    assert [problem.rule for problem in support.obstacles.__wrapped__()] == ["not-linux"]


def sysctl(machine: Path, name: str, value: str) -> None:
    file = machine / "proc" / "sys" / name.replace(".", "/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


@pytest.mark.parametrize(
    ("name", "value", "command"),
    [
        ("kernel.apparmor_restrict_unprivileged_userns", "1",
         "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel.unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        (LIMIT, "0", "sudo sysctl -w user.max_user_namespaces=65536"),
    ],
)  # fmt: skip
def test_a_sysctl_that_forbids_namespaces_is_named_with_the_command_that_allows_them(
    tmp_path: Path, name: str, value: str, command: str
) -> None:
    sysctl(tmp_path, name, value)
    problem = refused("unshare USER: Operation not permitted", False, tmp_path)
    assert problem.fix == command
    assert problem.what.startswith(f"{name} is {value}") and "Operation not permitted" in problem.why


def test_root_is_not_told_of_what_forbids_namespaces_to_users_alone(tmp_path: Path) -> None:
    sysctl(tmp_path, "kernel.apparmor_restrict_unprivileged_userns", "1")
    (tmp_path / ".dockerenv").touch()
    assert "--privileged" in refused("no", True, tmp_path).fix


@pytest.mark.parametrize("file", [".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io"])
def test_in_a_container_it_is_the_container_that_must_allow_more(tmp_path: Path, file: str) -> None:
    (tmp_path / file).mkdir(parents=True)
    assert refused("no", True, tmp_path).what == "this container may not make private namespaces"


def test_a_refusal_that_nothing_explains_shows_what_the_kernel_said(tmp_path: Path) -> None:
    sysctl(tmp_path, LIMIT, "96000")
    problem = refused("unshare USER: Invalid argument", False, tmp_path)
    assert problem.why == "unshare USER: Invalid argument" and "simulated" in problem.fix
