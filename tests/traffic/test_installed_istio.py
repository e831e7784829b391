"""Istio that others installed: linked by exports and imports alone, while its own traffic goes on."""

import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh_federation.jobs.ownership_check import OWNER
from mesh_federation.plan.injection import namespace_labels
from mesh_federation.plan.istio_values import OWN_GATEWAY
from mesh_federation.plan.samples import SAMPLES
from mesh_federation.toolchain.install import Toolchain
from mesh_federation.verify.certificates import Identity, issue, key_pem, pem
from tests.authorities import authority
from tests.checkout import Checkout, checkout, eventually
from tests.traffic import kit
from tests.traffic.client import calling
from tests.traffic.conftest import Prepare
from tests.traffic.identities import minted
from tests.traffic.lab import PATIENCE, SNI, Lab
from tests.traffic.owner import SYSTEM, Objects, Owner, changed

pytestmark = pytest.mark.long
MUNICH = "in.munich"
BARE, LINKED = "bare", "linked"
"""The stack that makes clusters without Istio, and the one that links what others installed in them."""
SUBNETS = {"east": ("10.10.0.0/16", "10.255.10.0/24"), "west": ("10.30.0.0/16", "10.255.30.0/24")}
EXPORTED = {"east": "backend", "west": "httpbin"}
"""Namespace of what each cluster runs and exports; its Service is called httpbin."""
OWN_NAME = "payments.partner.example"
"""What callers of east call a partner's service where its proxies answer DNS queries, on a port of their own."""
CALLERS = (("sleep", "sleep"), ("sleep", "other"), ("stranger", "sleep"))
"""Namespace and name of callers: exports name the first alone."""
LINKER = ("mesh-team", "linker")
"""Account of a team in the cluster of an owner, who grants it what `mesh observe --rbac` asks for and nothing else."""
SELF_MADE = "istio-ca-secret"
"""The Secret of the authority that istiod makes by itself."""
NEEDS_A_ROUTE = {"gateways.reachable", "exports.shown", "refusals.unknown-root"}
"""Checks that call gateways from this machine, which has no route into the network of native clusters."""


@dataclass(frozen=True)
class Installation:
    """How owners install Istio.

    Attributes:
        values: of the chart istiod, by cluster.
        gateways: values of the chart of an east-west gateway, by cluster, where its owner has one.
        link_namespace: which owners make for what links share.
        has_one_root: the authorities of both meshes are below one root, so each is known by its twin.
    """

    values: Mapping[str, Mapping[str, Any]]
    gateways: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    link_namespace: str = SYSTEM
    has_one_root: bool = False

    def system(self, cluster: str) -> str:
        """Namespace of istiod in a cluster."""
        return str(self.values[cluster].get("global", {}).get("istioNamespace", SYSTEM))

    def services(self, cluster: str) -> str:
        """Domain of the Services of a cluster."""
        return str(self.values[cluster].get("global", {}).get("proxy", {}).get("clusterDomain", "cluster.local"))

    @property
    def secret(self) -> str:
        """Name of the Secret with the authority of a mesh."""
        return "cacerts" if self.has_one_root else SELF_MADE

    def domain(self, cluster: str) -> str:
        """Trust domain of a cluster."""
        return str(self.values[cluster]["meshConfig"]["trustDomain"])


DEFAULTS = Installation(
    {
        "east": {"meshConfig": {"trustDomain": "east.example"}},
        "west": {"meshConfig": {"trustDomain": "west.example"}},
    }
)
"""Istio's guide for Helm, but for the trust domain: istiod makes a root of its own, and plaintext is taken."""

ALIKE = {"network": "network1", "meshID": "mesh1"}
"""What owners call their network and their mesh who follow Istio's guides."""

