"""Checks of control planes: the API server answers, istiod runs in the declared release, its webhooks decide."""

import re
from collections.abc import Iterator
from functools import partial

from mesh_federation.plan.istio_values import NAMESPACE
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.objects import PROXY, Deployment, Kinds, Namespace
from mesh_federation.verify.parallel import together
from mesh_federation.verify.proxy import Proxy, in_mesh
from mesh_federation.verify.simulated import on_pods
from mesh_federation.verify.troubleshooting import STARTS
from mesh_federation.verify.verdict import NotApplicable, Unreachable, Verdict, failed, passed

SKEW = 1
"""How many minor releases a proxy may be behind its istiod (Istio's supported skew)."""
FAILING = r"\[-\](\S+) failed"
"""How an API server tells which of its parts is not ready."""
WRONG = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "mesh-federation-verify", "namespace": NAMESPACE},
    "spec": {"hosts": ["verify.mesh.invalid"], "ports": [{"number": 80, "name": "http", "protocol": "NONE-SUCH"}]},
}
"""Kubernetes takes it; istiod's validation alone knows that there is no such protocol."""


def checks(scene: Context) -> Iterator[Check]:
    """Plan the checks of every cluster."""
    for site in scene.sites.values():
        about = (site.path,)
        yield Check("control-planes.api", about, f"{site.name}: the API server is ready", partial(api, site))
        proves = f"{site.name}: its kubeconfigs lead to the cluster that the stack made"
        yield Check("control-planes.identity", about, proves, partial(identity, site))
        yield Check(
            "control-planes.definitions", about, f"{site.name}: it serves all kinds of objects that the stack makes",
            partial(definitions, site),
        )  # fmt: skip
        for name, proves, judge in (
            ("istiod", "istiod is available, in the declared release", istiod),
            ("versions", "no proxy is ahead of its istiod, or further behind than Istio supports", versions),
            ("webhooks", "istiod refuses what is wrong, and adds the proxy to pods", webhooks),
        ):
            yield Check(f"control-planes.{name}", about, f"{site.name}: {proves}", on_pods(site, partial(judge, site)))


def api(site: ClusterUnderTest) -> Verdict:
    """Look whether the API server is ready."""
    try:
        done = site.cluster.raw("/readyz")
        if parts := re.findall(FAILING, done.error) if done.code else []:
            return failed(f"it answers and is not ready: {', '.join(dict.fromkeys(parts))} failed", STARTS)
        if done.code:
            raise site.cluster.unseen("it is not ready", done.error)
    except Unreachable as away:
        return failed(away.found, away.hint)
    return passed("ready")


def identity(site: ClusterUnderTest) -> Verdict:
    """Compare who answers with whom the stack made: a kubeconfig may be another cluster's by now."""
    if not site.uid:
        raise NotApplicable("the state has no object by which this cluster is told from others")
    found = [(way.kubeconfig, way.one(Namespace, "namespace", NAMESPACE, "")) for way in site.ways]
    strange = [str(file) for file, namespace in found if namespace is None or namespace.metadata.uid != site.uid]
    if strange:
        told = f"by {' and '.join(strange)} another cluster answers than the one that is declared as {site.name}"
        return failed(
            told, "./mesh up writes kubeconfigs again; where somebody made the namespace of Istio anew: --refresh"
        )
    return passed("the cluster that the stack made answers", uid=site.uid)


def definitions(site: ClusterUnderTest) -> Verdict:
    """Ask which kinds are served; the definitions themselves are a megabyte, and may be there without being served."""
    needed = sorted({(str(body["apiVersion"]), str(body["kind"])) for body in site.plan.objects if _is_defined(body)})
    served = dict(together(partial(_served, site), sorted({version for version, _ in needed})))
    lacking = [f"{kind} ({version})" for version, kind in needed if kind not in served[version]]
    if lacking:
        return failed(f"it does not serve {', '.join(lacking)}", "./mesh up --refresh applies the definitions again")
    return passed(f"all {len(needed)} kinds are served", kinds=", ".join(kind for _, kind in needed))


def _is_defined(body: dict[str, object]) -> bool:
    """Say whether an object's kind is not Kubernetes' own."""
    group = str(body["apiVersion"]).partition("/")[0]
    return group.endswith(("istio.io", "gateway.networking.k8s.io", "metallb.io"))


