"""What a pod asks for, in types: the part of the API that the agent carries out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ALWAYS = "Always"


class HandlerKind(StrEnum):
    """What a probe or a hook does."""

    EXEC = "exec"
    HTTP = "httpGet"
    TCP = "tcpSocket"
    SLEEP = "sleep"


@dataclass(frozen=True)
class Handler:
    """One action of a probe or a hook.

    Attributes:
        kind: which of the fields below count.
        command: to run in the container.
        scheme: `HTTP` or `HTTPS`.
        host: that is connected to; empty for the pod's address.
        port: number or name of a container's port.
        path: of the URL.
        headers: of the request.
        seconds: to sleep.
    """

    kind: HandlerKind
    command: tuple[str, ...] = ()
    scheme: str = "HTTP"
    host: str = ""
    port: str = ""
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    seconds: int = 0


@dataclass(frozen=True)
class ProbeSpec:
    """How often a container is asked, and how many answers count. Times are seconds; `grace` replaces the pod's."""

    handler: Handler
    initial_delay: int
    period: int
    timeout: int
    successes: int
    failures: int
    grace: int | None


@dataclass(frozen=True)
class ValueSource:
    """Where the value of a variable, or the content of a file, comes from.

    Attributes:
        kind: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`.
        name: of the ConfigMap or Secret.
        key: in it; for `fieldRef` the path of the field; for `resourceFieldRef` the resource.
        optional: whether it may be missing.
        container: whose resource it is; empty for the container itself.
        divisor: unit of the resource.
    """

    kind: str
    name: str = ""
    key: str = ""
    optional: bool = False
    container: str = ""
    divisor: str = ""


@dataclass(frozen=True)
class VariableSpec:
    """An environment variable: its value, or where that comes from."""

    name: str
    value: str
    source: ValueSource | None


@dataclass(frozen=True)
class VariableSetSpec:
    """Environment variables from all keys of a ConfigMap (`configMapRef`) or a Secret (`secretRef`)."""

    kind: str
    name: str
    prefix: str
    optional: bool


@dataclass(frozen=True)
class MountSpec:
    """Where a container sees a volume."""

    volume: str
    path: str
    sub_path: str
    sub_path_expression: str
    read_only: bool


@dataclass(frozen=True)
class PrivilegesSpec:
    """The security context of a container, joined with its pod's. None: as the image says."""

    user: int | None
    group: int | None
    non_root: bool
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    read_only_root: bool
    may_escalate: bool


@dataclass(frozen=True)
class ContainerSpec:
    """A container of a pod. `sidecar` is an init container that goes on beside the others."""

    name: str
    image: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    working_directory: str
    variables: tuple[VariableSpec, ...]
    variable_sets: tuple[VariableSetSpec, ...]
    ports: Mapping[str, int]
    mounts: tuple[MountSpec, ...]
    limits: Mapping[str, str]
    requests: Mapping[str, str]
    startup: ProbeSpec | None
    readiness: ProbeSpec | None
    liveness: ProbeSpec | None
    post_start: Handler | None
    pre_stop: Handler | None
    privileges: PrivilegesSpec
    message_path: str
    message_from_logs: bool
    sidecar: bool


@dataclass(frozen=True)
class FileItem:
    """A file of a volume: from which key or field, where, and with which mode."""

    path: str
    key: str
    source: ValueSource | None
    mode: int | None


@dataclass(frozen=True)
class VolumeSource:
    """One source of the files of a volume.

    Attributes:
        kind: `configMap`, `secret`, `downwardAPI` or `serviceAccountToken`.
        name: of the ConfigMap or Secret.
        items: the files; none means all keys.
        optional: whether it may be missing.
        mode: of files, unless their item says otherwise.
        audience: of a token; empty for the API server's.
        seconds: for which a token is asked for.
        path: of a token.
    """

    kind: str
    mode: int
    name: str = ""
    items: tuple[FileItem, ...] = ()
    optional: bool = False
    audience: str = ""
    seconds: int = 3600
    path: str = ""


@dataclass(frozen=True)
class VolumeSpec:
    """A volume: an empty folder, in memory if asked for, or files from sources."""

    name: str
    in_memory: bool
    sources: tuple[VolumeSource, ...]


@dataclass(frozen=True)
class DnsSpec:
    """How names are resolved; the agent's own resolv.conf if `policy` is `Default`."""

    policy: str
    servers: tuple[str, ...]
    searches: tuple[str, ...]
    options: tuple[str, ...]


@dataclass(frozen=True)
class PodDescription:
    """A pod that the agent can run."""

    name: str
    namespace: str
    uid: str
    service_account: str
    hostname: str
    subdomain: str
    host_aliases: tuple[tuple[str, tuple[str, ...]], ...]
    dns: DnsSpec
    restart_policy: str
    grace: int
    sysctls: Mapping[str, str]
    fs_group: int | None
    groups: tuple[int, ...]
    volumes: tuple[VolumeSpec, ...]
    init_containers: tuple[ContainerSpec, ...]
    containers: tuple[ContainerSpec, ...]

    @property
    def all_containers(self) -> tuple[ContainerSpec, ...]:
        """Return init containers and containers."""
        return (*self.init_containers, *self.containers)

    @property
    def common_user(self) -> int | None:
        """Return the user of all containers, if their security contexts name the same; it then owns tokens."""
        users = {container.privileges.user for container in self.all_containers}
        return users.pop() if len(users) == 1 else None
