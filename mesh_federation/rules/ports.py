"""Ports: they have unique names, the protocol that Istio reads, and agree on both sides of an import."""

from collections import defaultdict
from collections.abc import Iterator

from mesh_federation.plan.samples import SAMPLES
from mesh_federation.rules.exports import exports_by_service
from mesh_federation.rules.names import LABEL, LABEL_KEY, LABEL_LENGTH
from mesh_federation.stack.config import Export, Federation, Import, ImportedPort, NamespacedName, Port
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
"""Protocols by the first word of a port's appProtocol or name, as Istio reads them."""

_OF_KUBERNETES = {"kubernetes.io/h2c": "HTTP2", "kubernetes.io/ws": "HTTP", "kubernetes.io/wss": "HTTPS"}
"""Values of appProtocol that Kubernetes defines."""

_ALIKE = ({"HTTPS", "TLS"}, {"HTTP2", "GRPC"}, {"TCP", "MONGO"})
"""Protocols that proxies treat alike, except for statistics."""


def ports_are_named(federation: Federation) -> Iterator[Problem]:
    """Istio maps endpoints of other clusters by port name."""
    for path, port in _all_ports(federation):
        if not port.name:
            yield Problem(
                f"{path}.name",
                FederationRule.UNNAMED_PORT,
                f"port {port.number} has an empty name, but Istio matches the endpoints of other clusters by port name,"
                " not by number (pitfall 15)",
                "write the name of the Service's port, for example http; if it has none, imports as remote or global"
                " accept any name that begins with its protocol",
            )
        elif len(port.name) > LABEL_LENGTH or not LABEL.fullmatch(port.name):
            yield Problem(
                f"{path}.name",
                FederationRule.BAD_PORT_NAME,
                f'"{port.name[:70]}" cannot be the name of a Service port, so no endpoint would ever match it',
                "write the name of the Service's port: at most 63 lower-case letters, digits and dashes",
            )


def port_names_agree_with_protocols(federation: Federation) -> Iterator[Problem]:
    """In the exporting cluster, Istio takes the protocol from the port's appProtocol, or from its name.

    Source: ConvertProtocol (istio, pkg/config/kube).
    """
    for path, port in _all_ports(federation):
        given = port.app_protocol
        if given is not None and not LABEL_KEY.fullmatch(given):
            yield Problem(
                f"{path}.appProtocol",
                FederationRule.BAD_APP_PROTOCOL,
                f'"{given[:70]}" cannot be the appProtocol of a Service port',
                "write it as the Service has it, for example http, grpc or kubernetes.io/h2c",
            )
            continue
        read = _protocol(port.name if given is None else given)
        if read is None or read == port.protocol.value or {read, port.protocol.value} in _ALIKE:
            continue
        source = f"name {port.name}" if given is None else f"appProtocol {given}"
        other = f"rename the Service's port to {port.protocol.value.lower()}, or add its appProtocol here if it has one"
        fix = f"write protocol: {read}, or {other if given is None else 'correct appProtocol'}"
        yield Problem(
            f"{path}.protocol",
            FederationRule.PORT_NAME_PROTOCOL,
            f"the protocol is {port.protocol.value}, but from the {source} Istio reads {read} in the exporting cluster:"
            " the two sides would use different protocols",
            "export a TCP port: Istio does not carry UDP" if read == "UDP" else fix,
        )


def _protocol(word: str) -> str | None:
    """Return the protocol that Istio reads from an appProtocol or port name; None if it detects the protocol."""
    lower = word.lower()
    if lower.startswith("grpc-web"):
        return "GRPC-WEB"
    return _OF_KUBERNETES.get(word) or _PREFIXES.get(lower.split("-")[0])


def ports_are_unique(federation: Federation) -> Iterator[Problem]:
    """Names and numbers of a Service's ports are unique."""
    entries: tuple[Export | Import, ...] = (*federation.exports, *federation.imports)
    for entry in entries:
        names: dict[str, int] = {}
        numbers: dict[int, int] = {}
        for index, port in enumerate(entry.ports):
            path = f"{entry.path}.ports[{index}]"
            same_name = names.setdefault(port.name, index)
            if same_name != index and port.name:
                problem = f"ports[{same_name}] is also named {port.name}, so Istio could not distinguish them"
                yield Problem(
                    f"{path}.name",
                    FederationRule.DUPLICATE_PORT,
                    problem,
                    "give each port the name that it has in the Service",
                )
            same_number = numbers.setdefault(port.number, index)
            if same_number != index:
                problem = f"ports[{same_number}] also has the number {port.number}; a Service has one port per number"
                yield Problem(
                    f"{path}.number",
                    FederationRule.DUPLICATE_PORT,
                    problem,
                    "remove one of them, or correct its number",
                )


