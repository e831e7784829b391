"""The ids of all rules that a stack file is checked against, each with its meaning in one sentence.

`python -m mesh_federation.stack.rule_ids` writes docs/rules.md from them; a test fails while that file is out of date.
"""

from enum import StrEnum
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"


class RuleId(StrEnum):
    """The stable id of a rule, as `mesh validate` shows it.

    Attributes:
        meaning: what the rule demands, or what a stack file that breaks it looks like.
    """

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "RuleId":
        """Make a member of an id and its meaning."""
        member = str.__new__(cls, value)
        member._value_, member.meaning = value, meaning
        return member


class FormRule(RuleId):
    """Form: the file can be read, and each value has the type that its key takes."""

    UNREADABLE_FILE = "unreadable-file", "The file does not exist or cannot be read."
    FILE_TOO_LARGE = "file-too-large", "A file has a maximum size."
    NOT_UTF_8 = "not-utf-8", "A file is encoded in UTF-8."
    YAML_VERSION = "yaml-version", "A `%YAML` directive asks for a version that Pulumi's engine does not accept."
    INVALID_YAML = "invalid-yaml", "The file is not YAML."
    SEVERAL_DOCUMENTS = "several-documents", "A file holds one YAML document."
    TOO_DEEP = "too-deep", "Mappings and lists are nested too deeply."
    ALIAS_EXPLOSION = "alias-explosion", "With its aliases expanded, the file has too many values."
    UNKNOWN_ANCHOR = "unknown-anchor", "An alias refers to an anchor above it whose value does not contain the alias."
    DUPLICATE_ANCHOR = "duplicate-anchor", "Each anchor of a file has its own name."
    BAD_MERGE = "bad-merge", "`<<` merges mappings."
    YAML_TAG = "yaml-tag", "Tags, which ask for special types, are refused."
    KEY_NOT_TEXT = "key-not-text", "Keys of mappings are text."
    DUPLICATE_KEY = "duplicate-key", "A key occurs once in a mapping."
    QUOTES_MISSING = "quotes-missing", "Pulumi's engine reads the value as a date or number unless it is quoted."
    NOT_A_NUMBER = "not-a-number", "Numbers are finite, and small enough for every program to read the same number."
    EMPTY_FILE = "empty-file", "The file declares nothing."
    NOT_A_MAPPING = "not-a-mapping", "The file, `config` and the federation are mappings."
    NOT_PLAIN_DATA = "not-plain-data", "The federation can be written as JSON."
    MISSING_CONFIG = "missing-config", "A stack file has a `config`."
    MISSING_FEDERATION = "missing-federation", "`config` declares a federation."
    UNKNOWN_CONFIG = "unknown-config", "All configuration of this program is under one key."
    WHOLE_STACK_FILE = "whole-stack-file", "An overlay holds keys of the federation, without `config` around them."
    ENCRYPTED_VALUE = "encrypted-value", "Only the PEM texts under `trust.provided` may be encrypted."
    PLAIN_TEXT_KEY = "plain-text-key", "A private key in a stack file is encrypted, or in a separate file."
    UNKNOWN_KEY = "unknown-key", "The key does not exist."
    MISSING_KEY = "missing-key", "A key without default is missing."
    WRONG_TYPE = "wrong-type", "The value is of another type than the key takes."
    WRONG_WORD = "wrong-word", "The value is not one of the words that the key takes."
    WRONG_VALUE = "wrong-value", "The value is not one that the key takes."
    OUT_OF_RANGE = "out-of-range", "A number or the length of a text is outside the limits of its key."
    EMPTY = "empty", "A list or mapping that needs at least one entry is empty."
    BAD_SUBNET = "bad-subnet", "The value is not an IPv4 subnet."
    HOST_BITS_SET = "host-bits-set", "The value is an address inside a subnet, not a subnet."
    BAD_VERSION = "bad-version", "The value is not a full release number."
    BAD_REFERENCE = "bad-reference", "The value is not of the form `namespace/name`."


