"""`mesh verify` on simulated control planes: what applies there is checked, goes red, and never hangs."""

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.checkout import Checkout, eventually
from tests.traffic.lab import Lab
from tests.traffic.mutations import MUTATIONS, ON_PAPER, Mutation
from tests.traffic.verified import goes_red_and_green, green, verify


def test_what_applies_passes_and_traffic_is_never_passed(running: Checkout) -> None:
    told = verify(Lab(running))
    assert told.code == 0, told.told
    assert set(told.ended("passed")) == {*ON_PAPER, "control-planes.api", "gateways.address"}
    assert {check.partition(".")[0] for check in told.ended("not-applicable")} >= {
        "exports",
        "imports",
        "traffic",
        "refusals",
    }


@pytest.mark.parametrize("mutation", [each for each in MUTATIONS if each.check in ON_PAPER], ids=str)
def test_a_check_is_red_while_what_it_guards_is_broken(running: Checkout, mutation: Mutation) -> None:
    goes_red_and_green(Lab(running), mutation)


def test_a_cluster_that_is_stopped_is_named_first_and_the_other_is_checked(running: Checkout) -> None:
    stopped = running.processes(f"kwok/clusters/{running.real_name('west')}/")
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        told = verify(Lab(running))
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)
    assert told.code == 1
    assert told.told[0].startswith("control-planes.api: west does not answer"), told.told
    passed = {check for check, proves, status in told.statuses if proves.startswith("east: ") and status == "passed"}
    assert passed >= {"trust.cacerts", "gateways.address", "control-planes.definitions"}
    eventually(partial(green, Lab(running)))


def test_an_expired_kubeconfig_could_not_run_and_says_what_to_renew(running: Checkout, tmp_path: Path) -> None:
    file = running.home / "kubeconfigs" / running.stack / "west"
    kept = file.read_text(encoding="utf-8")
    without = [line for line in kept.splitlines() if "client-certificate-data" not in line and "client-key" not in line]
    file.write_text("\n".join(without), encoding="utf-8")
    try:
        done = running.mesh("verify", "--only=clusters.west", "--only=trust", "--format=json")
    finally:
        file.write_text(kept, encoding="utf-8")
    results = json.loads(done.stdout)["results"]
    west = [each for each in results if each["proves"].startswith("west: ") and each["status"] == "could-not-run"]
    assert west, done.text
    assert all("west" in each["hint"] for each in west), west
    assert "Traceback" not in done.text


def test_nothing_that_is_up_cannot_be_verified_and_says_how_to_bring_it_up(fresh: Checkout) -> None:
    done = fresh.mesh("verify")
    assert (done.code, done.stdout) == (2, "")
    assert "simulated cannot be verified: it is not up\n  -> ./mesh up --stack simulated" in done.stderr


def test_a_check_that_there_is_not_is_told_with_those_that_there_are(running: Checkout) -> None:
    done = running.mesh("verify", "--only=trsut")
    assert done.code == 2
    assert "no check matches trsut" in done.stderr and "trust.cacerts" in done.stderr


def test_ctrl_c_ends_it_at_once_without_a_traceback(running: Checkout) -> None:
    process = running.start("verify", f"--stack={running.stack}")
    assert process.stdout
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    told = process.stdout.read()
    assert process.wait(30) == 130
    assert "Traceback" not in told
    assert verify(Lab(running)).code == 0
