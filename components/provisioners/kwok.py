"""Makes and removes a simulated cluster: a real control plane whose nodes only exist on paper (kwok).

usage: python3 -m components.provisioners.kwok create|delete|start

Environment:
    CLUSTER: the real name.
    MESH_HOME: folder for everything that runs; default .mesh below the working directory.
Standard input of create: the cluster's config as JSON (model/provisioning.py).

Every step can be repeated: create adopts a cluster that runs, starts one that stopped, and makes a half-made one anew.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from components.provisioners import begun, place

PORTS = ("kubeApiserverPort", "etcdPort", "etcdPeerPort", "kubeControllerManagerPort", "kubeSchedulerPort",
         "kwokControllerPort")  # fmt: skip
FIRST_PORT, SLOTS = 20000, 1500
"""Below the ephemeral range, so that no outgoing connection takes one; kwokctl's own choice races."""

BINARIES = {
    "etcdBinary": "etcd",
    "kubeApiserverBinary": "kube-apiserver",
    "kubeControllerManagerBinary": "kube-controller-manager",
    "kubeSchedulerBinary": "kube-scheduler",
    "kwokControllerBinary": "kwok",
}
TIMEOUT = 120
"""Seconds for a control plane to answer; 5 are usual."""


def create(name: str, config: dict[str, object]) -> None:
    """Bring the cluster up, whatever an earlier attempt left behind."""
    folder = place.folder(name)
    if _is_there(name):
        start(name)
        return
    delete(name)
    begun.note(name, f"{place.SCRIPT_PREFIX}kwok")
    with _reserved_ports(name) as ports:
        balancer = folder / "load-balancer.json"
        balancer.write_text(json.dumps(LOAD_BALANCER, indent=2), encoding="utf-8")
        control_plane = folder / "control-plane.json"
        control_plane.write_text(json.dumps(_control_plane(config, ports, balancer), indent=2), encoding="utf-8")
        files = (f"--config={control_plane}", f"--kubeconfig={place.kubeconfig(name)}")
        _kwokctl(name, "create", "cluster", "--wait=60s", *files)
    _kwokctl(name, "scale", "node", f"--replicas={config['nodes']}")
    _prove(name)
    (folder / "made").touch()


def start(name: str) -> None:
    """Start a control plane whose processes are gone, for example after a reboot; a running one is left alone."""
    if not _is_there(name):
        place.gone(name)
    if not place.answers(name):
        _kwokctl(name, "stop", "cluster")
        _kwokctl(name, "start", "cluster", "--wait=60s")
    _prove(name)


def _is_there(name: str) -> bool:
    """Say whether the cluster was made to its end and nobody has removed its files."""
    return (place.folder(name) / "made").exists() and (place.home() / "kwok" / "clusters" / name).exists()


def delete(name: str) -> None:
    """Remove the cluster and what it wrote; one that is already gone is no error."""
    if place.folder(name).exists():
        _kwokctl(name, "delete", "cluster")
        _end_unnoted(name)
        shutil.rmtree(place.folder(name))
    with place.locked(_slots() / ".lock"):  # clusters are deleted side by side
        for slot in _slots().glob("[0-9]*"):
            if os.readlink(slot) == str(place.folder(name)):
                slot.unlink()


def _end_unnoted(name: str) -> None:
    """End what kwokctl started and does not know: it starts a process first and notes its number then, if it lives."""
    mark = f"{place.home() / 'kwok' / 'clusters' / name}/".encode()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # processes come and go
            if mark in command.read_bytes():
                os.kill(int(command.parent.name), signal.SIGKILL)


def _kwokctl(name: str, *arguments: str) -> None:
    environment = {**os.environ, "KWOK_WORKDIR": str(place.home() / "kwok")}
    command = ["kwokctl", f"--name={name}", *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        sys.exit('kwokctl is not on PATH: run `./mesh doctor`, then `eval "$(./mesh env)"`')
    except subprocess.TimeoutExpired:
        sys.exit(f"{' '.join(command)} did not end within {TIMEOUT} s; its logs are below {place.home()}/kwok")
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}")


def _prove(name: str) -> None:
    if not place.answers(name):
        logs = place.home() / "kwok" / "clusters" / name / "logs"
        sys.exit(f"the control plane of {name} does not answer; its logs are in {logs}")


def _control_plane(config: dict[str, object], ports: dict[str, int], balancer: Path) -> dict[str, object]:
    """Return kwokctl's configuration. Stages in it would replace the built-in ones, so ours go to the controller."""
    binaries = {option: shutil.which(program) or program for option, program in BINARIES.items()}
    services = {"key": "service-cluster-ip-range", "value": config["serviceSubnet"]}
    stages = {"key": "config", "value": str(balancer)}
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",
            "kubeVersion": f"v{config['kubernetesVersion']}",
            **binaries,
            **ports,
        },
        "componentsPatches": [
            {"name": "kube-apiserver", "extraArgs": [services]},
            {"name": "kwok-controller", "extraArgs": [stages]},
        ],
    }


LOAD_BALANCER = {
    "apiVersion": "kwok.x-k8s.io/v1alpha1",
    "kind": "Stage",
    "metadata": {"name": "load-balancer"},
    "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": "Service"},
        "selector": {
            "matchExpressions": [
                {"key": ".spec.type", "operator": "In", "values": ["LoadBalancer"]},
                {"key": '.metadata.annotations["metallb.universe.tf/loadBalancerIPs"]', "operator": "Exists"},
                {"key": ".status.loadBalancer.ingress", "operator": "DoesNotExist"},
            ]
        },
        "next": {
            "patches": [
                {
                    "subresource": "status",
                    "root": "status",
                    "template": "loadBalancer:\n  ingress:\n"
                    '  - ip: {{ index .metadata.annotations "metallb.universe.tf/loadBalancerIPs" | Quote }}\n',
                }
            ]
        },
    },
}
"""Gives a Service of type LoadBalancer the address that its annotation asks for, as MetalLB does."""


def _slots() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "mesh-federation" / "ports"


@contextmanager
def _reserved_ports(name: str) -> Iterator[dict[str, int]]:
    """Reserve six free ports for as long as the cluster exists, against every other cluster of this user.

    A reservation is a link from the slot to the cluster's folder; it lapses when that folder is gone.
    """
    _slots().mkdir(parents=True, exist_ok=True)
    first = int(sha256(str(place.folder(name)).encode()).hexdigest()[:8], 16)
    with place.locked(_slots() / ".lock"):
        for slot in ((first + step) % SLOTS for step in range(SLOTS)):
            link = _slots() / str(slot)
            numbers = [FIRST_PORT + slot * len(PORTS) + place for place in range(len(PORTS))]
            if (link.is_symlink() and link.exists()) or not all(map(_is_free, numbers)):
                continue
            link.unlink(missing_ok=True)
            link.symlink_to(place.folder(name))
            break
        else:
            sys.exit(f"no free ports between {FIRST_PORT} and {FIRST_PORT + SLOTS * len(PORTS)} for {name}")
    yield dict(zip(PORTS, numbers, strict=True))


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    place.run({"create": lambda name: create(name, json.load(sys.stdin)), "start": start, "delete": delete})
