"""The kubeconfig files that people use: one per logical name, beside a note of the generation that it leads to."""

from pathlib import Path

from mesh_federation.clusters import workdir


def shown(stack: str, cluster: str) -> str:
    """Return the name of the file with the kubeconfig of a cluster, by its logical name."""
    return f"kubeconfigs/{stack}/{cluster}"


def keep(file: Path, text: str, name: str) -> None:
    """Write a kubeconfig for people and jobs, readable by its owner only, and record whose it is.

    Args:
        file: where.
        text: the kubeconfig.
        name: the cluster's real name.
    """
    workdir.write_secret(file, text)
    record(file, name)


def record(file: Path, name: str) -> None:
    """Record that an update has reached the cluster of a kubeconfig; a state that lacks the cluster is then lost.

    Args:
        file: the kubeconfig.
        name: the cluster's real name.
    """
    workdir.write(_owner(file), name)


def remove(file: Path, name: str) -> None:
    """Remove the kubeconfig of a cluster, unless it is already another generation's.

    Args:
        file: where.
        name: the cluster's real name.
    """
    owner = _owner(file)
    if not owner.exists() or owner.read_text(encoding="utf-8") == name:
        file.unlink(missing_ok=True)
        owner.unlink(missing_ok=True)


def current(home: Path, stack: str, cluster: str) -> str:
    """Return the real name that a logical name has now; empty if the cluster was not reached yet, or is no more."""
    owner = _owner(home / shown(stack, cluster))
    return owner.read_text(encoding="utf-8") if owner.exists() else ""


def reached(home: Path, stack: str) -> dict[str, str]:
    """Return the real names of the clusters whose kubeconfigs are there, existing ones among them, by logical name."""
    owners = (home / "kubeconfigs" / stack).glob(".*.of")
    return {owner.name[1 : -len(".of")]: owner.read_text(encoding="utf-8") for owner in owners}


def forget(home: Path, stack: str, name: str) -> None:
    """Drop the record that a cluster is reached: until it is made anew, the state does not know it."""
    for logical, real in reached(home, stack).items():
        if real == name:
            _owner(home / shown(stack, logical)).unlink()


def _owner(file: Path) -> Path:
    return file.parent / f".{file.name}.of"