class FederationRule(RuleId):
    """Federation: the entries of a stack file agree with each other, with Kubernetes and with Istio."""

    UNKNOWN_CLUSTER = "unknown-cluster", "A cluster that an entry names is declared under `clusters`."
    INVALID_NAME = "invalid-name", "Names are of the form that Kubernetes, Istio or Docker accept."
    NAME_TOO_LONG = "name-too-long", "Names fit into what is made of them: host names, labels, objects."
    CLUSTER_NAME_TAKEN = "cluster-name-taken", "Names of clusters differ in more than upper and lower case."
    SINGLE_POD = "single-pod", "Clusters export Services, not single pods of a StatefulSet."
    RESERVED_NAMESPACE = "reserved-namespace", "Exports, callers and samples are outside of the system's namespaces."
    RESERVED_NETWORK = "reserved-network", "The lab's network is not one of Docker's predefined networks."
    DUPLICATE_WORKLOAD = "duplicate-workload", "A sample is declared once per namespace of a cluster."
    BAD_IMAGE = "bad-image", "Images are references that container runtimes accept."
    BAD_PATH = "bad-path", "Paths are not empty and do not look like options."
    SINGLE_ADDRESS = "single-address", "Subnets have more than one address."
    UNUSABLE_SUBNET = "unusable-subnet", "Subnets hold no loopback, link-local, multicast or reserved addresses."
    SUBNET_SIZE = (
        "subnet-size",
        "Subnets are large enough for nodes and services, and not larger than Kubernetes takes.",
    )
    SUBNETS_OVERLAP = "subnets-overlap", "Subnets of one cluster, and of one Istio network, do not overlap."
    SUBNET_OVERLAPS_LAB = "subnet-overlaps-lab", "Subnets of clusters do not overlap the lab's network."
    LAB_TOO_SMALL = "lab-too-small", "The lab's network has an address pool for each cluster."
    LAB_TOO_LARGE = "lab-too-large", "The lab's network is not larger than what is divided into pools."
    BAD_GATEWAY_ADDRESS = "bad-gateway-address", "Gateway addresses are IP addresses or host names that others reach."
    MIXED_ADDRESSES = "mixed-addresses", "A gateway has IP addresses or host names, not both."
    BAD_EXTERNAL_IP = "bad-external-ip", "External IPs of the gateway are IP addresses that others reach."
    GATEWAY_OUTSIDE_LAB = "gateway-outside-lab", "Gateway addresses of the lab are in the half for load balancers."
    GATEWAY_ADDRESS_TAKEN = "gateway-address-taken", "Each gateway has its own address and port."
    PORT_OF_ISTIO = "port-of-istio", "Gateways do not use ports that Istio and Envoy reserve."
    VALUES_NOT_A_LIST = "values-not-a-list", "Where a chart takes a list, the values have a list."
    GATEWAY_SERVICE_TYPE = "gateway-service-type", "The gateway's Service is of a type that other clusters can reach."
    GATEWAY_NOT_BALANCED = "gateway-not-balanced", "Clusters of the lab reach gateways by load balancer."
    GATEWAY_WITHOUT_ADDRESS = "gateway-without-address", "A gateway without load balancer has declared addresses."
    NO_NODE_PORT = "no-node-port", "A gateway of type NodePort has a port that nodes can serve."
    GATEWAY_PORT_NOT_SERVED = "gateway-port-not-served", "The gateway's Service serves the port that others call."
    KEY_WITHOUT_EFFECT = "key-without-effect", "Keys that do nothing where they are set are refused."
    MISSING_KUBECONFIG = "missing-kubeconfig", "The stack file says how an existing cluster is reached."
    ONE_CLUSTER_TWICE = "one-cluster-twice", "A cluster is declared once."
    BAD_OBJECT_NAME = "bad-object-name", "Adopted objects are named by kind, namespace and name."
    LOAD_BALANCER_MISMATCH = "load-balancer-mismatch", "The load balancer works with the cluster's provisioner."
    NODE_IMAGE_OF_ANOTHER = "node-image-of-another", "The node image is one of the cluster's provisioner."
    ADDRESS_OF_NODES = "address-of-nodes", "servicelb takes no declared gateway addresses."
    PORT_OF_NODES = "port-of-nodes", "With servicelb, the gateway uses no port of the nodes."
    ISTIO_CNI = "istio-cni", "Pods rely on Istio's CNI plugin only where others install it."
    BAD_CLUSTER_DOMAIN = "bad-cluster-domain", "A cluster domain is a name of DNS."
    CLUSTER_DOMAINS_DIFFER = "cluster-domains-differ", "Clusters behind one host have one cluster domain."
    BAD_TRUST_DOMAIN = "bad-trust-domain", "A trust domain is of the form that SPIFFE defines."
    TRUST_DOMAIN_TAKEN = "trust-domain-taken", "An export treats all clusters of one trust domain alike."
    TRUST_DOMAIN_OF_ISTIO = "trust-domain-of-istio", "Named callers are not of the trust domain `cluster.local`."
    NETWORK_OF_TWO_MESHES = "network-of-two-meshes", "Clusters on one Istio network are in one mesh."
    MESH_OF_TWO_TRUST_DOMAINS = "mesh-of-two-trust-domains", "Clusters of one mesh have one trust domain."
    MESH_OF_TWO_ROOTS = "mesh-of-two-roots", "Clusters of one mesh have one root."
    BAD_AUTHORITY_NAME = "bad-authority-name", "Names of authorities can be part of names of resources."
    LONG_COMMON_NAME = "long-common-name", "Common names are no longer than X.509 allows."
    OUTLIVES_ITS_ROOT = "outlives-its-root", "Intermediates do not outlive their root."
    ORGANIZATION_UNPRINTABLE = "organization-unprintable", "Organizations in certificates are printable text."
    ROTATION_TO_NOWHERE = "rotation-to-nowhere", "A rotation leads to other authorities."
    ROTATION_WITHOUT_NAME = "rotation-without-name", "The next root of a rotation has a name that no current root has."
    OBSERVED_ONLY = "observed-only", "The file of what was observed holds nothing else."
    NOT_OBSERVED = "not-observed", "A mesh of others was observed before it is linked."
    OBSERVED_INSTALLED = "observed-installed", "Only meshes that the stack does not install are observed."
    OBSERVED_MADE = "observed-made", "Meshes of others are in existing clusters."
    OBSERVED_DIFFERS = "observed-differs", "The stack file does not contradict what was observed."
    OBSERVED_ROOT = "observed-root", "Roots that were observed are certificates, and of one mesh each."
    OBSERVED_TWIN = "observed-twin", "A twin is a certificate of one mesh, for an authority that signs it itself."
    OBSERVED_SCOPE = "observed-scope", "Meshes of others are linked in trust scope `link`."
    OBSERVED_ALIAS = "observed-alias", "No mesh has the trust domain of another as an alias."
    OBSERVED_UNSUPPORTED = "observed-unsupported", "Meshes of others have what a link needs."
    OBSERVED_NAMES = "observed-names", "Proxies of callers can resolve what is imported."
    LINK_NAMESPACE = "link-namespace", "No workload is in the namespace of what links share in a mesh of others."
    OBSERVED_FILTER = "observed-filter", "No filter of others sets the TLS of workloads that are linked."
    PARTNER_NAME = "partner-name", "Partners and clusters have different names."
    PARTNER_FINGERPRINT = "partner-fingerprint", "A card has the fingerprint that its partner told."
    PARTNER_NOT_OURS = "partner-not-ours", "A stack declares nothing of its partners: their cards do."
    PARTNER_ADDRESS = "partner-address", "The card of an exporting partner has an address of its gateway."
    PARTNER_HOST = "partner-host", "An import has a name under which the partner exports the service."
    FLEET_FILE = "fleet-file", "The file of a fleet declares the cluster of each member."
    FLEET_TRUST = "fleet-trust", "Members of a fleet have no common root."
    FLEET_NETWORK = "fleet-network", "Members of a fleet can reach each other, so they are not native clusters."
    FLEET_DISCOVERY = "fleet-discovery", "Endpoint discovery stays within one stack."
    FLEET_CARD = "fleet-card", "The card of a member is that of its cluster."
    PROVIDED_UNUSED = "provided-unused", "Only model `provided` takes authorities."
    PROVIDED_INCOMPLETE = "provided-incomplete", "Model `provided` has an authority for each cluster."
    PROVIDED_FOR_NOBODY = "provided-for-nobody", "Each provided authority belongs to a declared cluster."
    SCOPE_OF_STABLE_CHANNEL = (
        "scope-of-stable-channel",
        "Scope `link` needs a release channel of Istio that takes EnvoyFilters.",
    )
    SCOPE_OF_AMBIENT = "scope-of-ambient", "Scope `link` needs proxies that read EnvoyFilters."
    SCOPE_OF_DISCOVERY = "scope-of-discovery", "Clusters that discover each other have scope `mesh`."
    SCOPE_OF_ONE_TRUST_DOMAIN = "scope-of-one-trust-domain", "Scope `link` needs one trust domain per cluster."
    SCOPE_OF_CALLER = "scope-of-caller", "Scope `link` has no callers in Istio's namespace."
    SCOPE_OF_ONE_AUTHORITY = "scope-of-one-authority", "Scope `link` needs an authority of its own for each cluster."
    TWIN_WITHOUT_NAME = (
        "twin-without-name",
        "With scope `link` and a common root, the next intermediates of a rotation have other names.",
    )
    INTERMEDIATE_OF_NOBODY = (
        "intermediate-of-nobody",
        "Named intermediates are of clusters for which this stack makes them.",
    )
    REVOKED_IN_MESH = "revoked-in-mesh", "Only scope `link` revokes clusters and authorities."
    REVOKED_UNCLEAR = "revoked-unclear", "An item of `revoked` names one cluster or one authority."
    REVOKED_UNKNOWN = "revoked-unknown", "What is revoked exists and is trusted."
    REVOKED_SIGNS = "revoked-signs", "A revoked authority signs for no cluster any more."
    ISTIO_TOO_OLD = "istio-too-old", "Istio is not older than the oldest release that works."
    ISTIO_TOO_NEW = "istio-too-new", "Istio is not newer than the newest release that was tested."
    KUBERNETES_UNSUPPORTED = "kubernetes-unsupported", "Kubernetes is a release that Istio supports."
    VERSION_SKEW = "version-skew", "Clusters run Istio releases that are tested together."
    GLOBAL_VERSION = "global-version", "Global hosts and the Gateway API need an Istio release that supports them."
    UNSET_NETWORK_VERSION = "unset-network-version", "An empty network needs an Istio release that supports it."
    TLS_LISTENER_FLAG = "tls-listener-flag", "Values do not switch off TLS listeners that an import needs."
    DISCOVERY_VERSION = "discovery-version", "Endpoint discovery does not work with one Istio release."
    VALUES_NOT_A_MAPPING = "values-not-a-mapping", "Where a chart takes a mapping, the values have a mapping."
    DECIDED_ELSEWHERE = "decided-elsewhere", "Helm values do not contradict what the stack file declares."
    SELF_EXPORT = "self-export", "A cluster does not export to itself."
    SELF_IMPORT = "self-import", "A cluster does not import from itself."
    EMPTY_CONSUMERS = "empty-consumers", "An export names its consumers."
    DUPLICATE_CONSUMER = "duplicate-consumer", "An export names each cluster once."
    DUPLICATE_EXPORT = "duplicate-export", "A service is exported once per cluster."
    SELECTOR_MISSES_SAMPLE = "selector-misses-sample", "The selector of an exported sample selects its pods."
    ACCOUNT_OF_NOBODY = "account-of-nobody", "The service account of an exported sample is that of its pods."
    SELECTORS_OVERLAP = "selectors-overlap", "Exports that share pods have the same ports and callers."
    IMPORT_WITHOUT_EXPORT = "import-without-export", "An imported service is exported."
    IMPORT_WITHOUT_CONSENT = "import-without-consent", "The export of an imported service names the importing cluster."
    IMPORT_WITHOUT_CALLERS = (
        "import-without-callers",
        "A partner's card does not choose which namespaces of this stack trust the partner, or may call nothing else.",
    )
    OWN_HOST = "own-host", "A name of its own for an import is a host name that nothing else has."
    DUPLICATE_IMPORT = "duplicate-import", "An import is declared once."
    DUPLICATE_HOST = "duplicate-host", "A host is a Service or a ServiceEntry, not both."
    RE_EXPORT_CYCLE = "re-export-cycle", "Clusters do not pass a service on in a circle."
    LOCAL_NEEDS_ADDRESS = "local-needs-address", "`as: local` needs the IP address of the exporter's gateway."
    LOCAL_SAMPLE_DIFFERS = "local-sample-differs", "`as: local` beside a sample matches its Service and pods."
    BAD_LOCALITY = "bad-locality", "A locality is region[/zone[/subzone]]."
    DUPLICATE_DISCOVERY = "duplicate-discovery", "A discovery link is declared once."
    SELF_DISCOVERY = "self-discovery", "A cluster does not discover itself."
    DISCOVERY_ACROSS_MESHES = "discovery-across-meshes", "Endpoint discovery stays within one mesh."
    DISCOVERY_WITHOUT_ROUTE = "discovery-without-route", "Clusters of Docker are not on one Istio network."
    DISCOVERY_OF_NAMESPACE = "discovery-of-namespace", "Clusters that discover each other have Istio in one namespace."
    DISCOVERY_OF_SIMULATED = "discovery-of-simulated", "A running istiod cannot read a simulated cluster."
    BAD_API_SERVER = "bad-api-server", "An API server's address is an https address that pods elsewhere reach."
    DISCOVERED_GATEWAY_ADDRESS = (
        "discovered-gateway-address",
        "The gateway of a discovered cluster has the addresses of its Service, not declared ones.",
    )
    EXPORT_THROUGH_OPEN_GATEWAY = "export-through-open-gateway", "A discovered cluster exports to no other mesh."
    IMPORT_THROUGH_OPEN_GATEWAY = "import-through-open-gateway", "A discovered cluster imports from no other mesh."
    IMPORT_OF_DISCOVERED = "import-of-discovered", "A service is imported or discovered, not both."
    BAD_GLOBAL_HOST = "bad-global-host", "The form of global hosts gives each service a host name."
    GLOBAL_HOST_TAKEN = "global-host-taken", "A global host means one service."
    GLOBAL_ON_ONE_NETWORK = "global-on-one-network", "Global hosts and the Gateway API need two Istio networks."
    API_DIFFERS = "api-differs", "All imports of a service into a cluster use the same API."
    REMOTE_NETWORK_SHARED = "remote-network-shared", "With `api: gateway`, an Istio network has one exporting cluster."
    GLOBAL_NEEDS_ADDRESS = "global-needs-address", "`as: global` with `api: istio` needs the gateway's IP address."
    TOO_MANY_ADDRESSES = "too-many-addresses", "A Gateway of the Gateway API has a maximum number of addresses."
    GLOBAL_TARGET_PORT = "global-target-port", "A global host of a sample leads to the port of its pods."
    GLOBAL_SAMPLE_DIFFERS = "global-sample-differs", "`as: global` beside a sample matches its ports and pods."
    GLOBAL_PORTS_DIFFER = "global-ports-differ", "Both sides of a global host have the same ports."
    GLOBAL_WITHOUT_NAME = "global-without-name", "The pods of a global host have a canonical name."
    VIA_DIFFERS = "via-differs", "All imports of a cluster from another one use the same path."
    EGRESS_OF_ISTIO = "egress-of-istio", "Callers through an egress gateway are not in Istio's namespace."
    EGRESS_VERSION = "egress-version", "Egress with the Gateway API needs an Istio release that supports it."
    UNNAMED_PORT = "unnamed-port", "Ports have names."
    BAD_PORT_NAME = "bad-port-name", "Names of ports are of the form that Kubernetes accepts."
    BAD_APP_PROTOCOL = "bad-app-protocol", "An appProtocol is of the form that Kubernetes accepts."
    PORT_NAME_PROTOCOL = "port-name-protocol", "The protocol of a port is the one that Istio reads from the Service."
    DUPLICATE_PORT = "duplicate-port", "Names and numbers of ports are unique."
    PORT_MISMATCH = "port-mismatch", "Imported ports are those of the export."
    PORTS_DIFFER = "ports-differ", "All clusters behind one host have the same ports."
    SAMPLE_PORT = "sample-port", "Exported ports of a sample are those of its Service."
    WEIGHT_MISSING = "weight-missing", "All imports of a service into a cluster have a weight, or none."
    WEIGHTS_SUM = "weights-sum", "Weights add up to 100; beside local pods, to at most 100."
    WEIGHTS_WITH_FAILOVER = "weights-with-failover", "A service has weights or failover, not both."
    LOCAL_IN_ONE_LOCALITY = "local-in-one-locality", "Weights and failover beside local pods need distinct localities."


