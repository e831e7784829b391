"""Nothing is sent to an istiod that does not answer: the script asks until it does."""

import pytest

from components.provisioners import webhook
from tests.unit.provisioners.stand import Stand

REFUSED = "failed calling webhook: connection refused"


def test_an_istiod_that_answers_is_asked_once_and_nothing_is_kept(stand: Stand) -> None:
    assert stand.run("webhook", stdin="apiVersion: v1\n").status == 0
    [asked] = stand.calls()
    assert asked.argv[1:] == ["create", "--dry-run=server", "--filename=-"]


def test_an_istiod_that_does_not_answer_yet_is_asked_again(stand: Stand) -> None:
    stand.when("kubectl", "create", status=[1, 1, 0], err=REFUSED)
    assert stand.run("webhook", stdin="apiVersion: v1\n").status == 0
    assert len(stand.calls()) == 3


def test_an_istiod_that_never_answers_ends_with_the_servers_words(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.when("kubectl", "create", status=1, err=REFUSED)
    monkeypatch.setenv("PATH", stand.environment["PATH"])
    monkeypatch.setattr(webhook, "TIMEOUT", 0)
    monkeypatch.setattr("sys.stdin", (stand.root / "empty").open("w+"))
    for key, value in stand.environment.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(SystemExit, match=REFUSED):
        webhook.main()
