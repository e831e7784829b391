"""Probes: which answers are yes, and how many in a row decide."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mesh_federation.native.pod_spec import Handler, HandlerKind, ProbeSpec
from mesh_federation.native.probes import ProbeFailure, ProbeKind, Prober, ProbeTarget, Threshold, act

SHORT = ProbeSpec(Handler(HandlerKind.EXEC, ("true",)), 0, 1, 1, successes=2, failures=3, grace=None)


def target(port: int = 0, code: int = 0, output: str = "") -> ProbeTarget:
    return ProbeTarget("127.0.0.1", {"web": port}, lambda command, timeout: (code, output))


class Answers(BaseHTTPRequestHandler):
    """Answers with the status in the path, if the request has the header that is asked for."""

    def do_GET(self) -> None:  # noqa: N802
        """Answer."""
        self.send_response(int(self.path[1:]) if self.headers.get("X-Probe") == "yes" else 500)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def http(path: str, port: str = "web", headers: tuple[tuple[str, str], ...] = (("X-Probe", "yes"),)) -> Handler:
    return Handler(HandlerKind.HTTP, port=port, path=path, headers=headers)


@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_an_answer_from_200_to_399_is_yes(port: int, status: int) -> None:
    act(http(f"/{status}"), target(port), 5)


@pytest.mark.parametrize("status", [400, 404, 503])
def test_any_other_answer_is_no(port: int, status: int) -> None:
    with pytest.raises(ProbeFailure, match=f"HTTP probe failed with statuscode: {status}"):
        act(http(f"/{status}"), target(port), 5)


def test_headers_of_the_probe_are_sent(port: int) -> None:
    with pytest.raises(ProbeFailure, match="500"):
        act(http("/200", headers=()), target(port), 5)


def test_a_port_may_be_a_number_or_the_name_of_one(port: int) -> None:
    act(http("/200", port=str(port)), target(port), 5)
    act(Handler(HandlerKind.TCP, port="web"), target(port), 5)
    with pytest.raises(ProbeFailure, match="no port named other"):
        act(http("/200", port="other"), target(port), 5)


def test_a_port_that_nobody_listens_on_is_no() -> None:
    with pytest.raises(ProbeFailure, match="Connection refused"):
        act(Handler(HandlerKind.TCP, port="1"), target(), 5)


def test_a_command_is_yes_if_it_ends_with_0() -> None:
    act(Handler(HandlerKind.EXEC, ("x",)), target(code=0), 5)
    with pytest.raises(ProbeFailure, match="sick"):
        act(Handler(HandlerKind.EXEC, ("x",)), target(code=1, output="sick\n"), 5)


def test_enough_answers_in_a_row_decide_and_others_do_not() -> None:
    threshold = Threshold(SHORT)
    answers = [True, True, False, False, True, False, False, False]
    assert [threshold.decided(answer) for answer in answers] == [None, True, None, None, None, None, None, False]


def test_a_container_that_is_not_ready_is_asked_more_often_and_only_one_failure_a_period_counts() -> None:
    answers = iter([1, 1, 1, 0])
    decided, failures = threading.Event(), list[str]()
    spec = ProbeSpec(SHORT.handler, 0, period=60, timeout=1, successes=1, failures=3, grace=None)
    asked = ProbeTarget("", {}, lambda command, timeout: (next(answers, 0), "no"))
    prober = Prober(ProbeKind.READINESS, spec, asked, lambda success: decided.set(), failures.append)
    prober.start()
    assert decided.wait(30)
    prober.stop()
    assert failures == ["no"]