class AuthorityRule(RuleId):
    """Provided authorities: istiod and the proxies accept what the given certificates and keys sign."""

    PROVIDED_FILE = "provided-file", "The file of a certificate or key can be read."
    PROVIDED_NOT_PEM = "provided-not-pem", "A certificate is PEM or DER, complete, and alone in its value."
    PROVIDED_NOT_ONE = "provided-not-one", "A value for one certificate or key holds exactly one."
    PROVIDED_KEY_EXPOSED = "provided-key-exposed", "A private key is not in the value of a certificate."
    PROVIDED_BAD_KEY = "provided-bad-key", "A private key is PEM or DER that can be read."
    PROVIDED_KEY_ENCRYPTED = "provided-key-encrypted", "A private key has no password."
    PROVIDED_KEY_KIND = "provided-key-kind", "Keys are ECDSA or RSA keys that Istio and Envoy accept."
    PROVIDED_KEY_FORM = "provided-key-form", "Public keys are written in the usual form."
    PROVIDED_KEY_MISMATCH = "provided-key-mismatch", "The private key belongs to the certificate."
    PROVIDED_BAD_NAME = "provided-bad-name", "Names in certificates are names that istiod can read."
    PROVIDED_EXPIRED = "provided-expired", "Certificates have not expired."
    PROVIDED_NOT_YET_VALID = "provided-not-yet-valid", "Certificates are valid already."
    PROVIDED_NOT_AN_AUTHORITY = "provided-not-an-authority", "Certificates are of certificate authorities."
    PROVIDED_CANNOT_SIGN = "provided-cannot-sign", "The key usage of an authority allows it to sign certificates."
    PROVIDED_EXTENDED_KEY_USAGE = (
        "provided-extended-key-usage",
        "The extended key usage of an authority allows servers and clients.",
    )
    PROVIDED_ALGORITHMS_DIFFER = "provided-algorithms-differ", "A certificate names one signature algorithm."
    PROVIDED_CRITICAL_EXTENSION = (
        "provided-critical-extension",
        "Critical extensions are ones that Istio and Envoy know.",
    )
    PROVIDED_POLICY = "provided-policy", "Authorities do not require certificate policies."
    PROVIDED_SIGNATURE_ALGORITHM = "provided-signature-algorithm", "Signatures are of algorithms that Go verifies."
    PROVIDED_ROOT_DAMAGED = "provided-root-damaged", "The signature of a self-signed root is correct."
    PROVIDED_NAME_CONSTRAINTS = "provided-name-constraints", "Name constraints permit the names of the mesh."
    PROVIDED_PATH_LENGTH = "provided-path-length", "Path lengths allow the certificates below."
    PROVIDED_KEY_IDENTIFIER = "provided-key-identifier", "Certificates name the key identifier of their issuer."
    PROVIDED_CHAIN_BROKEN = "provided-chain-broken", "A chain leads from the certificate to the root."
    PROVIDED_CHAIN_ASTRAY = "provided-chain-astray", "A chain holds no other certificates."
    SAME_ROOT_DN = "same-root-dn", "Different roots have different subjects."


KINDS: tuple[type[RuleId], ...] = (FormRule, FederationRule, AuthorityRule)


def rendered() -> str:
    """Return the text of docs/rules.md."""
    lines = [
        "# Rules of the stack file",
        "",
        "`mesh validate`, `mesh preview` and `mesh up` check a stack file against these rules. Every problem is shown",
        "with its key path, the id of the rule, the reason and the fix.",
    ]
    for kind in KINDS:
        title, _, sentence = (kind.__doc__ or "").strip().partition(": ")
        lines += ["", f"## {title}", "", f"{sentence[:1].upper()}{sentence[1:]}", "", "| rule | meaning |", "|---|---|"]
        lines += [f"| `{rule.value}` | {rule.meaning} |" for rule in kind]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(), encoding="utf-8")
