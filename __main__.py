"""The Pulumi program: load the model, plan, build the federation, export what people need to use it."""

import os
import signal
from pathlib import Path

import pulumi

from components.federation import Federation, FederationArgs
from mesh_federation.loader import layered, parse
from mesh_federation.plan.federation import plan
from mesh_federation.plan.relocation import refuse_moves
from mesh_federation.plan.root_identity import EarlierVersion
from mesh_federation.plan.rotation import check_step, trust_state
from mesh_federation.resources import existing, relocation
from mesh_federation.resources.rotation import last_outputs, last_trust
from mesh_federation.stack.overlay import chosen
from mesh_federation.stack.problem import InvalidModel

# The engine interrupts the program at Ctrl-C and when a resource fails, and reports why: no traceback beside that.
signal.signal(signal.SIGINT, lambda number, frame: os._exit(32))  # to Pulumi: everything is reported already

stack = pulumi.get_stack()
try:
    layers = layered(pulumi.Config().require_object("federation"), Path(f"Pulumi.{stack}.yaml"), chosen(os.environ))
    with layers.checked():
        federation = parse(layers.tree)
        planned = plan(federation, stack)
        trusted, before = last_trust(stack), last_outputs(stack, "clusters")
        check_step(trusted, trust_state(planned.trust), federation.trust.revoked)
        refuse_moves(planned.clusters, relocation.installed(before, trusted.issuers))
        recorded = existing.recorded(before)
        existing.recognised(stack, planned, recorded, preview=pulumi.runtime.is_dry_run())
except (InvalidModel, EarlierVersion) as error:
    raise pulumi.RunError(str(error)) from None

for each in federation.waiting:
    pulumi.info(each)
made = Federation("federation", FederationArgs(planned, stack, recorded))
pulumi.export("clusters", made.clusters)
pulumi.export("trust", made.trust)
