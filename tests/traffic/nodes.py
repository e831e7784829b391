"""The nodes of a federation with traffic, and what can befall them, whatever its provider makes them of."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mesh_federation.clusters.provider import Connect
from tests.checkout import Checkout


@dataclass(frozen=True)
class Nodes(ABC):
    """Nodes of one checkout, each named by `names`; all actions must succeed.

    Attributes:
        checkout: from which the federation is run.
    """

    checkout: Checkout

    @property
    @abstractmethod
    def connect(self) -> Connect:
        """How this machine connects to addresses in the network of nodes."""

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all nodes that were made, running or not."""

    @abstractmethod
    def of(self, cluster: str) -> str:
        """Name of a cluster's first node."""

    @abstractmethod
    def run(self, node: str, *command: str) -> str:
        """Run a program in a node's network, and return what it printed."""

    @abstractmethod
    def stop(self, node: str) -> None:
        """End everything that runs on a node; its files stay."""

    @abstractmethod
    def remove(self, node: str) -> None:
        """End everything that runs on a node, and remove its files."""

    @abstractmethod
    def pause(self, node: str) -> None:
        """Stop everything on a node where it is."""

    @abstractmethod
    def resume(self, node: str) -> None:
        """Let it go on."""

    @abstractmethod
    def drop(self, node: str, source: str) -> None:
        """Let a node's firewall drop packets from an address."""

    @abstractmethod
    def accept(self, node: str, source: str) -> None:
        """Take that rule away."""

    @abstractmethod
    def restart_all(self) -> None:
        """End what all nodes run in, as a restart of the machine does."""

    @abstractmethod
    def on_machine(self) -> set[str]:
        """What a removed federation could leave behind on this machine, outside its checkout."""

    @contextmanager
    def dropping(self, node: str, source: str) -> Iterator[None]:
        """Drop packets from an address until the block ends."""
        self.drop(node, source)
        try:
            yield
        finally:
            self.accept(node, source)
