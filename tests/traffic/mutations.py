"""What breaks each check of `mesh verify`: nothing ships as a check that has no entry here.

docs/checks.md is generated from this table. The tests named test_verify show that every entry turns its check red, and
that the check is green before and after.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mesh_federation.verify.certificates import pem
from tests.authorities import authority, cacerts, encoded
from tests.traffic.lab import Lab
from tests.traffic.networks import address

SYSTEM = "--namespace=istio-system"
NOWHERE = "verify.mesh.invalid"

Act = Callable[[Lab], None]


@dataclass(frozen=True)
class Mutation:
    """One way to break a federation.

    Attributes:
        check: id of the check that must go red.
        what: what is broken, for the page of checks.
        stack: the committed stack that is broken.
        do: breaks it.
        undo: mends it.
    """

    check: str
    what: str
    stack: str
    do: Act
    undo: Act

    def __str__(self) -> str:
        """Name a test case."""
        return self.check


def up(lab: Lab) -> None:
    """Mend by the product's own means."""
    lab.checkout.up("--refresh")


def patched(cluster: str, kind: str, name: str, namespace: str, patch: object, form: str = "merge") -> Act:
    """Change an object by hand."""
    words = ["patch", kind, name, f"--namespace={namespace}", f"--type={form}", f"--patch={json.dumps(patch)}"]
    return lambda lab: _ignore(lab.ask(cluster, *words))


def deleted(cluster: str, kind: str, name: str, namespace: str) -> Act:
    """Delete an object by hand."""
    return lambda lab: _ignore(lab.ask(cluster, "delete", kind, name, f"--namespace={namespace}"))


def applied(cluster: str, body: object) -> Act:
    """Add an object by hand."""
    return lambda lab: _ignore(lab.ask(cluster, "apply", "--filename=-", stdin=json.dumps(body)))


def scaled(cluster: str, deployment: str, replicas: int, namespace: str = "istio-system") -> Act:
    """Scale by hand."""
    return lambda lab: lab.scaled(cluster, namespace, deployment, replicas)


def both(*acts: Act) -> Act:
    """Do one after the other."""

    def do(lab: Lab) -> None:
        for act in acts:
            act(lab)

    return do


def restarted(cluster: str, deployment: str, namespace: str) -> Act:
    """Start a Deployment's pods anew, and wait for them."""

    def do(lab: Lab) -> None:
        where = [f"--namespace={namespace}", f"deployment/{deployment}"]
        lab.ask(cluster, "rollout", "restart", *where)
        lab.ask(cluster, "rollout", "status", *where, "--timeout=120s", limit="0")

    return do


def exchanged(lab: Lab) -> None:
    """Put the kubeconfigs of two clusters each in the other's place."""
    folder = lab.checkout.home / "kubeconfigs" / lab.checkout.stack
    texts = {name: (folder / name).read_bytes() for name in ("east", "west")}
    (folder / "east").write_bytes(texts["west"])
    (folder / "west").write_bytes(texts["east"])


def _ignore(told: str) -> None:
    """Kubectl has said what it did."""


def manifest(api: str, kind: str, name: str, namespace: str, spec: object) -> dict[str, object]:
    """An object that nobody declared."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


PERMISSIVE = manifest("security.istio.io/v1", "PeerAuthentication", "open", "httpbin", {"mtls": {"mode": "PERMISSIVE"}})
OTHERS_ALONE = manifest(
    "security.istio.io/v1", "AuthorizationPolicy", "others-alone", "httpbin",
    {"action": "ALLOW", "rules": [{"from": [{"source": {"principals": ["west.local/ns/sleep/sa/sleep"]}}]}]},
)  # fmt: skip
"""A policy of somebody who never heard of other meshes."""
OPEN = manifest(
    "networking.istio.io/v1", "Gateway", "open", "istio-system",
    {
        "selector": {"istio": "eastwestgateway"},
        "servers": [
            {
                "port": {"number": 15443, "name": "tls", "protocol": "TLS"},
                "hosts": ["sleep.sleep.svc.cluster.local"], "tls": {"mode": "AUTO_PASSTHROUGH"},
            }
        ],
    },
)  # fmt: skip
TWICE = json.loads(json.dumps(OPEN).replace("sleep.sleep.svc.cluster.local", "*.local"))
"""It offers once more what is offered already, which Envoy refuses as a whole."""
CREDULOUS = manifest(
    "networking.istio.io/v1alpha3", "EnvoyFilter", "credulous", "httpbin",
    {
        "configPatches": [
            {
                "applyTo": "FILTER_CHAIN",
                "match": {"context": "SIDECAR_INBOUND", "listener": {"filterChain": {"transportProtocol": "tls"}}},
                "patch": {
                    "operation": "MERGE",
                    "value": {
                        "transport_socket": {
                            "name": "envoy.transport_sockets.tls",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
                                "DownstreamTlsContext",
                                "common_tls_context": {
                                    "combined_validation_context": {
                                        "default_validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}
                                    }
                                },
                            },
                        }
                    },
                },
            }
        ]
    },
)  # fmt: skip
"""A service that accepts any certificate."""


ANYBODY = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "anybody", "namespace": "istio-system"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts"}],
}
"""Somebody let all accounts edit in Istio's namespace; `edit` reads Secrets."""


