"""The load balancer of a node: gives Services addresses of the cluster's pool, and has the node answer for them.

kube-proxy does the rest: it passes on what arrives for an address that the status of a Service has. MetalLB's
annotation is understood, so that one declaration serves native clusters and others.

Source: MetalLB's layer-2 mode, usage "requesting specific IPs".
"""

import sys
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from mesh_federation import process
from mesh_federation.native import network
from mesh_federation.native.api_client import ApiClient, ApiError, Listing, ObjectChange
from mesh_federation.native.api_object import ApiObject
from mesh_federation.stack.problem import ProblemError

REQUESTED = "metallb.universe.tf/loadBalancerIPs"
"""Annotation of a Service with the address that it asks for."""


class ServiceLoadBalancer:
    """Addresses of the Services of one cluster."""

    def __init__(self, api: ApiClient, pool: IPv4Network) -> None:
        """Keep the API server, and the addresses that may be given."""
        self._api = api
        self._pool = pool
        self._given: dict[str, str] = {}
        self._waiting: dict[str, ApiObject] = {}

    def follow(self) -> None:
        """Give and take back addresses as Services come and go, for ever."""
        network.release_all()
        for news in self._api.follow("/api/v1/services"):
            self.act(news)

    def act(self, news: Listing | ObjectChange) -> None:
        """Give and take back the addresses that follow from news of Services."""
        if isinstance(news, Listing):
            self._release((self._given.keys() | self._waiting.keys()) - {_uid(item) for item in news.items})
            for item in sorted(news.items, key=lambda item: not _wanted(item)):  # nobody else gets what one has
                self._see(item)
        elif news.deleted:
            self._release({_uid(news.item)})
        else:
            self._see(news.item)
        for item in list(self._waiting.values()):
            self._see(item)

    def _see(self, service: ApiObject) -> None:
        """Give a Service its address, or take it back; one that cannot have any now waits."""
        try:
            self._settle(service)
        except (ApiError, OSError, ProblemError, process.ProgramTimeout) as error:  # news of what failed follow
            print(error, file=sys.stderr, flush=True)

    def _settle(self, service: ApiObject) -> None:
        uid, spec = _uid(service), service.child("spec")
        if spec.text("type") != "LoadBalancer" or spec.text("loadBalancerClass"):
            self._release({uid})
            return
        address = self._address(service)
        if address and self._given.get(uid) != address:
            self._release({uid})
            network.accept(address)
            self._given[uid] = address
        self._waiting.pop(uid, None)
        if not address:
            self._waiting[uid] = service
        if address != _assigned(service):
            self._assign(service, address)

    def _address(self, service: ApiObject) -> str:
        """Choose the address of a Service: the one that it asks for, has, or the first free one; empty for none."""
        wanted = _wanted(service)
        taken = {address for uid, address in self._given.items() if uid != _uid(service)}
        if not wanted:
            return next((str(each) for each in self._pool.hosts() if str(each) not in taken), "")
        try:
            is_ours = IPv4Address(wanted) in self._pool
        except ValueError:
            is_ours = False
        return wanted if is_ours and wanted not in taken else ""

    def _assign(self, service: ApiObject, address: str) -> None:
        metadata = service.child("metadata")
        path = f"/api/v1/namespaces/{metadata.text('namespace')}/services/{metadata.text('name')}/status"
        ingress = [{"ip": address, "ipMode": "VIP"}] if address else []
        self._api.patch(path, {"status": {"loadBalancer": {"ingress": ingress}}})

    def _release(self, uids: Iterable[str]) -> None:
        for uid in list(uids):
            self._waiting.pop(uid, None)
            if address := self._given.pop(uid, ""):
                network.release(address)


def _wanted(service: ApiObject) -> str:
    """Return the address that a Service asks for, or has; empty for any."""
    asked = service.child("metadata").mapping("annotations").get(REQUESTED, "")
    return asked or service.child("spec").text("loadBalancerIP") or _assigned(service)


def _assigned(service: ApiObject) -> str:
    ingress = service.child("status").child("loadBalancer").children("ingress")
    return ingress[0].text("ip") if ingress else ""


def _uid(service: ApiObject) -> str:
    return service.child("metadata").text("uid")
