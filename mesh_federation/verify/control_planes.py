"""Checks of control planes: the API server is ready, istiod has the declared release, its webhooks respond."""

import re
from collections.abc import Iterator
from functools import partial

from mesh_federation.plan.istio_api import NETWORKING, manifest
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.objects import PROXY, ApiResources, Deployment, Namespace
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.proxy import Proxy
from mesh_federation.verify.simulated import skip_if_simulated
from mesh_federation.verify.troubleshooting import STARTS
from mesh_federation.verify.verdict import ClusterUnreachable, NotApplicable, Verdict, failed, passed

SKEW = 1
"""Minor releases by which a proxy may be behind istiod (Istio's supported skew)."""
FAILING = r"\[-\](\S+) failed"
"""Pattern of a failed check in the output of an API server's /readyz."""
INVALID = {"hosts": ["verify.mesh.invalid"], "ports": [{"number": 80, "name": "http", "protocol": "NONE-SUCH"}]}
"""A ServiceEntry that is valid for Kubernetes; only istiod's validation knows that there is no such protocol."""


def checks(context: Context) -> Iterator[Check]:
    """Return the checks of every cluster."""
    for cluster in context.clusters.values():
        about = (cluster.path,)
        yield Check("control-planes.api", about, f"{cluster.name}: the API server is ready", partial(api, cluster))
        description = f"{cluster.name}: its kubeconfigs lead to the cluster of the stack"
        yield Check("control-planes.identity", about, description, partial(identity, cluster))
        yield Check(
            "control-planes.definitions", about, f"{cluster.name}: the API server serves all kinds of the stack",
            partial(definitions, cluster),
        )  # fmt: skip
        for name, description, run in _OF_OWN_ISTIO if cluster.plan.istio else ():
            yield Check(
                f"control-planes.{name}",
                about,
                f"{cluster.name}: {description}",
                skip_if_simulated(cluster, partial(run, cluster)),
            )


def api(cluster: ClusterUnderTest) -> Verdict:
    """Read /readyz of the API server."""
    try:
        done = cluster.kubectl.get_raw("/readyz")
        if parts := re.findall(FAILING, done.stderr) if done.returncode else []:
            return failed(f"it answers but is not ready: {', '.join(dict.fromkeys(parts))} failed", STARTS)
        if done.returncode:
            raise cluster.kubectl.inconclusive("it is not ready", done.stderr)
    except ClusterUnreachable as unreachable:
        return failed(unreachable.message, unreachable.hint)
    return passed("ready")


def identity(cluster: ClusterUnderTest) -> Verdict:
    """Compare the UID of a namespace with the stack's state: a kubeconfig may lead to another cluster by now."""
    if not cluster.uid:
        raise NotApplicable("the state has no object that identifies this cluster")
    namespace = cluster.output.istio_namespace
    found = [(each.kubeconfig, each.get(Namespace, "namespace", namespace, "")) for each in cluster.connections]
    foreign = [str(file) for file, each in found if each is None or each.metadata.uid != cluster.uid]
    if foreign:
        message = f"{' and '.join(foreign)} leads to another cluster than the one that is declared as {cluster.name}"
        hint = f"./mesh up writes kubeconfigs again; if somebody recreated {namespace}: ./mesh up --refresh"
        return failed(message, hint)
    return passed("the cluster of the stack answers", uid=cluster.uid)


def definitions(cluster: ClusterUnderTest) -> Verdict:
    """Compare the kinds that are served with those of the plan; a definition may exist without being served."""
    needed = sorted({(str(body["apiVersion"]), str(body["kind"])) for body in cluster.plan.bodies if _is_defined(body)})
    served = dict(map_parallel(partial(_served, cluster), sorted({version for version, _ in needed})))
    missing = [f"{kind} ({version})" for version, kind in needed if kind not in served[version]]
    if missing:
        return failed(f"it does not serve {', '.join(missing)}", "./mesh up --refresh applies the definitions again")
    return passed(f"all {len(needed)} kinds are served", kinds=", ".join(kind for _, kind in needed))


def _is_defined(body: dict[str, object]) -> bool:
    """Say whether an object's kind is not Kubernetes' own."""
    group = str(body["apiVersion"]).partition("/")[0]
    return group.endswith(("istio.io", "gateway.networking.k8s.io", "metallb.io"))


def _served(cluster: ClusterUnderTest, version: str) -> set[str]:
    done = cluster.kubectl.get_raw(f"/apis/{version}")
    if done.returncode and "could not find" not in done.stderr:
        raise cluster.kubectl.inconclusive(f"cannot list the kinds of {version}", done.stderr)
    return set() if done.returncode else {each.kind for each in ApiResources.model_validate_json(done.stdout).resources}


