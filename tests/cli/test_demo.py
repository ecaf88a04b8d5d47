"""`geomon demo`: the whole of it, and that it ends cleanly whenever it is asked to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from geomon.core.episodes import OF_CITY


def children_of(group: int) -> list[str]:
    """Command lines of the living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            if int(fields[3]) == group and fields[0] != "Z":
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (OSError, IndexError, ValueError):
            continue
    return found


def start(folder: Path, temporary: Path, *words: str) -> subprocess.Popen[str]:
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "geomon", "demo", "--out", str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )


def test_the_demo_finds_the_cases_and_draws_them(tmp_path: Path) -> None:
    with start(tmp_path / "out", tmp_path / "tmp") as demo:
        output, _ = demo.communicate(timeout=150)
    assert demo.returncode == 0, output
    assert "for trying out" in output
    assert output.count("right  case") == 3
    assert "WRONG" not in output
    alerts = [
        json.loads(line) for line in (tmp_path / "out/alerts.ndjson").read_bytes().splitlines()
    ]
    absences = [a["data"] for a in alerts if a["data"]["kind"] in OF_CITY]
    # One a case, opened and closed; what is told between the two is that it grows graver.
    ends = sorted((d["episode"], d["phase"]) for d in absences if d["phase"] != "updated")
    assert [phase for _, phase in ends] == ["closed", "opened"] * 3
    assert [episode.split("/")[:2] for episode, _ in ends[::2]] == [
        ["SZ-0001", "leave_city"],
        ["SZ-0002", "overdue_return"],
        ["SZ-0003", "leave_city"],
    ]
    # The small troubles of the recordings are told and listed as what they are.
    beside = [line for line in output.splitlines() if "beside it:" in line]
    assert len(beside) == 3
    assert all("missed check-in" in line for line in beside[:2])
    assert "lost contact" in beside[2]
    page = (tmp_path / "out/map.html").read_text("utf-8")
    assert all(alert["subject"] in page for alert in alerts)
    assert (tmp_path / "out/map.png").read_bytes().startswith(b"\x89PNG")
    assert children_of(demo.pid) == []
    assert list((tmp_path / "tmp").iterdir()) == []  # neither a socket nor a folder is left


@pytest.mark.parametrize("moment", ["trying out", "broker 127.0.0.1", "leave_city", "Against"])
def test_ctrl_c_ends_the_demo_at_any_moment(tmp_path: Path, moment: str) -> None:
    with start(tmp_path / "out", tmp_path / "tmp") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if moment in line:
                break
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to all of the group
        output, _ = demo.communicate(timeout=30)
    # At its last moment it may have been done before the signal came.
    done = moment == "Against" and "Alerts:" in output
    assert demo.returncode == (0 if done else 130), output
    assert "Traceback" not in output
    assert children_of(demo.pid) == []
    assert list((tmp_path / "tmp").iterdir()) == []
