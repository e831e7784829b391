"""How a container of a pod is started: from what it asks for, its image and its pod to what the launcher does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.native.image import Image
from mesh_federation.native.launcher import Bind, ContainerLaunch, ProcessIdentity, Program
from mesh_federation.native.pod_spec import ContainerSpec, DnsSpec, PodDescription, PrivilegesSpec
from mesh_federation.native.privileges import CAPABILITIES
from mesh_federation.native.variables import Downward, Lookup, SourceMissing, environment, expand
from mesh_federation.native.volumes import PodVolumes

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
API_PORT = "443"
DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
"""Those of Docker and containerd."""


@dataclass(frozen=True)
class PodPlace:
    """What all containers of a pod share on this machine.

    Attributes:
        address: of the pod.
        api_address: of the Service `kubernetes`.
        files: the pod's own /etc/hosts, /etc/hostname and /etc/resolv.conf, by name.
        scratch: an empty folder.
        volumes: of the pod.
        lookup: reads ConfigMaps and Secrets.
        downward: the pod's fields.
    """

    address: str
    api_address: str
    files: Path
    scratch: Path
    volumes: PodVolumes
    lookup: Lookup
    downward: Downward


def plan_launch(
    pod: PodDescription, container: ContainerSpec, image: Image, place: PodPlace, message: Path
) -> ContainerLaunch:
    """Return how a container is started.

    Args:
        pod: the pod.
        container: which of its containers.
        image: of the container.
        place: what the containers of the pod share.
        message: file in which the container can leave a last message.

    Raises:
        SourceMissing: a variable or a volume needs something that is not there, or the user is one that is forbidden.
        ApiError, OSError: a source could not be read.
    """
    base = {
        "PATH": PATH, "HOSTNAME": pod.hostname, **image.environment,
        "KUBERNETES_SERVICE_HOST": place.api_address, "KUBERNETES_SERVICE_PORT": API_PORT,
        "KUBERNETES_SERVICE_PORT_HTTPS": API_PORT, "KUBERNETES_PORT": f"tcp://{place.api_address}:{API_PORT}",
    }  # fmt: skip
    variables = environment(container, base, place.lookup, place.downward)
    user = identity(pod, container.privileges, image)
    variables.setdefault("HOME", "/root" if user.user == 0 else "/")
    entrypoint = container.command or image.entrypoint
    arguments = container.arguments or (() if container.command else image.arguments)
    command = tuple(expand(item, variables) for item in (*entrypoint, *arguments))
    if not command:
        raise SourceMissing("no command specified")
    return ContainerLaunch(
        scratch=str(place.scratch),
        image=image.root,
        binds=tuple(_binds(container, image, place, message, variables)),
        read_only_root=container.privileges.read_only_root,
        program=Program(command, variables, container.working_directory or "/", user),
    )


def identity(pod: PodDescription, privileges: PrivilegesSpec, image: Image) -> ProcessIdentity:
    """Return as whom a container runs. Raises SourceMissing."""
    user = image.user if privileges.user is None else privileges.user
    group = privileges.group
    if group is None:
        group = image.group if privileges.user is None or user == image.user else 0
    if privileges.non_root and user == 0:
        raise SourceMissing("container has runAsNonRoot and image will run as root")
    groups = {group, *pod.groups, *([] if pod.fs_group is None else [pod.fs_group])}
    capabilities = tuple(sorted(_capabilities(privileges)))
    return ProcessIdentity(user, group, tuple(sorted(groups)), capabilities, privileges.may_escalate)


def _capabilities(privileges: PrivilegesSpec) -> set[str]:
    added, dropped = ({name.removeprefix("CAP_") for name in names} for names in (privileges.added, privileges.dropped))
    if unknown := sorted((added | dropped) - {*CAPABILITIES, "ALL"}):
        raise SourceMissing(f"no capability has the name {', '.join(unknown)}")
    kept = set(CAPABILITIES) if "ALL" in added else set(DEFAULT_CAPABILITIES)
    return (set() if "ALL" in dropped else kept - dropped) | (added - {"ALL"})


def _binds(
    container: ContainerSpec, image: Image, place: PodPlace, message: Path, variables: Mapping[str, str]
) -> Iterable[Bind]:
    """Yield the files and folders that the container sees, outer ones first."""
    binds = [Bind(source, target, True) for target, source in image.files.items()]
    binds += [Bind(str(place.files / name), f"/etc/{name}", False) for name in ("hosts", "hostname", "resolv.conf")]
    binds.append(Bind(str(message), container.message_path, False))
    for mount in container.mounts:
        sub_path = mount.sub_path or expand(mount.sub_path_expression, variables)
        source = place.volumes.source(mount, sub_path)
        binds.append(Bind(str(source), mount.path.rstrip("/") or "/", mount.read_only))
    by_target = {bind.target: bind for bind in binds}  # a volume at /etc/hosts replaces the pod's own
    return sorted(by_target.values(), key=lambda bind: bind.target.count("/"))


def write_etc(pod: PodDescription, place: PodPlace, dns: str, domain: str) -> None:
    """Write /etc/hosts, /etc/hostname and /etc/resolv.conf of a pod.

    Args:
        pod: the pod.
        place: of its files.
        dns: address of the cluster's DNS server.
        domain: of the DNS names of Services.
    """
    place.files.mkdir(parents=True, exist_ok=True)
    full_name = f"{pod.hostname}.{pod.subdomain}.{pod.namespace}.svc.{domain}\t" if pod.subdomain else ""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        f"{place.address}\t{full_name}{pod.hostname}",
    ]
    lines += ["\t".join((address, *names)) for address, names in pod.host_aliases]
    resolving = resolver(pod.dns, pod.namespace, dns, domain)
    for name, text in (("hosts", "\n".join(lines)), ("hostname", pod.hostname), ("resolv.conf", resolving)):
        (place.files / name).write_text(text + "\n", encoding="utf-8")


def resolver(spec: DnsSpec, namespace: str, dns: str, domain: str) -> str:
    """Return the content of /etc/resolv.conf.

    Args:
        spec: what the pod asks for.
        namespace: of the pod.
        dns: address of the cluster's DNS server.
        domain: of the DNS names of Services.
    """
    servers, searches, options = [], [], {}
    if spec.policy.startswith("ClusterFirst"):
        servers, options = [dns], {"ndots": "ndots:5"}
        searches = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain]
    elif spec.policy == "Default":  # the node itself has no other resolver
        servers = [dns]
    options |= {option.split(":")[0]: option for option in spec.options}
    lines = [f"nameserver {server}" for server in dict.fromkeys([*servers, *spec.servers])]
    if searches or spec.searches:
        lines.append(f"search {' '.join(dict.fromkeys([*searches, *spec.searches]))}")
    if options:
        lines.append(f"options {' '.join(options.values())}")
    return "\n".join(lines)
