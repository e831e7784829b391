"""The rules for provided authorities, compared with the recorded results of Go 1.26, whose crypto/x509 istiod uses.

tests/engine/conformance compares both with Go itself.
"""

import subprocess
from pathlib import Path

import pytest

from tests.unit.rules.authority_cases import CASES
from tests.unit.rules.provided_authorities import reported


@pytest.mark.parametrize("case", CASES)
def test_an_authority_is_refused_for_what_istiod_or_proxies_refuse_it_for(case: str) -> None:
    wanted = [(CASES[case].place, CASES[case].rule)] if CASES[case].rule else []
    assert [problem[:2] for problem in reported(CASES[case].make())] == wanted


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.rule == "provided-key-identifier"])
def test_openssl_finds_no_issuer_where_its_identifier_is_another(case: str, tmp_path: Path) -> None:
    """BoringSSL has this from it (X509_check_akid); what else proxies alone refuse was read in BoringSSL's source."""
    authority = CASES[case].make()
    for key in ("root", "certificate"):
        (tmp_path / key).write_text(str(authority[key]), encoding="utf-8")
    verify = ["openssl", "verify", "-CAfile", str(tmp_path / "root"), str(tmp_path / "certificate")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "unable to get local issuer certificate" in done.stderr
