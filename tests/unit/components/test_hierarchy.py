"""What `mesh trust` tells before anything is made is what the program makes and leaves in the stack's outputs."""

import pytest

from mesh_federation.plan.hierarchy import Made, Record
from mesh_federation.stack.pem import fingerprint
from tests.unit.components.conftest import Record as Recorded
from tests.unit.components.test_trust import cacerts
from tests.unit.diagrams.trusts import TREES, told


@pytest.mark.parametrize("name", ["common", "separate", "rotation", "provided"])
def test_what_is_told_before_is_what_the_program_makes(record: Recorded, name: str) -> None:
    stack, tree = TREES[name]
    run = record(tree, stack=stack)
    left = {cluster: Record.model_validate(each) for cluster, each in run.exports["trust"].items()}
    for cluster in told(name, Made(left)).clusters:
        made = cacerts(run, cluster.name)
        own, lifetime = made.links[0], made.links[0].not_valid_after_utc - made.links[0].not_valid_before_utc
        assert (cluster.intermediate.subject, cluster.intermediate.days) == (
            own.subject.rfc4514_string(),
            lifetime.days,
        )
        assert cluster.is_made and cluster.made and cluster.made.authority == fingerprint(made.certificate)
        shown = {root.certificate.subject for root in told(name).roots if root.name in cluster.trusts}
        assert shown == {root.subject.rfc4514_string() for root in made.roots}
