"""Kubeconfigs of real life lead to the cluster that kubectl would reach by them."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from mesh_federation.stack.kubeconfig import UnusableKubeconfig, extract, files

SERVER = {"server": "https://192.0.2.1:6443"}


def written(folder: Path, **given: object) -> Path:
    """Write a kubeconfig with one context `a`, and what is given instead."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "clusters": [{"name": "a", "cluster": SERVER}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        **given,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(json.dumps(document), encoding="utf-8")
    return folder / "config"


def user(file: Path) -> Any:  # noqa: ANN401 - a tree
    return extract([file], "", "east")["users"][0]["user"]  # type: ignore[index]


def test_cluster_user_and_context_carry_the_logical_name(tmp_path: Path) -> None:
    arn = "arn:aws:eks:eu-west-1:1:cluster/prod"
    context = {"name": arn, "context": {"cluster": arn, "user": arn, "namespace": "argocd"}}
    file = written(
        tmp_path,
        **{"current-context": arn},
        clusters=[{"name": arn, "cluster": SERVER}],
        contexts=[context],
        users=[{"name": arn, "user": {"token": "t"}}],
    )
    made = extract([file], "", "east")
    assert made["current-context"] == "east"
    assert made["contexts"] == [{"name": "east", "context": {"cluster": "east", "user": "east", "namespace": "argocd"}}]
    assert made["clusters"] == [{"name": "east", "cluster": SERVER}]
    assert made["users"] == [{"name": "east", "user": {"token": "t"}}]


@pytest.mark.parametrize("users", [None, []])
def test_a_context_without_a_user_has_none(tmp_path: Path, users: object) -> None:
    """As kubectl proxy and tunnels are reached."""
    without = [{"name": "a", "context": {"cluster": "a", "user": ""}}]
    assert user(written(tmp_path, contexts=without, users=users)) == {}


def test_a_plugin_is_beside_the_kubeconfig_or_on_the_search_path(tmp_path: Path) -> None:
    """As kubectl finds it: a command with a slash is relative to the file, one without is looked for in PATH."""
    for command, found in (("./bin/token.sh", str(tmp_path / "bin" / "token.sh")), ("aws", "aws"), ("/x/y", "/x/y")):
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": ["get-token"]}
        file = written(tmp_path, users=[{"name": "u", "user": {"exec": plugin}}])
        assert user(file)["exec"] == {**plugin, "command": found}


def test_a_token_file_is_beside_the_kubeconfig_and_read_when_it_is_used(tmp_path: Path) -> None:
    file = written(tmp_path, users=[{"name": "u", "user": {"tokenFile": "secrets/token"}}])
    assert user(file) == {"tokenFile": str(tmp_path / "secrets" / "token")}


def test_certificates_are_taken_from_beside_the_kubeconfig(tmp_path: Path) -> None:
    for name in ("ca.pem", "crt.pem", "key.pem"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    file = written(
        tmp_path,
        clusters=[{"name": "a", "cluster": {**SERVER, "certificate-authority": "ca.pem"}}],
        users=[{"name": "u", "user": {"client-certificate": "crt.pem", "client-key": str(tmp_path / "key.pem")}}],
    )

    def data(name: str) -> str:
        return b64encode(name.encode()).decode()

    assert user(file) == {"client-certificate-data": data("crt.pem"), "client-key-data": data("key.pem")}
    assert extract([file], "", "e")["clusters"] == [
        {"name": "e", "cluster": {**SERVER, "certificate-authority-data": data("ca.pem")}}
    ]


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, users=[{"name": "u", "user": {"client-certificate": "crt.pem"}}])
    with pytest.raises(UnusableKubeconfig, match=f"client-certificate {tmp_path}/crt.pem cannot be read: No such file"):
        user(file)


def test_of_a_list_the_first_entry_of_a_name_counts_with_its_own_folder(tmp_path: Path) -> None:
    """As kubectl merges KUBECONFIG."""
    first = written(tmp_path / "one", users=[{"name": "u", "user": {"tokenFile": "t"}}], clusters=None)
    second = written(tmp_path / "two", users=[{"name": "u", "user": {"token": "no"}}], **{"current-context": "b"})
    made = extract([first, second], "", "east")
    assert made["users"] == [{"name": "east", "user": {"tokenFile": str(tmp_path / "one" / "t")}}]
    assert made["clusters"] == [{"name": "east", "cluster": SERVER}]


def test_home_variables_and_lists_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a", "b"):
        (tmp_path / name).touch()
    for text in ("~/a", "$HOME/a", "${HOME}/a", "a", f"{tmp_path}/a"):
        assert files(text, os.environ, tmp_path) == [tmp_path / "a"]
    assert files("$HOME/missing:b:~/a", os.environ, tmp_path) == [tmp_path / "b", tmp_path / "a"]


@pytest.mark.parametrize(("text", "said"), [("x", "/f/x does not exist"), ("$NO/x", "NO, which is not set")])
def test_a_file_that_is_not_there_is_said_so(text: str, said: str) -> None:
    with pytest.raises(UnusableKubeconfig, match=said):
        files(text, {}, Path("/f"))


@pytest.mark.parametrize(
    ("given", "context", "said"),
    [
        ({"current-context": ""}, "", "has no current context"),
        ({}, "b", "has no context b; it has a"),
        ({"clusters": None}, "", "context a of .* names the cluster a, which does not exist"),
        ({"users": None}, "", "context a of .* names the user u, which does not exist"),
    ],
)
def test_a_kubeconfig_without_cluster_is_reported(
    tmp_path: Path, given: dict[str, object], context: str, said: str
) -> None:
    with pytest.raises(UnusableKubeconfig, match=said):
        extract([written(tmp_path, **given)], context, "east")


@pytest.mark.parametrize(("text", "said"), [("a: [", "is not YAML"), ("text", "is not a kubeconfig")])
def test_other_files_are_reported_without_their_content(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "k").write_text(text, encoding="utf-8")
    with pytest.raises(UnusableKubeconfig, match=said):
        extract([tmp_path / "k"], "", "east")