def swapped(cluster: str, days: int) -> Act:
    """Give istiod another authority, with a root of its own."""

    def do(lab: Lab) -> None:
        root = authority("another root CA")
        data = cacerts(authority("another intermediate CA", root, days), root.chain)
        patched(cluster, "secret", "cacerts", "istio-system", {"data": data})(lab)

    return do


def further_root(cluster: str) -> Act:
    """Let a cluster trust one root more than the others do."""

    def do(lab: Lab) -> None:
        held = json.loads(lab.ask(cluster, "get", "secret", "cacerts", SYSTEM, "--output=json"))["data"]
        bundle = base64.b64decode(held["root-cert.pem"]) + pem(*authority("one more root CA").chain)
        data = {"root-cert.pem": encoded(bundle)}
        patched(cluster, "secret", "cacerts", "istio-system", {"data": data})(lab)

    return do


def accepts_another_domain(lab: Lab) -> None:
    """Let west accept a trust domain that nobody has, and drop the policies that would refuse it still."""
    body = exported_filter(lab)
    for patch in body["spec"]["configPatches"]:
        accepted = context(patch)
        domains = accepted["custom_validator_config"]["typed_config"]["trust_domains"]
        domains += [{**each, "name": NOWHERE} for each in domains if each["name"] == "east.local"]
        accepted["match_subject_alt_names"].append({"prefix": f"spiffe://{NOWHERE}/"})
    applied("west", body)(lab)
    unguarded(lab)


def accepts_every_account(lab: Lab) -> None:
    """Let west accept every account of east at TLS, and drop the policies that would refuse it still."""
    body = exported_filter(lab)
    for patch in body["spec"]["configPatches"]:
        context(patch)["match_subject_alt_names"].append({"prefix": "spiffe://east.local/"})
    applied("west", body)(lab)
    unguarded(lab)


def accepts_on_another_port(lab: Lab) -> None:
    """Let west accept callers of east at TLS on one more port."""
    body = exported_filter(lab)
    [patch] = body["spec"]["configPatches"]
    other = json.loads(json.dumps(patch))
    other["match"]["listener"]["filterChain"]["destinationPort"] = 9000
    body["spec"]["configPatches"].append(other)
    applied("west", body)(lab)


