"""A state that is elsewhere, gone, damaged or locked, and files that a checkout has lost: what runs stays as it is."""

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context

from mesh_federation.clusters.control_plane import PORTS
from tests.checkout import Checkout, eventually
from tests.engine.federation.test_removal import assert_nothing_is_left
from tests.interruption import begun, interrupted

EVERYTHING = json.dumps({"key": "Lw==", "range_end": "MA=="}).encode()
"""All keys of an etcd, as its JSON gateway is asked for them."""


def root(checkout: Checkout, cluster: str) -> object:
    """What a cluster trusts."""
    data = checkout.get(cluster, "secret", "cacerts")["data"]
    assert isinstance(data, dict)
    return data["root-cert.pem"]


def credulous(context: SSLContext) -> SSLContext:
    """Take any server certificate, and show none."""
    context.check_hostname, context.verify_mode = False, CERT_NONE
    return context


def asked(scheme: str, port: int, path: str, body: bytes | None = None) -> bytes:
    """Ask a port as any user of this machine can; an answer that refuses is one without content."""
    try:
        url, context = f"{scheme}://127.0.0.1:{port}{path}", credulous(create_default_context())
        with urllib.request.urlopen(url, body, timeout=10, context=context) as answer:
            told = answer.read()
            assert isinstance(told, bytes)
            return told
    except urllib.error.HTTPError as refused:
        return refused.read()
    except OSError:
        return b""


def test_no_port_of_a_simulated_cluster_shows_a_secret_to_others_not_even_after_a_reboot(fresh: Checkout) -> None:
    fresh.up()
    for _ in ("made", "started again"):
        for cluster in ("east", "west"):
            folder = fresh.home / "clusters" / fresh.real_name(cluster)
            options = json.loads((folder / "control-plane.json").read_text(encoding="utf-8"))["options"]
            for scheme in ("http", "https"):
                for port in ("etcdPort", "etcdPeerPort"):
                    for path, body in (("/v3/kv/range", EVERYTHING), ("/version", None), ("/members", None)):
                        assert b"etcdserver" not in asked(scheme, options[port], path, body)
                        assert b"kvs" not in asked(scheme, options[port], path, body)
                for port in PORTS:
                    for path in ("/", "/configz", "/api/v1/namespaces/istio-system/secrets", "/debug/pprof/cmdline"):
                        assert b"PRIVATE KEY" not in asked(scheme, options[port], path)
        keys = list((fresh.home / "kwok").rglob("*.key"))
        assert keys and all(key.stat().st_mode & 0o077 == 0 for key in keys)
        fresh.kill(fresh.control_planes())
        fresh.up()


def test_clusters_whose_state_is_gone_keep_their_authorities(fresh: Checkout) -> None:
    fresh.up()
    before = root(fresh, "west")
    state, away = fresh.home / "state", fresh.home / "state-of-before"
    state.rename(away)
    refused = fresh.mesh("up", "--yes")
    assert (refused.code, f"restore {state}" in refused.stderr) == (1, True), refused.text
    assert root(fresh, "west") == before
    shutil.rmtree(state)
    away.rename(state)
    assert set(fresh.up().changes()) == {"unchanged"}
    state.rename(away)
    fresh.down()
    away.rename(state)
    assert fresh.control_planes() == []


def test_a_login_elsewhere_takes_no_stack_along(fresh: Checkout, tmp_path: Path) -> None:
    fresh.up()
    login = tmp_path / ".pulumi" / "credentials.json"
    login.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    login.write_text(json.dumps({"current": (tmp_path / "elsewhere").as_uri()}), encoding="utf-8")
    cache = fresh.ambient.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    fresh.ambient |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": cache}
    assert set(fresh.up().changes()) == {"unchanged"}
    fresh.stack_file().unlink()
    fresh.down()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    fresh.run(["git", "checkout", "--quiet", "."], fresh.ambient)
    assert_nothing_is_left(fresh)


def test_a_damaged_state_is_mended_by_the_command_that_is_named_and_lost_kubeconfigs_by_up(fresh: Checkout) -> None:
    fresh.up()
    scripts = fresh.home / "clusters" / fresh.real_name("west") / "kubeconfig"
    peoples = fresh.home / "kubeconfigs" / fresh.stack / "west"
    file = fresh.home / "state" / ".pulumi" / "stacks" / "mesh-federation" / f"{fresh.stack}.json"
    file.write_bytes(file.read_bytes()[:1000])
    for words in (("up", "--yes"), ("verify",), ("down", "--yes")):
        refused = fresh.mesh(*words)
        assert refused.code in (1, 2) and "error: error" not in refused.stderr, refused.text
        assert f"cp {file}.bak {file}" in refused.stderr, refused.text
    shutil.copy(f"{file}.bak", file)
    scripts.unlink()
    peoples.unlink()
    fresh.up("--refresh")
    assert scripts.exists() and fresh.kubectl("west", "get", "namespaces").code == 0
    assert peoples.stat().st_mode & 0o077 == 0
    (fresh.home / "passphrase").unlink()
    refused = fresh.mesh("up", "--yes")
    assert (refused.code, "passphrase is missing" in refused.stderr) == (1, True), refused.text
    fresh.down()
    assert_nothing_is_left(fresh)


def test_an_engine_that_outlives_its_run_is_named(fresh: Checkout) -> None:
    with interrupted(fresh, begun("west-create")) as run:
        run.process.kill()
        [engine] = fresh.engines()
        refused = fresh.mesh("up", "--yes")
        assert f"another engine is changing {fresh.stack}: process {engine.pid}" in refused.stderr, refused.text
    eventually(lambda: not fresh.engines(), 300)
    fresh.up()
