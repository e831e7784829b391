"""Ports: named, unique, of the protocol that their name says, and the same on both sides of an import."""

from collections import defaultdict
from collections.abc import Iterator

from model.config import Export, Federation, Import, NamespacedName, Port
from model.finding import Finding
from model.rules.links import exports_by_service
from model.rules.names import LABEL, LABEL_LENGTH
from model.samples import SAMPLES

_PREFIXES = {
    "http": "HTTP",
    "http2": "HTTP2",
    "https": "HTTPS",
    "grpc": "GRPC",
    "grpc-web": "GRPC-WEB",
    "tls": "TLS",
    "tcp": "TCP",
    "mongo": "MONGO",
    "udp": "UDP",
}
"""Istio reads a port's protocol from its name up to the first dash, where it is one of these words."""


def ports_are_named(federation: Federation) -> Iterator[Finding]:
    """Istio maps endpoints of other clusters by port name."""
    for path, port in _all_ports(federation):
        if not port.name:
            yield Finding(
                f"{path}.name",
                "unnamed-port",
                f"port {port.number} has an empty name; Istio maps the endpoints of other clusters by port name, not"
                " by number (pitfall 15)",
                "write the name of the Service's port, for example http",
            )
        elif len(port.name) > LABEL_LENGTH or not LABEL.fullmatch(port.name):
            yield Finding(
                f"{path}.name",
                "bad-port-name",
                f'"{port.name[:70]}" cannot be the name of a Service port, so no endpoint would ever match it',
                "use the Service port's own name: lower-case letters, digits and dashes, at most 63",
            )


def port_names_agree_with_protocols(federation: Federation) -> Iterator[Finding]:
    """The name of the Service's port decides what Istio makes of it in the exporting cluster."""
    for path, port in _all_ports(federation):
        prefix = "grpc-web" if port.name == "grpc-web" or port.name.startswith("grpc-web-") else port.name.split("-")[0]
        named = _PREFIXES.get(prefix)
        if named and named != port.protocol.value:
            fix = f"write protocol: {named}, or rename the Service's port to {port.protocol.value.lower()}"
            if named == "UDP":
                fix = "export a TCP port: meshes do not carry UDP"
            yield Finding(
                f"{path}.protocol",
                "port-name-protocol",
                f"{port.protocol.value} for a port named {port.name}: from that name, Istio takes it for {named} in the"
                " exporting cluster, and the two sides would speak past each other",
                fix,
            )


def ports_are_unique(federation: Federation) -> Iterator[Finding]:
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
                yield Finding(
                    f"{path}.name", "duplicate-port", problem, "give each port the name it has in the Service"
                )
            same_number = numbers.setdefault(port.number, index)
            if same_number != index:
                problem = f"{port.number} is the number of ports[{same_number}] too; a Service has one port a number"
                yield Finding(
                    f"{path}.number", "duplicate-port", problem, "remove one of the two, or correct its number"
                )


def imported_ports_are_exported(federation: Federation) -> Iterator[Finding]:
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
                yield Finding(
                    f"{link.path}.ports[{index}]",
                    "port-mismatch",
                    f"{link.cluster} imports {link.service} with {_told(port)}, but {difference}",
                    f"write the port as {export.path} has it, or leave `ports` out to take all of them",
                )


def _difference(port: Port, offered: Port | None, export: Export) -> str:
    where = f"{export.cluster} exports"
    if offered is None:
        return f"{where} only {', '.join(map(_told, export.ports))} ({export.path})"
    target_differs = port.target_port is not None and port.target_port != offered.target_port
    if (port.number, port.protocol) != (offered.number, offered.protocol) or target_differs:
        target = f" with targetPort {offered.target_port}" if target_differs else ""
        return f"{where} {_told(offered)}{target} ({export.path})"
    return ""


def _told(port: Port) -> str:
    return f"port {port.name} {port.number}/{port.protocol.value}"


def sources_of_one_host_have_equal_ports(federation: Federation) -> Iterator[Finding]:
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
                yield Finding(
                    link.path,
                    "ports-differ",
                    f"{link.cluster} imports {link.service} from {first.source} with {', '.join(map(_told, ports))} and"
                    f" from {link.source} with {', '.join(map(_told, others))}: on a port that one of them lacks, its"
                    " share of the calls would fail",
                    f"list under `ports` of {first.path} and {link.path} what both have",
                )


def _facts(ports: tuple[Port, ...]) -> set[tuple[str, int, str]]:
    return {(port.name, port.number, port.protocol.value) for port in ports}


def samples_have_their_ports(federation: Federation) -> Iterator[Finding]:
    """What is exported of a sample workload must be a port of its Service."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    for export in federation.exports:
        workload = running.get((export.cluster, export.service))
        if workload is None:
            continue
        sample = SAMPLES[workload.sample]
        for index, port in enumerate(export.ports):
            wrong_target = port.target_port not in (None, sample.target)
            if (port.name, port.number) != ("http", sample.port) or wrong_target:
                target = f" with targetPort {port.target_port}" if wrong_target else ""
                yield Finding(
                    f"{export.path}.ports[{index}]",
                    "sample-port",
                    f"{export.cluster} exports {_told(port)}{target} of {export.service}, but the Service of"
                    f" {workload.path} has port http {sample.port} with targetPort {sample.target}",
                    f"write {{name: http, number: {sample.port}, protocol: HTTP}}",
                )


def _all_ports(federation: Federation) -> Iterator[tuple[str, Port]]:
    entries: tuple[Export | Import, ...] = (*federation.exports, *federation.imports)
    for entry in entries:
        for index, port in enumerate(entry.ports):
            yield f"{entry.path}.ports[{index}]", port


RULES = (
    ports_are_named,
    port_names_agree_with_protocols,
    ports_are_unique,
    imported_ports_are_exported,
    sources_of_one_host_have_equal_ports,
    samples_have_their_ports,
)