def exported_filter(lab: Lab) -> dict[str, Any]:
    """Read the filter of west's exported pods, without what the API server keeps of it."""
    told: dict[str, Any] = json.loads(lab.ask("west", "get", FILTER, EXPORT, "--namespace=httpbin", "--output=json"))
    return {**told, "metadata": {key: told["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}}


def context(patch: dict[str, Any]) -> dict[str, Any]:
    """What a patch of a filter lets a proxy accept."""
    typed = patch["patch"]["value"]["transport_socket"]["typed_config"]
    found: dict[str, Any] = typed["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    return found


def unguarded(lab: Lab) -> None:
    """Drop what refuses foreign callers, for the exported pods and for the whole mesh."""
    deleted("west", POLICY, EXPORT, "httpbin")(lab)
    deleted("west", POLICY, MESH_WIDE, "istio-system")(lab)


def _proxied(config: str | None) -> dict[str, object]:
    """Say what proxies of a Deployment's pods are told; such a field is nobody's drift, as nobody declares it."""
    return {"spec": {"template": {"metadata": {"annotations": {"proxy.istio.io/config": config}}}}}


def offered_by_others(lab: Lab) -> None:
    """Let a tenant of the cluster, in a namespace of theirs, offer a service through the stack's gateway."""
    applied("west", manifest("networking.istio.io/v1", "Gateway", "open", "httpbin", OPEN["spec"]))(lab)


def admin_opened(lab: Lab) -> None:
    """Serve on one more port of the exported pods, and let the policies say nothing of ports any more."""
    lab.ask("west", "patch", "deployment", "httpbin", "--namespace=httpbin", f"--patch={json.dumps(admin(lab))}")
    restarted("west", "httpbin", "httpbin")(lab)
    patched("west", "service", "httpbin", "httpbin", ADMIN_PORT, "strategic")(lab)
    accepts_on_another_port(lab)
    for name, namespace in ((EXPORT, "httpbin"), (MESH_WIDE, "istio-system")):
        patched("west", POLICY, name, namespace, ANY_PORT)(lab)


def admin_closed(lab: Lab) -> None:
    """Take it all back; what the engine never declared, it does not remove."""
    up(lab)
    patched("west", "service", "httpbin", "httpbin", gone(ADMIN_PORT, "ports", "port"), "strategic")(lab)
    lab.ask("west", "patch", "deployment", "httpbin", "--namespace=httpbin", f"--patch={json.dumps(ADMIN_GONE)}")
    restarted("west", "httpbin", "httpbin")(lab)


def admin(lab: Lab, name: str = "admin", port: int = 9000) -> dict[str, object]:
    """A second server in the pods of httpbin, as a patch of their Deployment."""
    path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
    image = lab.ask("west", "get", "deployment", "httpbin", "--namespace=httpbin", path)
    container = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent"}
    served = {**container, "env": [{"name": "PORT", "value": str(port)}], "ports": [{"containerPort": port}]}
    return {"spec": {"template": {"spec": {"containers": [served]}}}}


def gone(patch: dict[str, Any], items: str, key: str) -> dict[str, object]:
    """Return the patch that removes what another one added to a list of a Service."""
    return {"spec": {items: [{key: each[key], "$patch": "delete"} for each in patch["spec"][items]]}}


def linked_up(lab: Lab) -> None:
    """Let the nodes of both clusters send packets to the pods of the other."""
    for node, subnet, way in routes(lab):
        lab.nodes.run(node, "ip", "route", "replace", subnet, "via", way)


def parted(lab: Lab) -> None:
    """Take these routes away."""
    for node, subnet, way in routes(lab):
        lab.nodes.run(node, "ip", "route", "del", subnet, "via", way)


def routes(lab: Lab) -> list[tuple[str, str, str]]:
    """A node, the pods of the other cluster, and the address of the node there, for both clusters."""
    path = "--output=jsonpath={.items[0].spec.podCIDR}"
    return [
        (lab.nodes.of(here), lab.ask(there, "get", "nodes", path), lab.node_address(there))
        for here, there in (("east", "west"), ("west", "east"))
    ]


def undefined(lab: Lab) -> None:
    """Delete a definition, and with it all objects of its kind; keep it for later."""
    told = lab.ask("west", "get", "customresourcedefinition", POLICY, "--output=json")
    kept = {key: value for key, value in json.loads(told).items() if key != "status"}
    kept["metadata"] = {"name": POLICY, "labels": kept["metadata"].get("labels", {})}
    (lab.checkout.home / f"{POLICY}.json").write_text(json.dumps(kept), encoding="utf-8")
    lab.ask("west", "delete", "customresourcedefinition", POLICY, limit="60s")


def defined(lab: Lab) -> None:
    """Bring it back."""
    lab.ask("west", "create", f"--filename={lab.checkout.home / f'{POLICY}.json'}")
    up(lab)


def paused(lab: Lab) -> None:
    """Stop a cluster's node where it is."""
    lab.nodes.pause(lab.nodes.of("west"))


def resumed(lab: Lab) -> None:
    """Let it go on."""
    lab.nodes.resume(lab.nodes.of("west"))


POLICY, ENTRY = "authorizationpolicies.security.istio.io", "serviceentries.networking.istio.io"
GATEWAY, WORKLOAD = "gateways.networking.istio.io", "workloadentries.networking.istio.io"
EXPORT, IMPORT = "export-httpbin-httpbin", "import-httpbin-httpbin"
MESH_WIDE = "foreign-callers"
FILTER, OWN_DOMAIN = "envoyfilters.networking.istio.io", "own-trust-domain"
UNBOUND = both(deleted("west", FILTER, EXPORT, "httpbin"), deleted("west", FILTER, OWN_DOMAIN, "istio-system"))
"""No filter says any more which roots the exported service trusts for which trust domains.

Beside filters, Envoy takes no listener that accepts plaintext, and a proxy keeps the one that it has.
"""
ADDRESS = "metallb.universe.tf/loadBalancerIPs"
SIMULATED, TWO, THREE, EGRESS = "simulated", "east-west", "three-meshes", "egress"
LOCAL, ONE_MESH = "as-local", "multi-primary"
OLD = '{"proxyMetadata": {"ISTIO_META_ISTIO_VERSION": "1.20.0"}}'
NO_PIN = {"spec": {"subjectAltNames": ["spiffe://west.local/ns/httpbin/sa/somebody-else"]}}
OWN_RULE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "own", "namespace": "sleep"},
    "spec": {
        "host": "httpbin.httpbin.svc.cluster.local",
        "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL", "sni": NOWHERE}},
    },
}
ELSEWHERE = [{"op": "replace", "path": "/spec/endpoints/0/address", "value": address(179)}]
UNEQUAL = [
    {"op": "replace", "path": "/spec/endpoints/0/weight", "value": 95},
    {"op": "replace", "path": "/spec/endpoints/1/weight", "value": 5},
]
ANY_PORT = {
    "spec": {
        "rules": [
            {
                "from": [
                    {
                        "source": {
                            "principals": ["*"],
                            "notPrincipals": ["west.local/*", "east.local/ns/sleep/sa/sleep"],
                        }
                    }
                ]
            }
        ]
    }
}
ADMIN_PORT = {"spec": {"ports": [{"name": "http-admin", "port": 9000, "targetPort": 9000, "protocol": "TCP"}]}}
ADMIN_GONE = {"spec": {"template": {"spec": {"containers": [{"name": "admin", "$patch": "delete"}]}}}}
OTHER_PODS = {"spec": {"selector": {"app": "other"}}}
NOBODY_MAY = {"spec": {"rules": [{"from": [{"source": {"principals": ["*"], "notPrincipals": ["west.local/*"]}}]}]}}

