"""Reads pods, and refuses what the agent does not carry out: a field is known, ignored for a reason, or refused."""

from collections.abc import Set

from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.pod_spec import (
    ALWAYS,
    ContainerSpec,
    DnsSpec,
    FileItem,
    Handler,
    HandlerKind,
    MountSpec,
    PodDescription,
    PrivilegesSpec,
    ProbeSpec,
    ValueSource,
    VariableSetSpec,
    VariableSpec,
    VolumeSource,
    VolumeSpec,
)

DEFAULT_MODE = 0o644

SCHEDULING = {
    "affinity", "nodeName", "nodeSelector", "preemptionPolicy", "priority", "priorityClassName", "schedulerName",
    "tolerations", "topologySpreadConstraints", "serviceAccount", "automountServiceAccountToken",
}  # fmt: skip
"""Others act on these before a pod reaches a node."""
NOT_NEEDED = {"enableServiceLinks", "imagePullSecrets", "os", "resources", "hostUsers", "setHostnameAsFQDN"}
"""Images are this machine's, Services have names, and nothing limits CPU or memory (see docs of the provider)."""
POD = SCHEDULING | NOT_NEEDED | {
    "containers", "dnsConfig", "dnsPolicy", "hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostname",
    "initContainers", "restartPolicy", "securityContext", "serviceAccountName", "shareProcessNamespace", "subdomain",
    "terminationGracePeriodSeconds", "volumes",
}  # fmt: skip
CONTAINER = {
    "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name", "ports",
    "readinessProbe", "resizePolicy", "resources", "restartPolicy", "securityContext", "startupProbe", "stdin",
    "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty", "volumeMounts", "workingDir",
}  # fmt: skip
POD_SECURITY = {
    "appArmorProfile", "fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser", "seLinuxOptions",
    "seccompProfile", "supplementalGroups", "supplementalGroupsPolicy", "sysctls",
}  # fmt: skip
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation", "appArmorProfile", "capabilities", "privileged", "procMount", "readOnlyRootFilesystem",
    "runAsGroup", "runAsNonRoot", "runAsUser", "seLinuxOptions", "seccompProfile",
}  # fmt: skip
RESOURCES = {"cpu", "memory", "ephemeral-storage"}
PROBE = {
    "exec", "failureThreshold", "httpGet", "initialDelaySeconds", "periodSeconds", "successThreshold", "tcpSocket",
    "terminationGracePeriodSeconds", "timeoutSeconds",
}  # fmt: skip
VOLUME_KINDS = ("emptyDir", "configMap", "secret", "downwardAPI", "projected")
SOURCE_KINDS = {"configMap", "secret", "downwardAPI", "serviceAccountToken"}


class PodRefused(Exception):
    """A pod that asks for what the agent does not carry out; the text lists all of it."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Take one sentence a problem."""
        super().__init__("this node runs pods as processes, and cannot run this one: " + "; ".join(problems))


def read_pod(pod: ApiObject) -> PodDescription:
    """Read a pod of the API server.

    Raises:
        PodRefused: it asks for something that the agent does not carry out.
    """
    reader = _PodReader()
    spec = reader.pod(pod)
    if reader.problems:
        raise PodRefused(tuple(reader.problems))
    return spec


