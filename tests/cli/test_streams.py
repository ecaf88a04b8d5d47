"""Standard streams as a shell may hand them over: full, closed, or with nobody at the other end."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

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


def without_a_reader(words: list[str], stream: str) -> subprocess.CompletedProcess[str]:
    """Run with one of `stdout` and `stderr` a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "geomon", *words],
            stdout=writing if stream == "stdout" else subprocess.PIPE,
            stderr=writing if stream == "stderr" else subprocess.PIPE,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
    finally:
        os.close(writing)


def test_a_table_nobody_reads_to_its_end_is_no_failure() -> None:
    done = without_a_reader(["config", "show"], "stdout")
    assert (done.returncode, done.stderr) == (0, "")


def test_talk_nobody_reads_does_not_end_what_it_is_about(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ndjson"
    broken.write_text("{\n")  # its refusal is told before the first alert
    words = ["replay", "--json", str(broken), CASE_A]
    done = without_a_reader(words, "stderr")
    assert done.returncode == 0
    assert done.stdout == shell(words, "2>/dev/null").stdout != ""


def test_a_terminal_that_has_no_chinese_shows_escapes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geomon", "config", "show"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "GEOMON_DATA_DIR": "/数据"},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)
    assert rb"/\u6570\u636e" in done.stdout


def test_json_is_utf_8_whatever_the_terminal_speaks() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geomon", "config", "show", "--json"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "gb18030", "GEOMON_DATA_DIR": "/数据"},
        timeout=120,
        check=False,
    )
    rows = [json.loads(line.decode("utf-8")) for line in done.stdout.splitlines()]
    assert "/数据" in [row["value"] for row in rows]