MUTATIONS = (
    Mutation("control-planes.api", "a cluster's node is paused", TWO, paused, resumed),
    Mutation("control-planes.identity", "the kubeconfigs of two clusters are exchanged", SIMULATED, exchanged, up),
    Mutation("control-planes.definitions", "the definition of a kind is deleted", SIMULATED, undefined, defined),
    Mutation(
        "control-planes.istiod", "istiod is scaled to none", TWO,
        scaled("west", "istiod", 0), scaled("west", "istiod", 1),
    ),
    Mutation(
        "control-planes.versions", "a pod runs a proxy of an old release", TWO,
        patched("west", "deployment", "sleep", "sleep", _proxied(OLD)),
        patched("west", "deployment", "sleep", "sleep", _proxied(None)),
    ),
    Mutation(
        "control-planes.webhooks", "the webhook that adds proxies is deleted", TWO,
        deleted("west", "mutatingwebhookconfiguration", "istio-sidecar-injector", ""), up,
    ),
    Mutation(
        "drift.objects", "a Service gets a label by hand", TWO,
        patched("west", "service", "httpbin", "httpbin", {"metadata": {"labels": {"app": "edited"}}}), up,
    ),
    Mutation("trust.cacerts", "`cacerts` is swapped for another authority's", TWO, swapped("west", 3650), up),
    Mutation("trust.expiry", "the authority in `cacerts` ends within days", TWO, swapped("west", 3), up),
    Mutation("trust.roots", "one cluster trusts one root more", TWO, further_root("west"), up),
    Mutation(
        "trust.workloads", "a pod has its certificate from another authority", TWO,
        both(swapped("west", 3650), restarted("west", "istiod", "istio-system"), restarted("west", "sleep", "sleep")),
        both(up, restarted("west", "istiod", "istio-system"), restarted("west", "sleep", "sleep")),
    ),
    Mutation(
        "trust.bound", "the filter of an exported workload is deleted", TWO,
        deleted("west", FILTER, EXPORT, "httpbin"), up,
    ),
    Mutation(
        "trust.key", "a RoleBinding lets all accounts edit in istio-system", TWO,
        applied("west", ANYBODY), deleted("west", "rolebinding", "anybody", "istio-system"),
    ),
    Mutation(
        "gateways.address", "a gateway asks for another address than importers were told", TWO,
        patched("west", "service", "istio-eastwestgateway", "istio-system",
                {"metadata": {"annotations": {ADDRESS: address(2)}}}), up,
    ),
    Mutation(
        "gateways.reachable", "a gateway is scaled to none", TWO,
        scaled("west", "istio-eastwestgateway", 0), scaled("west", "istio-eastwestgateway", 1),
    ),
    Mutation(
        "gateways.current", "a second Gateway offers what an export offers", TWO,
        applied("west", TWICE), deleted("west", GATEWAY, "open", "istio-system"),
    ),
    Mutation(
        "gateways.undeclared", "somebody's Gateway in another namespace uses the stack's gateway", TWO,
        offered_by_others, deleted("west", GATEWAY, "open", "httpbin"),
    ),
    Mutation(
        "exports.covered", "the exported Service selects pods by other labels than the policy", TWO,
        patched("west", "service", "httpbin", "httpbin", OTHER_PODS), up,
    ),
    Mutation(
        "exports.policies", "somebody else's policy on the exported pods allows another caller alone", TWO,
        applied("west", OTHERS_ALONE), deleted("west", POLICY, "others-alone", "httpbin"),
    ),
    Mutation(
        "exports.shown", "the Gateway of an export is deleted", TWO,
        deleted("west", GATEWAY, EXPORT, "istio-system"), up,
    ),
    Mutation(
        "exports.closed", "a Gateway that nobody declared offers another service", TWO,
        applied("west", OPEN), deleted("west", GATEWAY, "open", "istio-system"),
    ),
    Mutation(
        "imports.endpoints", "an import leads to another address", TWO,
        patched("east", ENTRY, IMPORT, "istio-system", ELSEWHERE, "json"), up,
    ),
    Mutation(
        "imports.pins", "an import accepts another identity", TWO,
        patched("east", ENTRY, IMPORT, "istio-system", NO_PIN), up,
    ),
    Mutation(
        "imports.names", "callers have a DestinationRule of their own for the host", TWO,
        applied("east", OWN_RULE), deleted("east", "destinationrules", "own", "sleep"),
    ),
    Mutation(
        "traffic.answers", "the exporter's policy admits no foreign caller", TWO,
        patched("west", POLICY, EXPORT, "httpbin", NOBODY_MAY), up,
    ),
    Mutation(
        "traffic.shares", "shares of 50 percent are changed to 95 and 5", THREE,
        patched("central", ENTRY, "import-ratings-httpbin", "istio-system", UNEQUAL, "json"), up,
    ),
    Mutation(
        "traffic.discovered", "the Gateway that passes calls of the mesh on is deleted", ONE_MESH,
        deleted("cluster-0", GATEWAY, "discovered-services", "istio-system"), up,
    ),
    Mutation(
        "refusals.undeclared", "proxies accept every account of a consumer, and no policy refuses any", TWO,
        accepts_every_account, up,
    ),
    Mutation(
        "refusals.ports", "the exported pods serve on one more port, and no policy says anything of ports", TWO,
        admin_opened, admin_closed,
    ),
    Mutation(
        "refusals.other-mesh", "a mesh accepts one more trust domain, and has no policy", TWO,
        accepts_another_domain, up,
    ),
    Mutation(
        "refusals.unknown-root", "the service's proxy accepts any certificate", TWO,
        both(UNBOUND, applied("west", CREDULOUS)),
        both(deleted("west", FILTER, "credulous", "httpbin"), up),
    ),
    Mutation(
        "refusals.forged", "the filters by which a mesh accepts its own trust domain are deleted", TWO,
        UNBOUND, up,
    ),
    Mutation(
        "refusals.plaintext", "a namespace accepts plaintext", TWO,
        both(UNBOUND, applied("west", PERMISSIVE)),
        both(deleted("west", "peerauthentications.security.istio.io", "open", "httpbin"), up),
    ),
    Mutation(
        "refusals.strict", "a namespace accepts plaintext", TWO,
        applied("west", PERMISSIVE), deleted("west", "peerauthentications.security.istio.io", "open", "httpbin"),
    ),
    Mutation(
        "refusals.direct", "the nodes of both clusters route to the pods of the other", TWO,
        linked_up, parted,
    ),
    Mutation(
        "refusals.bypass", "the Sidecar that confines callers is deleted", EGRESS,
        deleted("east", "sidecars.networking.istio.io", "egress-only", "sleep"), up,
    ),
    Mutation(
        "drill.failover", "the entry that leads to the other mesh is deleted", LOCAL,
        deleted("east", WORKLOAD, "import-httpbin-httpbin-west", "httpbin"), up,
    ),
)  # fmt: skip
ON_PAPER = (
    "control-planes.identity", "control-planes.definitions", "drift.objects", "trust.cacerts", "trust.expiry",
    "trust.roots", "trust.key", "gateways.undeclared", "exports.covered", "exports.policies", "refusals.strict",
)  # fmt: skip
"""Those that break simulated control planes as well."""


def of(stack: str) -> list[Mutation]:
    """Return what is tried on a committed stack."""
    return [each for each in MUTATIONS if each.stack == stack]