class _PodReader:
    """Reads a pod to its end, and collects what is refused."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def pod(self, pod: ApiObject) -> PodDescription:
        metadata, spec = pod.child("metadata"), pod.child("spec")
        security = spec.child("securityContext")
        self._known(spec, POD)
        self._known(security, POD_SECURITY)
        for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "setHostnameAsFQDN"):
            self._refuse(spec.flag(name), spec, name)
        self._refuse(not spec.flag("hostUsers", True), spec, "hostUsers", "false")
        self._refuse(spec.child("os").text("name", "linux") != "linux", spec, "os.name", spec.child("os").text("name"))
        self._refuse(security.text("supplementalGroupsPolicy") == "Strict", security, "supplementalGroupsPolicy")
        sysctls = {item.text("name"): item.text("value") for item in security.children("sysctls")}
        for name in sysctls:
            if not name.startswith("net."):
                self.problems.append(f"the sysctl {name} is not of the pod's network")
        policy, dns = spec.text("dnsPolicy", "ClusterFirst"), spec.child("dnsConfig")
        return PodDescription(
            name=metadata.text("name"),
            namespace=metadata.text("namespace"),
            uid=metadata.text("uid"),
            service_account=spec.text("serviceAccountName", "default"),
            hostname=spec.text("hostname", metadata.text("name"))[:63].rstrip("-."),
            subdomain=spec.text("subdomain"),
            host_aliases=tuple((item.text("ip"), item.strings("hostnames")) for item in spec.children("hostAliases")),
            dns=DnsSpec(
                policy, dns.strings("nameservers"), dns.strings("searches"),
                tuple(_option(item) for item in dns.children("options")),
            ),
            restart_policy=spec.text("restartPolicy", ALWAYS),
            grace=spec.number("terminationGracePeriodSeconds", 30),
            sysctls=sysctls,
            fs_group=security.optional_number("fsGroup"),
            groups=tuple(int(group) for group in security.strings("supplementalGroups")),
            volumes=tuple(self._volume(item) for item in spec.children("volumes")),
            init_containers=tuple(self._container(item, security) for item in spec.children("initContainers")),
            containers=tuple(self._container(item, security) for item in spec.children("containers")),
        )  # fmt: skip

    def _container(self, container: ApiObject, pod_security: ApiObject) -> ContainerSpec:
        self._known(container, CONTAINER)
        for name in ("stdin", "tty"):
            self._refuse(container.flag(name), container, name)
        resources, lifecycle = container.child("resources"), container.child("lifecycle")
        self._known(resources, {"limits", "requests"})
        self._known(lifecycle, {"postStart", "preStop"})
        for part in ("limits", "requests"):
            self._known(resources.child(part), RESOURCES)
        for port in container.children("ports"):
            self._refuse(bool(port.number("hostPort")), port, "hostPort")
        return ContainerSpec(
            name=container.text("name"),
            image=container.text("image"),
            command=container.strings("command"),
            arguments=container.strings("args"),
            working_directory=container.text("workingDir"),
            variables=tuple(self._variable(item) for item in container.children("env")),
            variable_sets=tuple(self._variable_set(item) for item in container.children("envFrom")),
            ports={item.text("name"): item.number("containerPort") for item in container.children("ports")},
            mounts=tuple(self._mount(item) for item in container.children("volumeMounts")),
            limits=resources.mapping("limits"),
            requests=resources.mapping("requests"),
            startup=self._probe(container, "startupProbe"),
            readiness=self._probe(container, "readinessProbe"),
            liveness=self._probe(container, "livenessProbe"),
            post_start=self._hook(lifecycle, "postStart"),
            pre_stop=self._hook(lifecycle, "preStop"),
            privileges=self._privileges(container.child("securityContext"), pod_security),
            message_path=container.text("terminationMessagePath", "/dev/termination-log"),
            message_from_logs=container.text("terminationMessagePolicy") == "FallbackToLogsOnError",
            sidecar=container.text("restartPolicy") == ALWAYS,
        )

    def _privileges(self, own: ApiObject, pod: ApiObject) -> PrivilegesSpec:
        """Join the security contexts of a container and its pod; the container's counts."""
        self._known(own, CONTAINER_SECURITY)
        self._refuse(own.flag("privileged"), own, "privileged")
        self._refuse(own.text("procMount", "Default") != "Default", own, "procMount", own.text("procMount"))
        for context in (own, pod):
            self._refuse("seLinuxOptions" in context, context, "seLinuxOptions")
            for name in ("seccompProfile", "appArmorProfile"):  # the default profiles have no counterpart here
                self._refuse(context.child(name).text("type") == "Localhost", context, name, "Localhost")

        def number(name: str) -> int | None:
            return (own if name in own else pod).optional_number(name)

        capabilities = own.child("capabilities")
        return PrivilegesSpec(
            user=number("runAsUser"),
            group=number("runAsGroup"),
            non_root=(own if "runAsNonRoot" in own else pod).flag("runAsNonRoot"),
            added=capabilities.strings("add"),
            dropped=capabilities.strings("drop"),
            read_only_root=own.flag("readOnlyRootFilesystem"),
            may_escalate=own.flag("allowPrivilegeEscalation", True),
        )

    def _variable(self, variable: ApiObject) -> VariableSpec:
        source = variable.child("valueFrom")
        kind = next(iter(source.values), "")
        return VariableSpec(
            variable.text("name"), variable.text("value"), self._value_source(source, kind) if kind else None
        )

    def _value_source(self, holder: ApiObject, kind: str) -> ValueSource:
        reference = holder.child(kind)
        if kind == "fieldRef":
            return ValueSource(kind, key=reference.text("fieldPath"))
        if kind == "resourceFieldRef":
            container, divisor = reference.text("containerName"), reference.text("divisor")
            return ValueSource(kind, key=reference.text("resource"), container=container, divisor=divisor)
        self._refuse(kind not in ("configMapKeyRef", "secretKeyRef"), holder, kind)
        return ValueSource(kind, reference.text("name"), reference.text("key"), reference.flag("optional"))

    def _variable_set(self, entry: ApiObject) -> VariableSetSpec:
        kind = "configMapRef" if "configMapRef" in entry else "secretRef"
        reference = entry.child(kind)
        return VariableSetSpec(kind, reference.text("name"), entry.text("prefix"), reference.flag("optional"))

    def _mount(self, mount: ApiObject) -> MountSpec:
        self._known(mount, {"name", "mountPath", "subPath", "subPathExpr", "readOnly", "mountPropagation"})
        propagation = mount.text("mountPropagation", "None")
        self._refuse(propagation != "None", mount, "mountPropagation", propagation)
        return MountSpec(
            mount.text("name"), mount.text("mountPath"), mount.text("subPath"), mount.text("subPathExpr"),
            mount.flag("readOnly"),
        )  # fmt: skip

    def _probe(self, container: ApiObject, name: str) -> ProbeSpec | None:
        if name not in container:
            return None
        probe = container.child(name)
        self._known(probe, PROBE)
        return ProbeSpec(
            handler=self._handler(probe),
            initial_delay=probe.number("initialDelaySeconds"),
            period=probe.number("periodSeconds", 10),
            timeout=probe.number("timeoutSeconds", 1),
            successes=probe.number("successThreshold", 1),
            failures=probe.number("failureThreshold", 3),
            grace=probe.optional_number("terminationGracePeriodSeconds"),
        )

    def _hook(self, lifecycle: ApiObject, name: str) -> Handler | None:
        if name not in lifecycle:
            return None
        hook = lifecycle.child(name)
        self._known(hook, {HandlerKind.EXEC, HandlerKind.HTTP, HandlerKind.SLEEP})
        return self._handler(hook)

    def _handler(self, holder: ApiObject) -> Handler:
        if "exec" in holder:
            return Handler(HandlerKind.EXEC, command=holder.child("exec").strings("command"))
        if "sleep" in holder:
            return Handler(HandlerKind.SLEEP, seconds=holder.child("sleep").number("seconds"))
        if "tcpSocket" in holder:
            address = holder.child("tcpSocket")
            return Handler(HandlerKind.TCP, host=address.text("host"), port=address.number_or_text("port"))
        get = holder.child("httpGet")
        return Handler(
            HandlerKind.HTTP,
            scheme=get.text("scheme", "HTTP"),
            host=get.text("host"),
            port=get.number_or_text("port"),
            path=get.text("path", "/"),
            headers=tuple((item.text("name"), item.text("value")) for item in get.children("httpHeaders")),
        )

    def _volume(self, volume: ApiObject) -> VolumeSpec:
        kind = next((name for name in volume.values if name != "name"), "emptyDir")
        body = volume.child(kind)
        if kind not in VOLUME_KINDS:
            self.problems.append(f"{volume.path} is a volume of kind {kind}, and not one of {', '.join(VOLUME_KINDS)}")
            return VolumeSpec(volume.text("name"), False, ())
        if kind == "emptyDir":
            medium = body.text("medium")
            self._refuse(medium not in ("", "Memory"), body, "medium", medium)
            return VolumeSpec(volume.text("name"), medium == "Memory", ())
        mode = body.number("defaultMode", DEFAULT_MODE)
        if kind != "projected":
            return VolumeSpec(volume.text("name"), True, (self._source(kind, body, mode),))
        sources = []
        for entry in body.children("sources"):
            self._known(entry, SOURCE_KINDS)
            sources += [self._source(kind, entry.child(kind), mode) for kind in entry.values if kind in SOURCE_KINDS]
        return VolumeSpec(volume.text("name"), True, tuple(sources))

    def _source(self, kind: str, body: ApiObject, mode: int) -> VolumeSource:
        return VolumeSource(
            kind=kind,
            mode=mode,
            name=body.text("secretName", body.text("name")),
            items=tuple(self._item(item) for item in body.children("items")),
            optional=body.flag("optional"),
            audience=body.text("audience"),
            seconds=body.number("expirationSeconds", 3600),
            path=body.text("path"),
        )

    def _item(self, item: ApiObject) -> FileItem:
        kind = next((name for name in ("fieldRef", "resourceFieldRef") if name in item), "")
        source = self._value_source(item, kind) if kind else None
        return FileItem(item.text("path"), item.text("key"), source, item.optional_number("mode"))

    def _known(self, fields: ApiObject, names: Set[str]) -> None:
        for name in sorted(fields.values.keys() - names):
            self._refuse(fields.values[name] not in (None, [], {}, "", False), fields, name)

    def _refuse(self, refused: bool, fields: ApiObject, name: str, value: str = "") -> None:
        if refused:
            problem = f"{fields.where(name)}{f' {value}' if value else ''} is not supported"
            if problem not in self.problems:
                self.problems.append(problem)


def _option(item: ApiObject) -> str:
    """Return an option of resolv.conf as it is written: `ndots:2`."""
    return f"{item.text('name')}:{item.text('value')}" if item.text("value") else item.text("name")
