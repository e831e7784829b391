"""What a federation that is removed could leave behind."""

from tests.checkout import Checkout
from tests.lab.lab import docker

LISTS = {"container": ("ps", "--all"), "network": ("network", "ls"), "volume": ("volume", "ls")}


def on_machine() -> set[str]:
    """Docker's containers, networks and volumes, whosever they are, by kind and id."""
    return {f"{kind} {id}" for kind, command in LISTS.items() for id in docker(*command, "--quiet").split()}


def in_checkout(checkout: Checkout) -> list[str]:
    """Files of clusters, kubeconfigs, and the stack's state with its locks; what the engine did is no state."""
    folders = [checkout.home / name for name in ("clusters", "kubeconfigs", "runs")]
    of_clusters = (file for folder in folders for file in folder.rglob("*") if not file.is_dir())
    of_state = (file for file in (checkout.home / "state").rglob("*.json*") if "history" not in file.parts)
    return [str(file.relative_to(checkout.home)) for file in (*of_clusters, *of_state)]