OWN = Installation(
    {
        "east": {
            "revision": "stable",
            "global": {"istioNamespace": "mesh-control", "proxy": {"clusterDomain": MUNICH}, **ALIKE},
            "meshConfig": {
                "trustDomain": "east.example",
                "defaultConfig": {"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}},
            },
        },
        "west": {
            "revision": "canary",
            "meshConfig": {"trustDomain": "west.example", "rootNamespace": "istio-config"},
            "global": ALIKE,
            "env": {"PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "true"},
        },
    },
    {"west": {"revision": "canary", "networkGateway": ALIKE["network"]}},
    "mesh-links",
)
"""Revisions, DNS in proxies, networks of one name, the gateway of one of them, other namespaces of istiod and of the
mesh's configuration, another cluster domain, gateways kept apart."""

ONE_ROOT = Installation(DEFAULTS.values, has_one_root=True)
"""Helm's defaults, but for intermediates of one company's root."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(DEFAULTS, id="helm-defaults"),
        pytest.param(OWN, id="revisions-and-own-settings"),
        pytest.param(ONE_ROOT, id="one-root"),
    ],
)
def installation(request: pytest.FixtureRequest) -> Installation:
    """How Istio is installed in both clusters."""
    found: Installation = request.param
    return found


@pytest.fixture(scope="module")
def owners(prepare: Prepare, provider: str, installation: Installation) -> Iterator[dict[str, Owner]]:
    """Two clusters with an Istio and workloads that no stack made."""
    with prepare("east-west") as east_west:
        made = replace(east_west, stack=BARE)
        domains = {name: installation.services(name) for name in SUBNETS}
        made.declare({"clusters": {name: bare(*subnets, domains[name]) for name, subnets in SUBNETS.items()}})
        made.up()
        root = authority("Corp Root") if installation.has_one_root else None
        found = {
            name: Owner(
                made, name, provider, values, authority(f"{name} mesh", root) if root else None,
                installation.link_namespace,
            )
            for name, values in installation.values.items()
        }  # fmt: skip
        for name, owner in found.items():
            if root := owner.values["meshConfig"].get("rootNamespace"):
                owner.kubectl("create", "namespace", root)
            owner.installs()
            if gateway := installation.gateways.get(name):
                owner.installs_gateway(gateway)
            server = (EXPORTED[name], "httpbin", "httpbin")
            callers = ((namespace, account, "sleep") for namespace, account in CALLERS)
            owner.runs(manifests(owner, server, *callers))
            [imported] = set(EXPORTED.values()) - {EXPORTED[name]}
            owner.kubectl("create", "namespace", imported)
            if owner.link_namespace != SYSTEM:
                owner.kubectl("create", "namespace", owner.link_namespace)
        yield found
        made.down()


def bare(pods: str, services: str, domain: str) -> dict[str, object]:
    """A cluster without Istio."""
    return {"podSubnet": pods, "serviceSubnet": services, "clusterDomain": domain, "istio": {"install": False}}


def manifests(owner: Owner, *workloads: tuple[str, str, str]) -> str:
    """Namespaces with injection, and workloads in them: namespace, name of all their objects, sample."""
    images: Any = kit.overlay().get("images", {}) if owner.provider == "kind" else {}
    labels = namespace_labels(str(owner.values.get("revision", "")))
    return yaml.safe_dump_all(
        body
        for namespace, name, sample in workloads
        for body in _bodies({"name": name, "namespace": namespace}, labels, sample, images.get(sample))
    )


def _bodies(
    metadata: Mapping[str, str], namespace_labels: Mapping[str, str], sample: str, image: str | None
) -> Iterator[Mapping[str, object]]:
    kind, labels = SAMPLES[sample], {"app": metadata["name"]}
    container: dict[str, object] = {"name": sample, "image": image or kind.image}
    if kind.command:
        container["command"] = list(kind.command)
    pod = {"serviceAccountName": metadata["name"], "terminationGracePeriodSeconds": 1, "containers": [container]}
    ports = [{"name": "http", "port": kind.port, "targetPort": kind.target}]
    yield {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": metadata["namespace"], "labels": dict(namespace_labels)},
    }
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": labels, "ports": ports},
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


@pytest.fixture
def linking(owners: dict[str, Owner]) -> Iterator[Checkout]:
    """The stack that links them: it is told how they are reached and no more, and leaves nothing behind."""
    made = owners["east"].checkout
    found = replace(made, stack=LINKED, ambient={**made.ambient, "MESH_OVERLAY": ""})
    lab: Any = kit.overlay().get("istio") if owners["east"].provider == "kind" else None
    charts = {"istio": {"charts": lab["charts"], "gatewayValues": lab["gatewayValues"]}} if lab else {}
    clusters = {name: declared(owner, owner.kubeconfig, found) for name, owner in owners.items()}
    found.declare({"clusters": clusters, "exports": exports(), "imports": imports(), **charts})
    yield found
    found.down()


def declared(owner: Owner, kubeconfig: Path, checkout: Checkout) -> dict[str, object]:
    """Declare a cluster in which an owner runs Istio, with the twin that the owner hands out where one is needed."""
    twin = {"twin": twin_of(owner, checkout).name} if owner.signer else {}
    own = {} if owner.link_namespace == SYSTEM else {"linkNamespace": owner.link_namespace}
    istio = {"install": False, **twin, **own}
    told_apart = {"meshID": f"{owner.cluster}-mesh"}
    return {"provisioner": "existing", "kubeconfig": str(kubeconfig), "istio": istio, **told_apart}


def twin_of(owner: Owner, checkout: Checkout) -> Path:
    """Let an owner make the twin of the authority, and hand it to a team."""
    assert owner.signer
    certificate, key, twin = (checkout.folder / f"{owner.cluster}-{name}.pem" for name in ("cert", "key", "twin"))
    certificate.write_bytes(pem(owner.signer.chain[0]))
    key.write_bytes(key_pem(owner.signer.key))
    done = checkout.mesh("twin", str(certificate), str(key))
    assert done.code == 0, done.text
    key.unlink()
    twin.write_text(done.stdout, encoding="utf-8")
    return twin


def exports() -> list[dict[str, Any]]:
    """Each cluster exports one service to one account of the other."""
    port = {"name": "http", "number": 8000, "protocol": "HTTP", "targetPort": 8080}
    return [
        {
            "cluster": cluster,
            "service": f"{EXPORTED[cluster]}/httpbin",
            "ports": [port],
            "to": [{"cluster": other, "serviceAccounts": ["sleep/sleep"]}],
        }
        for cluster, other in (("east", "west"), ("west", "east"))
    ]


def imports() -> list[dict[str, Any]]:
    """Each cluster imports what the other exports."""
    return [
        {"cluster": cluster, "from": source, "service": f"{EXPORTED[source]}/httpbin"}
        for cluster, source in (("east", "west"), ("west", "east"))
    ]


def url(exporter: str) -> str:
    """What callers of both clusters call the service that a cluster exports."""
    return f"http://httpbin.{EXPORTED[exporter]}:8000/headers"


def observe(linking: Checkout) -> str:
    """Observe both meshes, and return the file that a person commits."""
    done = linking.mesh("observe", f"--stack={LINKED}")
    assert done.code == 0, done.text
    return (linking.folder / f"observed.{LINKED}.yaml").read_text(encoding="utf-8")


def objects(owners: Mapping[str, Owner]) -> dict[str, Objects]:
    """What all clusters hold."""
    return {name: owner.objects() for name, owner in owners.items()}


def ours(found: Objects) -> set[tuple[str, str, str]]:
    """Return the objects that the linking stack made, and the pods that came from those."""
    return {key for key, body in found.items() if f"'{OWNER}': '{LINKED}'" in str(body) or OWN_GATEWAY in key[2]}


def touched(owners: Mapping[str, Owner], before: Mapping[str, Objects]) -> list[str]:
    """Name what is not as it was, in any cluster."""
    return [f"{name}: {each}" for name, owner in owners.items() for each in changed(before[name], owner.objects())]


def answered(lab: Lab, cluster: str, called: str) -> bool:
    """Say whether the declared caller of a cluster is answered each time."""
    return {reply.status for reply in lab.calls(cluster, "sleep", 5, called)} == {200}


def assert_calls_cross_for_the_declared_callers_alone(lab: Lab, installation: Installation) -> None:
    """Both directions are answered under both identities; other accounts and namespaces are not."""
    assert_answered_under_both_identities(lab, installation, "east", "west")
    assert_answered_under_both_identities(lab, installation, "west", "east")


def assert_answered_under_both_identities(
    lab: Lab, installation: Installation, cluster: str, exporter: str, called: str = ""
) -> None:
    """The declared caller of a cluster is answered; other accounts and namespaces are not."""
    called = called or url(exporter)
    eventually(partial(answered, lab, cluster, called), PATIENCE)
    [reply] = lab.calls(cluster, "sleep", 1, called)
    assert reply.status == 200, reply
    assert reply.identities == {
        "URI": f"spiffe://{installation.domain(cluster)}/ns/sleep/sa/sleep",
        "By": f"spiffe://{installation.domain(exporter)}/ns/{EXPORTED[exporter]}/sa/httpbin",
    }
    for namespace, deployment in CALLERS[1:]:
        replies = lab.calls(cluster, namespace, 3, called, deployment)
        assert 200 not in {each.status for each in replies}, (namespace, deployment)


def through_gateway(lab: Lab, address: str, identity: Identity) -> str:
    """Call west's httpbin through its gateway, as proxies do: the first line of the answer, or why there is none.

    Where plaintext is taken too, only the ALPN of a proxy leads to the filter chain for mutual TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["istio"])
    with tempfile.NamedTemporaryFile() as file:
        file.write(identity.chain + identity.key)
        file.flush()
        context.load_cert_chain(file.name)
    name = SNI.format(port=8000, host=f"httpbin.{EXPORTED['west']}.svc.cluster.local")
    try:
        with (
            lab.nodes.connect(address, 15443, 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            secured.sendall(b"GET /headers HTTP/1.1\r\nHost: httpbin\r\nConnection: close\r\n\r\n")
            return secured.recv(100).decode().partition("\r\n")[0] or "closed"
    except OSError as error:
        return str(error)


def assert_forged_identities_fail_the_handshake(lab: Lab, address: str, installation: Installation) -> None:
    """The exported pod in west accepts an identity under the root of its own mesh alone."""
    caller = f"spiffe://{installation.domain('east')}/ns/sleep/sa/sleep"
    own = f"spiffe://{installation.domain('west')}/ns/sleep/sa/sleep"
    mint = partial(mint_of, lab, installation)
    for genuine in (mint("east", caller), mint("west", own)):
        assert through_gateway(lab, address, genuine) == "HTTP/1.1 200 OK"
    for forged in (
        mint("west", caller),
        mint("east", own),
        issue(authority("nobody"), caller),
    ):
        refused = through_gateway(lab, address, forged)
        assert refused == "closed" or "alert" in refused, f"{forged.uri}: a policy would answer with 403"


def mint_of(lab: Lab, installation: Installation, cluster: str, uri: str) -> Identity:
    """Issue an identity by the authority of the mesh in a cluster."""
    return minted(lab, cluster, uri, installation.secret, installation.system(cluster))


def assert_verified(linking: Checkout, provider: str, *ids: str) -> None:
    """All checks pass that this machine has a route for, and those with these ids are among them."""
    report = json.loads(linking.mesh("verify", f"--stack={LINKED}", "--format=json").stdout)
    wrong = [each for each in report["results"] if each["status"] not in ("passed", "not-applicable")]
    assert {each["id"] for each in wrong} <= (NEEDS_A_ROUTE if provider == "native" else set()), wrong
    assert {"control-planes.observed", "trust.bound", *ids} <= {
        each["id"] for each in report["results"] if each["status"] == "passed"
    }


def test_two_installations_are_linked_while_nothing_of_their_owners_changes(
    owners: dict[str, Owner], linking: Checkout, installation: Installation, provider: str
) -> None:
    lab = Lab(owners["east"].checkout, provider)
    before = objects(owners)
    with owners["east"].calling(url("east")) as east, owners["west"].calling(url("west")) as west:
        observed = observe(linking)
        assert "PRIVATE" not in observed
        assert linking.mesh("preview", f"--stack={LINKED}").code == 0
        assert touched(owners, before) == [], "observe and preview read, and change nothing"

        linking.up()
        assert_calls_cross_for_the_declared_callers_alone(lab, installation)
        assert_forged_identities_fail_the_handshake(lab, Lab(linking).gateway("west"), installation)
        assert touched(owners, before) == []
        assert_verified(linking, provider, "traffic.answers")

        with calling(lab, url("west")) as crossing:
            owners["west"].refuses_plaintext()
            current = linking.mesh("verify", f"--stack={LINKED}", "--only=control-planes.observed")
            assert current.code == 1 and "mutualTLS: PERMISSIVE before, STRICT now" in current.stdout, current.text
            observed = observe(linking)
            assert linking.mesh("verify", f"--stack={LINKED}", "--only=control-planes.observed").code == 0

            owners["west"].installs(resources={"requests": {"cpu": "15m"}})
            upgraded = objects(owners)
            assert observe(linking) == observed
            assert set(linking.up("--refresh").changes()) == {"unchanged"}, (
                "what its owner upgrades changes nothing of ours"
            )
            assert_calls_cross_for_the_declared_callers_alone(lab, installation)
        assert crossing.failed == [], crossing.statuses

        linking.down()
        # A gateway that ends waits for its connections, so its pod outlives it for a while.
        eventually(lambda: not any(ours(owner.objects()) for owner in owners.values()), PATIENCE)
        theirs = {name: {key: held[key] for key in held.keys() - ours(held)} for name, held in upgraded.items()}
        assert touched(owners, theirs) == []
    assert set(east.statuses) == set(west.statuses) == {"200"}
    assert min(len(east.statuses), len(west.statuses)) > 50


def test_what_an_owner_does_not_admit_is_told_before_anything_is_made(
    owners: dict[str, Owner], linking: Checkout
) -> None:
    observe(linking)
    with owners["west"].forbidding_filters():
        refused = linking.mesh("up", "--yes", f"--stack={LINKED}")
        assert refused.code != 0
        assert "west does not admit what stack linked would make in it" in refused.text
        assert "EnvoyFilter httpbin/export-httpbin-httpbin" in refused.text
        assert not ours(owners["west"].objects())


@dataclass(frozen=True)
class Team:
    """Somebody who links one cluster with a partner, in a checkout of an own and with credentials for nothing else.

    Attributes:
        checkout: of the team.
        owner: of the Istio in its cluster.
    """

    checkout: Checkout
    owner: Owner

    def is_hired(self) -> None:
        """Get credentials for the cluster, with which nothing is allowed yet."""
        self._kubeconfig.write_text(json.dumps(self.owner.hires(*LINKER)), encoding="utf-8")

    @property
    def _kubeconfig(self) -> Path:
        return self.checkout.folder / "kubeconfig.json"

    def is_allowed_what_it_asks_for(self) -> None:
        """Hand the printed rights to the owner, who applies them."""
        done = self.checkout.mesh("observe", f"--stack={LINKED}", "--rbac=ServiceAccount:" + "/".join(LINKER))
        assert done.code == 0, done.text
        self.owner.apply(done.stdout)

    def declares(self, **links: object) -> None:
        """Write the stack file: the team's own cluster, and what it links."""
        cluster: Any = declared(self.owner, self._kubeconfig, self.checkout)
        if self.owner.system != SYSTEM:  # nobody who may read nothing yet can find out where it is
            cluster["istio"]["namespace"] = self.owner.system
        lab: Any = kit.overlay().get("istio") if self.owner.provider == "kind" else None
        charts = {"istio": {"charts": lab["charts"], "gatewayValues": lab["gatewayValues"]}} if lab else {}
        self.checkout.declare({"clusters": {self.owner.cluster: cluster}, **charts, **links})

    def sends_card(self, other: "Team", name: str) -> dict[str, dict[str, str]]:
        """Hand a card to another team, and tell its fingerprint by another channel; returns what that declares."""
        file = other.checkout.folder / f"{name}.card.yaml"
        done = self.checkout.mesh("card", f"--stack={self.checkout.stack}", f"--output={file}")
        assert done.code == 0, done.text
        assert "PRIVATE" not in file.read_text(encoding="utf-8")
        return {name: {"card": file.name, "fingerprint": done.stderr.split()[-1]}}


@pytest.fixture
def teams(owners: dict[str, Owner], toolchain: Toolchain) -> Iterator[dict[str, Team]]:
    """Two teams, each with one cluster."""
    with checkout(toolchain, LINKED) as one, checkout(toolchain, LINKED) as two:
        found = {"east": Team(one, owners["east"]), "west": Team(two, owners["west"])}
        for team in found.values():
            team.is_hired()
            team.declares()
            refused = team.checkout.mesh("observe", f"--stack={LINKED}")
            assert refused.code == 1 and "./mesh observe --rbac SUBJECT" in refused.text
            team.is_allowed_what_it_asks_for()
            done = team.checkout.mesh("observe", f"--stack={LINKED}")
            assert done.code == 0, done.text
            team.checkout.up()
        yield found
        for team in found.values():
            team.checkout.down()


def test_two_teams_that_know_each_other_by_cards_alone_link_their_meshes(
    owners: dict[str, Owner], teams: dict[str, Team], installation: Installation, provider: str
) -> None:
    lab, east, west = Lab(owners["east"].checkout, provider), teams["east"], teams["west"]
    before = objects(owners)
    [export] = [each for each in exports() if each["cluster"] == "west"]
    [link] = [each for each in imports() if each["cluster"] == "east"]
    bravo = east.sends_card(west, "bravo")
    export = {**export, "to": [{"cluster": "bravo", "serviceAccounts": ["sleep/sleep"]}]}
    west.declares(partners=bravo, exports=[export])
    west.is_allowed_what_it_asks_for()
    may_run_pods_beside_istiod = west.owner.allows(*LINKER, "create", "deployments", SYSTEM)
    assert may_run_pods_beside_istiod == (installation.link_namespace == SYSTEM)
    west.checkout.up()
    assert not answered(lab, "east", url("west")), "an export alone makes nothing in the other mesh"

    alpha = west.sends_card(east, "alpha")
    port = {"name": "http", "number": 80, "protocol": "HTTP", "exported": 8000}
    own = {"host": OWN_NAME, "ports": [port]} if installation is OWN else {}
    called = f"http://{OWN_NAME}/headers" if installation is OWN else url("west")
    link = {**link, "from": "alpha", **own}
    east.declares(partners=alpha, imports=[link])
    east.is_allowed_what_it_asks_for()
    assert east.checkout.mesh("preview", f"--stack={LINKED}").code == 0
    east.checkout.up()
    assert_answered_under_both_identities(lab, installation, "east", "west", called)
    granted = [f"{owner.system} mesh-federation-{LINKED}" for owner in owners.values()]  # by owners, who add to it
    assert [each for each in touched(owners, before) if not any(role in each for role in granted)] == []
    assert_verified(east.checkout, provider, "traffic.answers")
    assert_verified(west.checkout, provider)

    forged = {**alpha["alpha"], "fingerprint": "sha256:0"}
    east.declares(partners={"alpha": forged}, imports=[link])
    refused = east.checkout.mesh("up", "--yes", f"--stack={LINKED}")
    assert refused.code == 1 and "partner-fingerprint" in refused.text
    east.declares(partners=alpha, imports=[link])

    west.declares(partners=bravo)
    west.checkout.up()
    eventually(lambda: not answered(lab, "east", called), PATIENCE)
