"""`mesh verify` as tests run it."""

import json
from dataclasses import dataclass
from functools import partial

from tests.checkout import eventually
from tests.traffic.lab import PATIENCE, Lab
from tests.traffic.mutations import Mutation


@dataclass(frozen=True)
class Verified:
    """What a verification came to.

    Attributes:
        code: exit status.
        statuses: id of a check, what it proves, how it ended.
        told: what was found, in the order of the report.
    """

    code: int
    statuses: list[tuple[str, str, str]]
    told: list[str]

    def ended(self, status: str) -> list[str]:
        """Ids of the checks that ended so, causes first."""
        return [check for check, _, each in self.statuses if each == status]


def verify(lab: Lab, *arguments: str) -> Verified:
    """Run it and read its report."""
    done = lab.checkout.mesh("verify", f"--stack={lab.checkout.stack}", "--format=json", *arguments)
    assert done.stdout.startswith("{"), done.text
    results = json.loads(done.stdout)["results"]
    return Verified(
        done.code,
        [(each["id"], each["proves"], each["status"]) for each in results],
        [f"{each['id']}: {each['found']}" for each in results if each["status"] in ("failed", "could-not-run")],
    )


def green(lab: Lab, *arguments: str) -> bool:
    """Say whether all that applies passes."""
    return verify(lab, *arguments).code == 0


def until_green(lab: Lab) -> Verified:
    """Verify until all that applies passes; what never does is told."""
    seen: list[Verified] = []

    def passes() -> bool:
        seen.append(verify(lab))
        return seen[-1].code == 0

    try:
        eventually(passes, PATIENCE)
    except AssertionError:
        raise AssertionError("\n".join(seen[-1].told)) from None
    return seen[-1]


def goes_red_and_green(lab: Lab, mutation: Mutation) -> None:
    """Break what a check guards, and mend it."""
    only = [f"--only={mutation.check}", *(["--drill"] if mutation.check.startswith("drill.") else [])]
    eventually(partial(green, lab, *only), PATIENCE)
    mutation.do(lab)
    try:
        eventually(lambda: verify(lab, *only).ended("failed") != [], PATIENCE)
    finally:
        mutation.undo(lab)
    eventually(partial(green, lab, *only), PATIENCE)
