"""How containers are started: as whom, with what, and how they resolve names."""

from pathlib import Path

import pytest

from mesh_federation.native.image import Image
from mesh_federation.native.launch_plan import DEFAULT_CAPABILITIES, PodPlace, identity, plan_launch, resolver
from mesh_federation.native.launcher import Bind, ContainerLaunch
from mesh_federation.native.variables import Downward, SourceMissing
from mesh_federation.native.volumes import PodVolumes
from tests.unit.native.example_pods import container, pod_object, pod_spec

IMAGE = Image("", {"/usr/local/bin/app": "/opt/app"}, ("/usr/local/bin/app",), ("serve",), {"A": "1"}, 1337, 1337)


def launch(tmp_path: Path, fields: dict[str, object], image: Image = IMAGE) -> ContainerLaunch:
    """Return how a container with some fields is started."""
    spec: dict[str, object] = {"containers": [container(**fields)], "volumes": [{"name": "v", "emptyDir": {}}]}
    read = pod_spec(**spec)
    downward = Downward(pod_object(**spec), read, "10.10.0.5", "node", "172.30.0.2")
    volumes = PodVolumes(read, tmp_path / "d", tmp_path / "m", lambda kind, name: None, lambda source: ("", 0.0))
    volumes.refresh(downward)
    place = PodPlace(
        "10.10.0.5", "10.255.0.1", tmp_path / "etc", tmp_path / "root", volumes, lambda kind, name: None, downward
    )
    return plan_launch(read, read.containers[0], image, place, tmp_path / "message")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("/usr/local/bin/app", "serve")),
        ({"args": ["stop", "$(A)"]}, ("/usr/local/bin/app", "stop", "1")),
        ({"command": ["/bin/sh"]}, ("/bin/sh",)),
        ({"command": ["/bin/sh"], "args": ["-c", "x"]}, ("/bin/sh", "-c", "x")),
    ],
)
def test_command_and_arguments_replace_those_of_the_image(
    tmp_path: Path, fields: dict[str, object], expected: tuple[str, ...]
) -> None:
    assert launch(tmp_path, fields).program.command == expected


def test_a_container_without_any_command_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no command specified"):
        launch(tmp_path, {}, Image("", {}, (), (), {}, 0, 0))


def test_the_container_finds_the_api_server_and_what_its_image_sets(tmp_path: Path) -> None:
    variables = launch(tmp_path, {"env": [{"name": "A", "value": "2"}]}).program.environment
    assert (variables["KUBERNETES_SERVICE_HOST"], variables["KUBERNETES_SERVICE_PORT"]) == ("10.255.0.1", "443")
    assert (variables["A"], variables["HOSTNAME"]) == ("2", "web-0")


def test_outer_mounts_come_before_those_in_them(tmp_path: Path) -> None:
    mounts = [{"name": "v", "mountPath": "/a/b/c", "readOnly": True}, {"name": "v", "mountPath": "/a/"}]
    binds = launch(tmp_path, {"volumeMounts": mounts}).binds
    targets = [bind.target for bind in binds]
    assert targets.index("/a") < targets.index("/a/b/c")
    assert Bind("/opt/app", "/usr/local/bin/app", True) in binds
    assert next(bind for bind in binds if bind.target == "/a/b/c").read_only


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ({}, set(DEFAULT_CAPABILITIES)),
        ({"capabilities": {"drop": ["ALL"]}}, set()),
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "CAP_NET_RAW"]}}, {"NET_ADMIN", "NET_RAW"}),
        ({"capabilities": {"drop": ["MKNOD"]}}, set(DEFAULT_CAPABILITIES) - {"MKNOD"}),
    ],
)
def test_capabilities_are_the_usual_ones_but_for_what_is_added_and_dropped(
    security: dict[str, object], expected: set[str]
) -> None:
    spec = pod_spec(containers=[container(securityContext=security)])
    assert set(identity(spec, spec.containers[0].privileges, IMAGE).capabilities) == expected


def test_an_unknown_capability_is_named() -> None:
    spec = pod_spec(containers=[container(securityContext={"capabilities": {"add": ["FLY"]}})])
    with pytest.raises(SourceMissing, match="FLY"):
        identity(spec, spec.containers[0].privileges, IMAGE)


def test_the_user_is_that_of_the_pod_or_else_of_the_image() -> None:
    spec = pod_spec(securityContext={"fsGroup": 5, "supplementalGroups": [6]})
    found = identity(spec, spec.containers[0].privileges, IMAGE)
    assert (found.user, found.group, found.groups) == (1337, 1337, (5, 6, 1337))
    spec = pod_spec(securityContext={"runAsUser": 7})
    found = identity(spec, spec.containers[0].privileges, IMAGE)
    assert (found.user, found.group) == (7, 0)


def test_root_is_refused_where_it_must_not_be() -> None:
    spec = pod_spec(securityContext={"runAsNonRoot": True, "runAsUser": 0})
    with pytest.raises(SourceMissing, match="runAsNonRoot"):
        identity(spec, spec.containers[0].privileges, IMAGE)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "nameserver 10.10.0.1\nsearch shop.svc.in.munich svc.in.munich in.munich\noptions ndots:5"),
        ({"dnsPolicy": "Default"}, "nameserver 10.10.0.1"),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["x.org"]}},
         "nameserver 192.0.2.1\nsearch x.org"),
    ],
)  # fmt: skip
def test_names_are_resolved_as_the_pod_says(spec: dict[str, object], expected: str) -> None:
    assert resolver(pod_spec(**spec).dns, "shop", "10.10.0.1", "in.munich") == expected