def istiod(cluster: ClusterUnderTest) -> Verdict:
    """Look whether istiod is available, and which release answers."""
    namespace = cluster.plan.declared.istio_namespace
    found = cluster.kubectl.get_all(Deployment, "deployments", f"--namespace={namespace}", "--selector=app=istiod")
    if not any(each.status.available_replicas for each in found):
        said = "no pod of istiod is available" if found else "there is no istiod"
        return failed(said, f"./mesh up --refresh; then kubectl -n {namespace} describe pods -l app=istiod")
    release = _release(cluster)
    if not release.startswith(cluster.plan.istio_version):
        return failed(
            f"istiod has release {release}, the stack file declares {cluster.plan.istio_version}",
            "./mesh up installs the declared release; or declare the running release (istio.version)",
        )
    return passed(f"available, release {release}", release=release)


def _release(cluster: ClusterUnderTest) -> str:
    revision = cluster.plan.revision
    name = f"istiod-{revision}" if revision else "istiod"
    namespace = cluster.plan.declared.istio_namespace
    return cluster.kubectl.output(
        "get", f"--raw=/api/v1/namespaces/{namespace}/services/http:{name}:15014/proxy/version"
    )


def versions(cluster: ClusterUnderTest) -> Verdict:
    """Compare the release of every proxy with the release of istiod."""
    release = _release(cluster)
    running = [(proxy.pod, info.node.metadata.version) for proxy, info in map_parallel(Proxy.server, cluster.proxies)]
    odd = [
        f"{pod.title} runs {version or 'an unknown release'}"
        for pod, version in running
        if not 0 <= _minor(release) - _minor(version) <= SKEW
    ]
    if odd:
        hint = "restart those pods, so that they get a proxy of the installed release"
        return failed(f"istiod has release {release}; {', '.join(odd)}", hint)
    releases = sorted({version for _, version in running})
    return passed(f"{len(running)} proxies are compatible with istiod {release}", proxies=", ".join(releases))


def _minor(release: str) -> int:
    """Return the minor release; -1000 if it cannot be read, which is compatible with none."""
    parts = release.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else -1000


def webhooks(cluster: ClusterUnderTest) -> Verdict:
    """Let the API server admit an invalid object and a new pod, in a dry run."""
    istio = cluster.plan.declared.istio_namespace
    refused = cluster.kubectl.create_dry_run(
        manifest(NETWORKING, "ServiceEntry", "mesh-federation-verify", istio, INVALID)
    )
    if refused.returncode == 0:
        return failed("an invalid object would be accepted", _hint(cluster, "validatingwebhookconfigurations"))
    if "denied the request" not in refused.stderr:
        return failed(f"istiod does not validate: {refused.stderr}", _hint(cluster, "validatingwebhookconfigurations"))
    namespace = _injected(cluster)
    if namespace is None:
        return passed("invalid objects are rejected; no namespace is in the mesh, so no pod was tried")
    created = cluster.kubectl.create_dry_run(_pod(namespace))
    if created.returncode:
        return failed(
            f"a pod in {namespace} would be rejected: {created.stderr}", _hint(cluster, "mutatingwebhookconfigurations")
        )
    if f'"{PROXY}"' not in created.stdout:
        return failed(f"a pod in {namespace} would get no proxy", _hint(cluster, "mutatingwebhookconfigurations"))
    return passed(f"invalid objects are rejected; a pod in {namespace} gets its proxy")


def _hint(cluster: ClusterUnderTest, kind: str) -> str:
    return f"./mesh up --refresh restores the webhook; kubectl --context {cluster.name} get {kind} shows it"


def _injected(cluster: ClusterUnderTest) -> str | None:
    """Return a namespace with injection; None if there is none."""
    found = cluster.kubectl.listed(Namespace, "namespaces")
    meshed = (each for each in found if each.is_injected and each.metadata.deletion_timestamp is None)
    return next((each.metadata.name for each in meshed), None)


def _pod(namespace: str) -> dict[str, object]:
    container = {"name": "verify", "image": "verify.mesh.invalid/none"}
    metadata = {"name": "mesh-federation-verify", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


_OF_OWN_ISTIO = (
    ("istiod", "istiod is available in the declared release", istiod),
    ("versions", "no proxy is newer than istiod, or older than Istio supports", versions),
    ("webhooks", "istiod rejects invalid objects and injects proxies into pods", webhooks),
)
"""Checks of an Istio that this stack installs; of one that belongs to others, its owner judges."""
