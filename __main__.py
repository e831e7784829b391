"""The Pulumi program: load the model, plan, build the federation, export what people need to use it."""

import pulumi

from components.federation import Federation, FederationArgs
from model.finding import InvalidModel
from model.plan import plan
from model.stackfile import parse

stack = pulumi.get_stack()
try:
    model = parse(pulumi.Config().require_object("federation"))
    planned = plan(model, stack)
except InvalidModel as invalid:
    raise pulumi.RunError(str(invalid)) from None

federation = Federation("federation", FederationArgs(planned, stack))
pulumi.export("clusters", federation.clusters)
