"""The page of a verification, as a browser shows it."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh_federation.cli.verify import page
from mesh_federation.verify.catalogue import catalogue
from mesh_federation.verify.reports.report import VerificationReport, report
from mesh_federation.verify.runner import CheckResult
from mesh_federation.verify.verdict import failed, passed
from tests.unit.verify.fake_clusters import context

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def made(stack: str = "egress") -> VerificationReport:
    """A report of all checks of a stack, of which the first of the imports failed."""
    checks = catalogue(context(stack), lambda: [], timedelta(days=30))
    broken = next(check for check in checks if check.id == "imports.endpoints")
    verdicts = {broken: failed("sleep/sleep-0 lacks 10.255.10.5:16123", "./mesh up --refresh")}
    results = [CheckResult(check, verdicts.get(check, passed("as declared", seen="yes")), 0.2) for check in checks]
    return report(stack, datetime(2026, 1, 2, tzinfo=UTC), 7.5, results)


def text() -> str:
    return page(made(), context("egress").federation)


def test_the_page_shows_the_federation_in_the_colours_of_its_results() -> None:
    shown = text()
    assert shown.count("<svg") == 1 and "<?xml" not in shown
    assert "httpbin.mesh.global:8000" in shown.partition("<svg")[2].partition("</svg>")[0]
    assert shown.index("What is wrong, causes first") < shown.index("<svg") < shown.index("<h2>Control planes</h2>")


@pytest.mark.skipif(BROWSER is None, reason="NOTHING was looked at: this machine has no Chromium")
def test_a_browser_shows_it_and_nothing_sticks_out(tmp_path: Path) -> None:
    assert BROWSER is not None
    file, picture = tmp_path / "page.html", tmp_path / "page.png"
    measure = "<script>document.title = `fits ${document.documentElement.scrollWidth <= innerWidth}`</script>"
    file.write_text(text().replace("</body>", f"{measure}</body>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--window-size=1200,1600"]
    dom = subprocess.run(
        [BROWSER, *flags, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert "<title>fits true</title>" in dom
    shot = [f"--screenshot={picture}", file.as_uri()]
    subprocess.run([BROWSER, *flags, *shot], capture_output=True, timeout=120, check=True)
    assert picture.read_bytes().startswith(b"\x89PNG")