def imported_ports_are_exported(federation: Federation) -> Iterator[Problem]:
    """Ports that an import lists are ports of the export."""
    exports = exports_by_service(federation)
    for link in federation.imports:
        export = exports.get((link.source, link.service))
        if export is None:
            continue
        exported = {port.name: port for port in export.ports}
        for index, port in enumerate(link.ports):
            if port.exported is not None and link.own_host is None:
                yield Problem(
                    f"{link.path}.ports[{index}].exported",
                    FederationRule.PORT_MISMATCH,
                    f"an import without `host` asks for {link.service} with the number that callers call",
                    "remove `exported`, or import the service `as: remote` under a name of its own (`host`)",
                )
            difference = _difference(port, exported.get(port.name), export)
            if difference:
                yield Problem(
                    f"{link.path}.ports[{index}]",
                    FederationRule.PORT_MISMATCH,
                    f"{link.cluster} imports {link.service} with {_shown(port)}, but {difference}",
                    _repair(link, port, exported.get(port.name), export),
                )


def _repair(link: Import, port: ImportedPort, exported: Port | None, export: Export) -> str:
    """Say how to write the port of an import; only under a name of its own may it have another number."""
    mapped = f", or add exported: {exported.number}" if exported and link.own_host and port.exported is None else ""
    return f"write the port as {export.path} has it{mapped}, or remove `ports` to import all of them"


def _difference(port: Port, exported: Port | None, export: Export) -> str:
    where = f"{export.cluster} exports"
    if exported is None:
        return f"{where} only {', '.join(map(_shown, export.ports))} ({export.path})"
    target_differs = port.target_port is not None and port.target_port != exported.target_port
    app_differs = port.app_protocol not in (None, exported.app_protocol)
    if (port.exported_number, port.protocol) != (exported.number, exported.protocol) or target_differs or app_differs:
        target = f" with targetPort {exported.target_port}" if target_differs else ""
        app = f" with appProtocol {exported.app_protocol}" if app_differs else ""
        return f"{where} {_shown(exported)}{target}{app} ({export.path})"
    return ""


def _shown(port: Port) -> str:
    mapped = f" (exported as {port.exported_number})" if port.exported_number != port.number else ""
    return f"port {port.name} {port.number}/{port.protocol.value}{mapped}"


def sources_of_one_host_have_equal_ports(federation: Federation) -> Iterator[Problem]:
    """All clusters behind a host serve the same ports, or some calls would fail."""
    exports = exports_by_service(federation)
    groups: dict[tuple[str, NamespacedName, str, str], list[tuple[Import, tuple[Port, ...]]]] = defaultdict(list)
    for link in federation.imports:
        export = exports.get((link.source, link.service))
        if export is not None:
            groups[link.cluster, link.service, link.host, link.mode].append((link, link.ports or export.ports))
    for group in groups.values():
        first, ports = group[0]
        for link, others in group[1:]:
            if link.source != first.source and _facts(ports) != _facts(others):
                yield Problem(
                    link.path,
                    FederationRule.PORTS_DIFFER,
                    f"{link.cluster} imports {link.service} from {first.source} with {', '.join(map(_shown, ports))}"
                    f" and from {link.source} with {', '.join(map(_shown, others))}: calls of a port that differs"
                    " would fail at one of them",
                    f"list only the ports that both have under `ports` of {first.path} and {link.path}, with the same"
                    " numbers",
                )


def _facts(ports: tuple[Port, ...]) -> set[tuple[str, int, int, str]]:
    return {(port.name, port.number, port.exported_number, port.protocol.value) for port in ports}


def samples_have_their_ports(federation: Federation) -> Iterator[Problem]:
    """Exported ports of a sample are ports of its Service."""
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
                    f"{export.cluster} exports {_shown(port)}{target}{app} of {export.service}, but the Service of"
                    f" {workload.path} has port http {sample.port} with targetPort {sample.target}",
                    f"write {{name: http, number: {sample.port}, protocol: HTTP}}",
                )


def _all_ports(federation: Federation) -> Iterator[tuple[str, Port]]:
    """Yield all ports with their key paths; an imported port without appProtocol gets that of the export."""
    exports = exports_by_service(federation)
    for export in federation.exports:
        for index, port in enumerate(export.ports):
            yield f"{export.path}.ports[{index}]", port
    for link in federation.imports:
        imported = exports.get((link.source, link.service))
        exported = {port.name: port.app_protocol for port in imported.ports} if imported else {}
        for index, port in enumerate(link.ports):
            known = port.app_protocol if port.app_protocol is not None else exported.get(port.name)
            yield f"{link.path}.ports[{index}]", port.model_copy(update={"app_protocol": known})


RULES = (
    ports_are_named,
    port_names_agree_with_protocols,
    ports_are_unique,
    imported_ports_are_exported,
    sources_of_one_host_have_equal_ports,
    samples_have_their_ports,
)
