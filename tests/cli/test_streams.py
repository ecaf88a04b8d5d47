"""Standard streams as a shell may hand them over: full, closed, or with nobody at the other end."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from geomon.cases import recording_path

CASE_A = str(recording_path("A"))
WHO = "SZ-0001"


def shell(words: list[str], redirection: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"{shlex.join([sys.executable, '-m', 'geomon', *words])} {redirection}"],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["config", "show"],
        ["config", "show", "--json"],
        ["dossier", WHO, CASE_A],
        ["replay", "--json", CASE_A],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("redirection", "why"),
    [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
)
def test_output_that_cannot_be_written_is_one_line(
    words: list[str], redirection: str, why: str
) -> None:
    done = shell(words, redirection)
    assert done.stderr == f"geomon: cannot write: {why}\n"
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "-"],
        ["dossier", WHO, "-"],
        ["zones", "where", "-"],
        [
            *("convert", "--format", "gpx", "--datum", "wgs84"),
            "--person",
            WHO,
            "--device",
            "phone",
            "-",
        ],
    ],
    ids=" ".join,
)
def test_input_that_was_closed_is_one_line(words: list[str]) -> None:
    done = shell(words, "<&-")
    assert done.returncode == 1
    assert done.stderr.startswith("geomon: ")
    assert done.stderr.endswith("Bad file descriptor\n")
    assert done.stderr.count("\n") == 1


def test_what_needs_no_input_and_no_talk_does_without() -> None:
    done = shell(["config", "show", "--json"], "<&- 2>&-")
    assert done.returncode == 0
    assert '"utc_offset_h"' in done.stdout


def test_where_complaints_cannot_be_written_the_exit_code_says_it() -> None:
    for code, words in ((2, ["fly"]), (1, ["replay", "/nowhere.ndjson"])):
        for redirection in ("2>&-", "2>/dev/full"):
            assert shell(words, redirection).returncode == code
