"""kwokctl's configuration of a control plane: etcd, API server and controllers as processes of this machine."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PORTS = ("kubeApiserverPort", "etcdPort", "etcdPeerPort", "kubeControllerManagerPort", "kubeSchedulerPort",
         "kwokControllerPort")  # fmt: skip
BINARIES = {
    "etcdBinary": "etcd",
    "kubeApiserverBinary": "kube-apiserver",
    "kubeControllerManagerBinary": "kube-controller-manager",
    "kubeSchedulerBinary": "kube-scheduler",
    "kwokControllerBinary": "kwok",
}
Option = dict[str, object]
"""An option of a component, as kwokctl wants it."""


@dataclass(frozen=True)
class ControlPlane:
    """One control plane.

    Attributes:
        pki: folder with its certificates, which kwokctl makes.
        kubernetes_version: its release.
        service_subnet: CIDR of Services.
        ports: of its components, by kwokctl's options.
        options: further options of kwokctl.
        arguments: further arguments of components, by component; of one that comes twice, the last counts.
    """

    pki: Path
    kubernetes_version: str
    service_subnet: str
    ports: Mapping[str, int]
    options: Mapping[str, object]
    arguments: Mapping[str, Mapping[str, str]]

    @property
    def configuration(self) -> str:
        """The text of kwokctl's configuration."""
        document = {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "options": {
                "runtime": "binary",
                "bindAddress": "127.0.0.1",
                "kubeVersion": f"v{self.kubernetes_version}",
                **{option: shutil.which(program) or program for option, program in BINARIES.items()},
                **self.ports,
                **self.options,
            },
            "componentsPatches": [
                self._patch("etcd", self._etcd()),
                self._patch("kube-apiserver", self._api_server()),
                self._patch("kube-controller-manager", ALONE),
                self._patch("kube-scheduler", ALONE),
                self._patch("kwok-controller", ()),
            ],
        }
        return json.dumps(document, indent=2)

    def _patch(self, component: str, own: Iterable[Option]) -> dict[str, object]:
        arguments = [*own, *(_added(*each) for each in self.arguments.get(component, {}).items())]
        return {"name": component, "extraArgs": arguments}

    def _etcd(self) -> list[Option]:
        """Have etcd ask for certificates.

        kwokctl's own answers every user of the machine, in plain text, with each Secret of the cluster. kwokctl makes a
        certificate of the cluster's authority, which does.
        """
        clients, peers = self._etcd_url("etcdPort"), self._etcd_url("etcdPeerPort")
        urls = {
            "listen-client-urls": clients, "advertise-client-urls": clients,
            "listen-peer-urls": peers, "initial-advertise-peer-urls": peers, "initial-cluster": f"node0={peers}",
        }  # fmt: skip
        return [*_replaced(urls), *self._certified(""), *self._certified("peer-"), *ELECTED_AT_ONCE]

    def _api_server(self) -> list[Option]:
        return [
            *_replaced({"etcd-servers": self._etcd_url("etcdPort")}),
            _added("etcd-cafile", f"{self.pki}/ca.crt"),
            _added("etcd-certfile", f"{self.pki}/admin.crt"),
            _added("etcd-keyfile", f"{self.pki}/admin.key"),
            _added("service-cluster-ip-range", self.service_subnet),
        ]

    def _etcd_url(self, port: str) -> str:
        return f"https://127.0.0.1:{self.ports[port]}"

    def _certified(self, whom: str) -> list[Option]:
        """Return etcd's options for one of its two listeners."""
        return [
            _added(f"{whom}cert-file", f"{self.pki}/admin.crt"),
            _added(f"{whom}key-file", f"{self.pki}/admin.key"),
            _added(f"{whom}trusted-ca-file", f"{self.pki}/ca.crt"),
            _added(f"{whom}client-cert-auth", "true"),
        ]


def _added(name: str, value: str) -> Option:
    return {"key": name, "value": value}


ALONE = (_added("leader-elect", "false"),)
"""A controller that runs once needs no leader. One that loses its lease, because the API server of a busy machine does
not answer within seconds, ends; it lists everything when it starts again, which keeps that API server busy."""

ELECTED_AT_ONCE = (_added("heartbeat-interval", "20"), _added("election-timeout", "100"))
"""Milliseconds. An etcd that is alone waits for others first, by default for a second in which nothing else works."""


def _replaced(options: Mapping[str, str]) -> list[Option]:
    """Return what kwokctl writes in the place of its own values: programs add up some options that come twice."""
    return [_added(name, value) | {"override": True} for name, value in options.items()]
