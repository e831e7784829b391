"""Private keys and kubeconfigs are in no plain text that the engine writes, prints or keeps."""

import base64
import json
from pathlib import Path

from tests.checkout import Checkout

NOT_THE_ENGINES = ("passphrase", "kubeconfigs", "clusters", "kwok", "bin", "project")
"""Folders of the home that are meant to hold secrets, or cannot; the rest is what the engine keeps."""


def secrets(checkout: Checkout) -> dict[str, set[str]]:
    """Every form in which a secret of this federation could be written, by what it is."""
    found: dict[str, set[str]] = {"any key": {"PRIVATE KEY-----"}}
    for cluster in ("east", "west"):
        data = checkout.get(cluster, "secret", "cacerts")["data"]
        assert isinstance(data, dict)
        key = base64.b64decode(data["ca-key.pem"]).decode()
        found[f"{cluster} ca-key"] = {data["ca-key.pem"], key, *key.splitlines()[1:-1]}
        kubeconfig = json.loads((checkout.home / "kubeconfigs" / "simulated" / cluster).read_text(encoding="utf-8"))
        user = kubeconfig["users"][0]["user"]
        client = user["client-key-data"]
        lines = base64.b64decode(client).decode().splitlines()[1:-1]
        found[f"{cluster} kubeconfig"] = {client, *lines}
    return found


def assert_hidden(text: str, where: str, hidden: dict[str, set[str]]) -> None:
    for what, forms in hidden.items():
        assert not any(form in text for form in forms), f"{what} in {where}"


def test_no_secret_is_kept_printed_or_logged_in_plain_text(fresh: Checkout, tmp_path: Path) -> None:
    fresh.environment()
    shown = {"mesh preview": fresh.mesh("preview", "--diff")}
    plan, log = tmp_path / "plan.json", tmp_path / "events.json"
    shown["preview"] = fresh.pulumi("preview", "--diff", f"--save-plan={plan}")
    shown["preview --json"] = fresh.pulumi("preview", "--json")
    shown["up"] = fresh.pulumi("up", "--yes", "--skip-preview", "--diff", f"--event-log={log}")
    assert shown["up"].code == 0, shown["up"].text
    with fresh.edited() as federation:
        federation["trust"] = {"rotation": {"phase": "add", "model": "separate", "root": "r2"}}
    shown["change"] = fresh.mesh("preview", "--diff")
    changed = tmp_path / "changed.json"
    shown["change --json"] = fresh.pulumi("preview", "--json", f"--save-plan={changed}")
    shown["second up"] = fresh.up()
    shown["refresh"] = fresh.pulumi("preview", "--refresh", "--diff")
    shown["output"] = fresh.ask("stack", "output", "--json")
    shown["export"] = fresh.ask("stack", "export")
    hidden = secrets(fresh)
    for name, result in shown.items():
        assert result.code == 0, f"{name}: {result.text}"
        assert_hidden(result.text, name, hidden)
    for file in (plan, changed, log, *kept_by_the_engine(fresh)):
        assert_hidden(file.read_bytes().decode("latin-1"), str(file.relative_to(file.parents[1])), hidden)


def kept_by_the_engine(checkout: Checkout) -> list[Path]:
    """State and history; the engine found no place for its log, and did all the same what it was told."""
    kept = [file for file in checkout.home.rglob("*") if file.is_file() and not file.is_symlink()]
    kept = [file for file in kept if file.relative_to(checkout.home).parts[0] not in NOT_THE_ENGINES]
    assert any("history" in file.parts for file in kept)
    assert not [file for file in kept if file.suffix == ".log"]
    return kept


def test_files_with_secrets_are_readable_by_their_owner_only(fresh: Checkout) -> None:
    fresh.up()
    assert fresh.home.stat().st_mode & 0o077 == 0
    for file in (fresh.home / "passphrase", *(fresh.home / "kubeconfigs" / "simulated" / c for c in ("east", "west"))):
        assert file.stat().st_mode & 0o077 == 0, file


def test_a_wrong_search_word_would_be_found(shared: Checkout) -> None:
    """Shows that the search above can fail: the kubeconfig files do hold what it looks for."""
    hidden = secrets(shared)
    file = (shared.home / "kubeconfigs" / "simulated" / "west").read_text(encoding="utf-8")
    assert any(form in file for form in hidden["west kubeconfig"])