def _served(site: ClusterUnderTest, version: str) -> set[str]:
    done = site.cluster.raw(f"/apis/{version}")
    if done.code and "could not find" not in done.error:
        raise site.cluster.unseen(f"cannot list the kinds of {version}", done.error)
    return set() if done.code else {each.kind for each in Kinds.model_validate_json(done.out).resources}


def istiod(site: ClusterUnderTest) -> Verdict:
    """Look whether istiod is available, and which release answers."""
    found = site.cluster.listed(Deployment, "deployments", f"--namespace={NAMESPACE}", "--selector=app=istiod")
    if not any(each.status.available_replicas for each in found):
        said = "no pod of istiod is available" if found else "there is no istiod"
        return failed(said, f"./mesh up --refresh; then kubectl -n {NAMESPACE} describe pods -l app=istiod")
    release = _release(site)
    if not release.startswith(site.plan.istio_version):
        return failed(
            f"istiod is of release {release}, declared is {site.plan.istio_version}",
            "./mesh up installs the declared release; or declare the one that runs (istio.version)",
        )
    return passed(f"available, release {release}", release=release)


def _release(site: ClusterUnderTest) -> str:
    revision = site.plan.istiod_values["revision"]
    name = f"istiod-{revision}" if revision else "istiod"
    return site.cluster.told("get", f"--raw=/api/v1/namespaces/{NAMESPACE}/services/http:{name}:15014/proxy/version")


def versions(site: ClusterUnderTest) -> Verdict:
    """Compare the release of every proxy with that of istiod."""
    release = _release(site)
    running = [(proxy.pod, told.node.metadata.version) for proxy, told in together(Proxy.server, in_mesh(site.cluster))]
    odd = [
        f"{pod.title} runs {version or 'an unknown release'}"
        for pod, version in running
        if not 0 <= _minor(release) - _minor(version) <= SKEW
    ]
    if odd:
        hint = "restart those pods, so that they get the proxy of the release that is installed"
        return failed(f"istiod is of release {release}; {', '.join(odd)}", hint)
    releases = sorted({version for _, version in running})
    return passed(f"{len(running)} proxies go with istiod {release}", proxies=", ".join(releases))


def _minor(release: str) -> int:
    """Return the minor release; one that cannot be read is no release that goes with any."""
    parts = release.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else -1000


def webhooks(site: ClusterUnderTest) -> Verdict:
    """Ask the API server, without changing anything, what it would make of a wrong object and of a new pod."""
    refused = site.cluster.would_create(WRONG)
    if refused.code == 0:
        return failed("an object that is wrong would be accepted", _hint(site, "validatingwebhookconfigurations"))
    if "denied the request" not in refused.error:
        return failed(f"istiod does not decide: {refused.error}", _hint(site, "validatingwebhookconfigurations"))
    namespace = _injected(site)
    if namespace is None:
        return passed("wrong objects are refused; no namespace is in the mesh, so no pod was tried")
    made = site.cluster.would_create(_pod(namespace))
    if made.code:
        return failed(
            f"a pod in {namespace} would be refused: {made.error}", _hint(site, "mutatingwebhookconfigurations")
        )
    if f'"{PROXY}"' not in made.out:
        return failed(f"a pod in {namespace} would get no proxy", _hint(site, "mutatingwebhookconfigurations"))
    return passed(f"wrong objects are refused; a pod in {namespace} gets its proxy")


def _hint(site: ClusterUnderTest, kind: str) -> str:
    return f"./mesh up --refresh puts the webhook back; kubectl --context {site.name} get {kind} shows it"


def _injected(site: ClusterUnderTest) -> str | None:
    """Return a namespace whose pods get a proxy."""
    found = site.cluster.listed(Namespace, "namespaces")
    meshed = (each for each in found if each.is_injected and each.metadata.deletion_timestamp is None)
    return next((each.metadata.name for each in meshed), None)


def _pod(namespace: str) -> dict[str, object]:
    container = {"name": "verify", "image": "verify.mesh.invalid/none"}
    metadata = {"name": "mesh-federation-verify", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
