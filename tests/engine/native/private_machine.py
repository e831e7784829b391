"""A machine of its own for one node: run as root by the fixture beside it, as `python private_machine.py SETTINGS`.

It makes namespaces of users, mounts, processes and network, and starts a control plane and the agent in them. It prints
the number of the machine's first process, and `ready`. It ends with its parent, and everything in it ends too.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mesh_federation import document
from mesh_federation.native.agent_settings import AgentSettings
from mesh_federation.native.image import Image, ImageTable
from mesh_federation.native.namespaces import Mount, NamespaceKind, end_with_parent, make_private, mount, unshare

FIRST_ID, IDS = 600_000_000, 65536
BINARIES = {"etcdBinary": "etcd", "kubeApiserverBinary": "kube-apiserver", "kubeSchedulerBinary": "kube-scheduler",
            "kubeControllerManagerBinary": "kube-controller-manager", "kwokControllerBinary": "kwok"}  # fmt: skip
NODE_ADDRESS, POD_SUBNET, NODE_IN_SUBNET, SERVICES, API_ADDRESS = (
    "172.30.0.10", "10.10.0.0/16", "10.10.0.1", "10.255.0.0/24", "10.255.0.1",
)  # fmt: skip
HOME = Path("/run/native")
AGENT_SETTINGS, KUBECONFIG = HOME / "agent.json", HOME / "kubeconfig"
KUBELET_PORT = 10250
SHELL = Image("", {}, ("/bin/sh",), (), {"FROM_IMAGE": "yes"}, 0, 0)
HAND_MADE = {"docker.io/library/busybox": SHELL}


@dataclass(frozen=True)
class MachineSettings:
    """What the machine is made from.

    Attributes:
        shown: folders below /root that it needs.
        programs: folder with the toolchain.
        images: document with the toolchain's images.
        kubernetes: version.
    """

    shown: tuple[str, ...]
    programs: str
    images: str
    kubernetes: str


def main(path: str) -> None:
    """Make the machine, and stay until it ends."""
    settings = document.read(MachineSettings, Path(path).read_text(encoding="utf-8"), path)
    end_with_parent()
    unshare(NamespaceKind.MOUNT)
    make_private()
    _show(settings.shown)
    user_entered, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child:
        os.read(user_entered[0], 1)
        for kind in ("uid", "gid"):
            Path(f"/proc/{child}/{kind}_map").write_text(f"0 {FIRST_ID} {IDS}\n", encoding="ascii")
        os.write(mapped[1], b"x")
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    unshare(NamespaceKind.USER)
    os.write(user_entered[1], b"x")
    os.read(mapped[0], 1)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    unshare(NamespaceKind.MOUNT | NamespaceKind.PID | NamespaceKind.NETWORK | NamespaceKind.UTS | NamespaceKind.IPC)
    end_with_parent()
    first = os.fork()
    if first:
        print(first, flush=True)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
    end_with_parent()
    _boot(settings)


def _show(folders: tuple[str, ...]) -> None:
    """Make folders below /root readable for others: /root itself is open to its owner alone."""
    mount("tmpfs", Path("/mnt"), "tmpfs")
    for index, folder in enumerate(folders):
        os.mkdir(f"/mnt/{index}")
        mount(folder, Path(f"/mnt/{index}"), flags=Mount.BIND | Mount.RECURSIVE)
    mount("tmpfs", Path("/root"), "tmpfs", 0, "mode=755")
    for index, folder in enumerate(folders):
        os.makedirs(folder)
        mount(f"/mnt/{index}", Path(folder), flags=Mount.BIND | Mount.RECURSIVE)


def _boot(settings: MachineSettings) -> None:
    """Be the first process: mounts, network, control plane, agent; then collect what ends."""
    make_private()
    mount("proc", Path("/proc"), "proc")
    mount("tmpfs", Path("/run"), "tmpfs", 0, "mode=755")
    HOME.mkdir()
    _network()
    _control_plane(settings)
    pki = f"{HOME}/kwok/clusters/native/pki"
    installed = document.read(ImageTable, Path(settings.images).read_text(encoding="utf-8"), settings.images)
    images = ImageTable({**installed.images, **HAND_MADE})
    (HOME / "images.json").write_text(document.write(images), encoding="utf-8")
    agent = AgentSettings(
        cluster="native", node="node", node_address=NODE_ADDRESS, pod_subnet=POD_SUBNET,
        pool="172.31.128.0/24",
        api_server="https://127.0.0.1:6443", api_address=API_ADDRESS, authority=f"{pki}/ca.crt",
        certificate=f"{pki}/admin.crt", key=f"{pki}/admin.key", kubelet_port=KUBELET_PORT, dns=NODE_IN_SUBNET,
        cluster_domain="cluster.local",
        images=f"{HOME}/images.json", folder=f"{HOME}/agent",
    )  # fmt: skip
    AGENT_SETTINGS.write_text(document.write(agent), encoding="utf-8")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    print("ready", flush=True)
    while True:
        signal.sigwait({signal.SIGCHLD})
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _network() -> None:
    commands = (
        f"link set lo up\nlink add lab type bridge\naddr add {NODE_ADDRESS}/16 dev lab\nlink set lab up\n"
        f"addr add {NODE_IN_SUBNET}/32 dev lo\nroute add unreachable {POD_SUBNET}\n"
    )
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")


def _control_plane(settings: MachineSettings) -> None:
    pki = f"{HOME}/kwok/clusters/native/pki"
    config = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary", "bindAddress": "127.0.0.1", "kubeVersion": f"v{settings.kubernetes}",
            **{option: f"{settings.programs}/{program}" for option, program in BINARIES.items()},
            "kubeApiserverPort": 6443,
        },
        "componentsPatches": [
            _patch("kube-apiserver", {
                "service-cluster-ip-range": SERVICES, "advertise-address": NODE_ADDRESS,
                "kubelet-preferred-address-types": "InternalIP",
                "kubelet-client-certificate": f"{pki}/admin.crt", "kubelet-client-key": f"{pki}/admin.key",
            }),
            _patch("kwok-controller", {
                "manage-all-nodes": "false", "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
            }),
        ],
    }  # fmt: skip
    (HOME / "kwokctl.json").write_text(json.dumps(config), encoding="utf-8")
    subprocess.run(
        [f"{settings.programs}/kwokctl", "--name=native", "create", "cluster", "--wait=60s",
         f"--config={HOME}/kwokctl.json", f"--kubeconfig={KUBECONFIG}"],
        env={**os.environ, "KWOK_WORKDIR": f"{HOME}/kwok", "HOME": str(HOME)}, check=True, stdout=sys.stderr,
    )  # fmt: skip


def _patch(component: str, arguments: dict[str, str]) -> dict[str, object]:
    return {"name": component, "extraArgs": [{"key": key, "value": value} for key, value in arguments.items()]}


if __name__ == "__main__":
    main(sys.argv[1])
