"""Ports: named, unique, of the protocol that their name says, and the same on both sides of an import."""

from collections import defaultdict
from collections.abc import Iterator

from mesh_federation.plan.samples import SAMPLES
from mesh_federation.rules.links import exports_by_service
from mesh_federation.rules.names import LABEL, LABEL_KEY, LABEL_LENGTH
from mesh_federation.stack.config import Export, Federation, Import, NamespacedName, Port
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

_PREFIXES = {
    "http": "HTTP",
    "http2": "HTTP2",
    "https": "HTTPS",
    "grpc": "GRPC",
    "grpc-web": "GRPC-WEB",
    "tls": "TLS",
    "tcp": "TCP",
    "mongo": "MONGO",
    "redis": "TCP",
    "mysql": "TCP",
    "udp": "UDP",
}
"""Istio reads a port's protocol from its appProtocol, or else its name, up to the first dash: one of these words."""

_OF_KUBERNETES = {"kubernetes.io/h2c": "HTTP2", "kubernetes.io/ws": "HTTP", "kubernetes.io/wss": "HTTPS"}
"""Words of appProtocol that Kubernetes defines."""

_ALIKE = ({"HTTPS", "TLS"}, {"HTTP2", "GRPC"}, {"TCP", "MONGO"})
"""Protocols that proxies treat alike, but for statistics."""


def ports_are_named(federation: Federation) -> Iterator[Problem]:
    """Istio maps endpoints of other clusters by port name."""
    for path, port in _all_ports(federation):
        if not port.name:
            yield Problem(
                f"{path}.name",
                FederationRule.UNNAMED_PORT,
                f"port {port.number} has an empty name; Istio maps the endpoints of other clusters by port name, not"
                " by number (pitfall 15)",
                "write the name of the Service's port, for example http; where that has none, any name that begins with"
                " its protocol will do for imports as remote or global",
            )
        elif len(port.name) > LABEL_LENGTH or not LABEL.fullmatch(port.name):
            yield Problem(
                f"{path}.name",
                FederationRule.BAD_PORT_NAME,
                f'"{port.name[:70]}" cannot be the name of a Service port, so no endpoint would ever match it',
                "use the Service port's own name: lower-case letters, digits and dashes, at most 63",
            )


def port_names_agree_with_protocols(federation: Federation) -> Iterator[Problem]:
    """The appProtocol of the Service's port, or else its name, decides what Istio makes of it where it is exported.

    Source: ConvertProtocol (istio, pkg/config/kube).
    """
    for path, port in _all_ports(federation):
        given = port.app_protocol
        if given is not None and not LABEL_KEY.fullmatch(given):
            yield Problem(
                f"{path}.appProtocol",
                FederationRule.BAD_APP_PROTOCOL,
                f'"{given[:70]}" cannot be the appProtocol of a Service port',
                "write it as it stands in the Service, for example http, grpc or kubernetes.io/h2c",
            )
            continue
        read = _protocol(port.name if given is None else given)
        if read is None or read == port.protocol.value or {read, port.protocol.value} in _ALIKE:
            continue
        source = f"named {port.name}: from that name" if given is None else f"with appProtocol {given}: from that"
        other = f"rename the Service's port to {port.protocol.value.lower()}, or add its appProtocol here if it has one"
        fix = f"write protocol: {read}, or {other if given is None else 'correct appProtocol'}"
        yield Problem(
            f"{path}.protocol",
            FederationRule.PORT_NAME_PROTOCOL,
            f"{port.protocol.value} for a port {source}, Istio takes it for {read} in the exporting cluster, and the"
            " two sides would speak past each other",
            "export a TCP port: meshes do not carry UDP" if read == "UDP" else fix,
        )


def _protocol(word: str) -> str | None:
    """Return what Istio reads from an appProtocol or a port's name; None where it looks at the bytes instead."""
    lower = word.lower()
    if lower.startswith("grpc-web"):
        return "GRPC-WEB"
    return _OF_KUBERNETES.get(word) or _PREFIXES.get(lower.split("-")[0])


def ports_are_unique(federation: Federation) -> Iterator[Problem]:
    """A Service has one port of each name and number."""
    entries: tuple[Export | Import, ...] = (*federation.exports, *federation.imports)
    for entry in entries:
        names: dict[str, int] = {}
        numbers: dict[int, int] = {}
        for index, port in enumerate(entry.ports):
            path = f"{entry.path}.ports[{index}]"
            same_name = names.setdefault(port.name, index)
            if same_name != index and port.name:
                problem = f"{port.name} is the name of ports[{same_name}] too; Istio could not tell them apart"
                yield Problem(
                    f"{path}.name",
                    FederationRule.DUPLICATE_PORT,
                    problem,
                    "give each port the name it has in the Service",
                )
            same_number = numbers.setdefault(port.number, index)
            if same_number != index:
                problem = f"{port.number} is the number of ports[{same_number}] too; a Service has one port a number"
                yield Problem(
                    f"{path}.number",
                    FederationRule.DUPLICATE_PORT,
                    problem,
                    "remove one of the two, or correct its number",
                )


def imported_ports_are_exported(federation: Federation) -> Iterator[Problem]:
    """Where an import lists ports, they are ports of the export."""
    exports = exports_by_service(federation)
    for link in federation.imports:
        export = exports.get((link.source, link.service))
        if export is None:
            continue
        offered = {port.name: port for port in export.ports}
        for index, port in enumerate(link.ports):
            difference = _difference(port, offered.get(port.name), export)
            if difference:
                yield Problem(
                    f"{link.path}.ports[{index}]",
                    FederationRule.PORT_MISMATCH,
                    f"{link.cluster} imports {link.service} with {_told(port)}, but {difference}",
                    f"write the port as {export.path} has it, or leave `ports` out to take all of them",
                )


def _difference(port: Port, offered: Port | None, export: Export) -> str:
    where = f"{export.cluster} exports"
    if offered is None:
        return f"{where} only {', '.join(map(_told, export.ports))} ({export.path})"
    target_differs = port.target_port is not None and port.target_port != offered.target_port
    app_differs = port.app_protocol not in (None, offered.app_protocol)
    if (port.number, port.protocol) != (offered.number, offered.protocol) or target_differs or app_differs:
        target = f" with targetPort {offered.target_port}" if target_differs else ""
        app = f" with appProtocol {offered.app_protocol}" if app_differs else ""
        return f"{where} {_told(offered)}{target}{app} ({export.path})"
    return ""


def _told(port: Port) -> str:
    return f"port {port.name} {port.number}/{port.protocol.value}"


def sources_of_one_host_have_equal_ports(federation: Federation) -> Iterator[Problem]:
    """Clusters behind one host must answer on the same ports, or some calls would fail."""
    exports = exports_by_service(federation)
    groups: dict[tuple[str, NamespacedName, str], list[tuple[Import, tuple[Port, ...]]]] = defaultdict(list)
    for link in federation.imports:
        export = exports.get((link.source, link.service))
        if export is not None:
            groups[link.cluster, link.service, link.mode].append((link, link.ports or export.ports))
    for group in groups.values():
        first, ports = group[0]
        for link, others in group[1:]:
            if link.source != first.source and _facts(ports) != _facts(others):
                yield Problem(
                    link.path,
                    FederationRule.PORTS_DIFFER,
                    f"{link.cluster} imports {link.service} from {first.source} with {', '.join(map(_told, ports))} and"
                    f" from {link.source} with {', '.join(map(_told, others))}: on a port that one of them lacks, its"
                    " share of the calls would fail",
                    f"list under `ports` of {first.path} and {link.path} what both have",
                )


def _facts(ports: tuple[Port, ...]) -> set[tuple[str, int, str]]:
    return {(port.name, port.number, port.protocol.value) for port in ports}


def samples_have_their_ports(federation: Federation) -> Iterator[Problem]:
    """What is exported of a sample workload must be a port of its Service."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    for export in federation.exports:
        workload = running.get((export.cluster, export.service))
        if workload is None:
            continue
        sample = SAMPLES[workload.sample]
        for index, port in enumerate(export.ports):
            wrong_target = port.target_port not in (None, sample.target)
            if (port.name, port.number) != ("http", sample.port) or wrong_target or port.app_protocol is not None:
                target = f" with targetPort {port.target_port}" if wrong_target else ""
                app = f" with appProtocol {port.app_protocol}" if port.app_protocol is not None else ""
                yield Problem(
                    f"{export.path}.ports[{index}]",
                    FederationRule.SAMPLE_PORT,
                    f"{export.cluster} exports {_told(port)}{target}{app} of {export.service}, but the Service of"
                    f" {workload.path} has port http {sample.port} with targetPort {sample.target}",
                    f"write {{name: http, number: {sample.port}, protocol: HTTP}}",
                )


def _all_ports(federation: Federation) -> Iterator[tuple[str, Port]]:
    """Return all ports with their places; an import's has the appProtocol of the export's where it says nothing."""
    exports = exports_by_service(federation)
    for export in federation.exports:
        for index, port in enumerate(export.ports):
            yield f"{export.path}.ports[{index}]", port
    for link in federation.imports:
        offer = exports.get((link.source, link.service))
        offered = {port.name: port.app_protocol for port in offer.ports} if offer else {}
        for index, port in enumerate(link.ports):
            known = port.app_protocol if port.app_protocol is not None else offered.get(port.name)
            yield f"{link.path}.ports[{index}]", port.model_copy(update={"app_protocol": known})


RULES = (
    ports_are_named,
    port_names_agree_with_protocols,
    ports_are_unique,
    imported_ports_are_exported,
    sources_of_one_host_have_equal_ports,
    samples_have_their_ports,
)
