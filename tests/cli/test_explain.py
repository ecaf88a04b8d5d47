"""`geomon explain` on the reconstructed cases: each decision as a table of its fixes."""

from __future__ import annotations

import re
from datetime import timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from pages import REFERENCE, json_fields

from geomon.cases import CASES, expected, recording_path
from geomon.cli import cli
from geomon.cli.explain import _shown
from geomon.core.account import WHY, Entry
from geomon.core.person import INSIDE
from geomon.intake import Intake
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

EPISODES = {
    "A": "SZ-0001/leave_city/2024-02-05T00:36:21Z",
    "B": "SZ-0002/overdue_return/2024-02-09T16:00:00Z",
    "C": "SZ-0003/leave_city/2024-02-13T01:52:00Z",
}


@pytest.fixture(autouse=True)
def _zones(zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read the zone files takes as long as all the rest of a call."""
    monkeypatch.setattr("geomon.cli.explain.zones_for", lambda *_, **__: zones)


def explain(case: str, *words: str) -> Result:
    return CliRunner().invoke(cli, ["explain", str(recording_path(case)), *words])


def rows(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    found = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert found
    return found


def of_episode(case: str) -> dict[str, list[dict[str, Any]]]:
    """The tables of a case's absence, by the alert that each explains."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows(explain(case, "--episode", EPISODES[case], "--json")):
        found.setdefault(row["decision"], []).append(row)
    return found


@pytest.mark.parametrize("case", CASES)
def test_each_decision_about_an_absence_is_a_small_table(case: str) -> None:
    tables = of_episode(case)
    opened, closed = tables.values()
    assert next(iter(tables)) == f"{EPISODES[case]}#1"
    assert (opened[0]["phase"], closed[0]["phase"]) == ("opened", "closed")
    assert opened[-1]["label"] == "outside"
    assert closed[-1]["label"] == "inside"
    assert closed[-1]["log_odds"] <= -3
    assert all(len(table) < 40 for table in tables.values())


@pytest.mark.parametrize("case", ["A", "C"])
def test_a_departure_begins_with_a_stretch_inside_and_ends_where_it_was_told(case: str) -> None:
    opened, _ = of_episode(case).values()
    stretch, *fixes = opened
    assert (stretch["label"], stretch["device"]) == ("inside", None)
    assert stretch["minutes"] > 1
    assert all(fix["device"] and fix["accuracy_m"] for fix in fixes)
    # What began it is among them, at the time that the episode is named after.
    [since] = [fix for fix in fixes if fix["time"] == EPISODES[case].split("/")[2]]
    assert since["counted"] > 0
    assert fixes[-1]["log_odds"] >= 3
    assert fixes[-1]["distance_outside_m"] > 0


@pytest.mark.parametrize("case", CASES)
def test_decisions_are_those_of_a_replay_at_their_times(case: str, zones: ZoneIndex) -> None:
    replay = Replay(Intake(zones), rules_from(Settings()))
    with open_recording(str(recording_path(case))) as recording:
        alerts = [*replay.feed(read_recording(recording, case)), *replay.finish()]
    wanted = {
        alert["id"]: alert["data"]["detected"]
        for alert in alerts
        if alert["data"]["episode"] == EPISODES[case] and alert["data"]["phase"] != "updated"
    }
    assert {name: table[0]["decided"] for name, table in of_episode(case).items()} == wanted


def test_nothing_of_it_is_from_after_the_decision() -> None:
    for table in of_episode("C").values():
        assert max(row["until"] for row in table) <= table[0]["decided"]


def test_one_alert_of_an_episode_may_be_asked_for() -> None:
    [name] = {
        row["decision"] for row in rows(explain("C", "--episode", EPISODES["C"] + "#1", "--json"))
    }
    assert name.endswith("#1")


def test_belief_at_a_time_is_what_had_arrived_by_then() -> None:
    """Case C is told at 09:54; a minute after the line was crossed it is not sure yet."""
    [truth] = expected()["C"]["episodes"]
    assert truth["since"].startswith("2024-02-13T01:5")
    before = rows(explain("C", "--person", "SZ-0003", "--at", "2024-02-13T01:50:00Z", "--json"))
    after = rows(explain("C", "--person", "SZ-0003", "--at", "2024-02-13T02:30:00Z", "--json"))
    assert (before[-1]["label"], after[-1]["label"]) == ("inside", "outside")
    assert after[-1]["probability"] > 0.95
    assert {row["phase"] for row in before + after} == {None}


def test_without_a_time_it_is_the_end_of_the_recording() -> None:
    found = rows(explain("C", "--person", "SZ-0003", "--json"))
    assert found[-1]["label"] == "inside"


def test_every_field_is_in_the_reference() -> None:
    assert json_fields("explain") == list(rows(explain("C", "--person", "SZ-0003", "--json"))[0])


def test_every_word_is_in_the_reference() -> None:
    documented = {k: tuple(r[1:3]) for k, r in REFERENCE["geomon explain FILE..."].keyed(1).items()}
    assert documented == dict(WHY)


def test_people_get_a_table_with_a_heading_and_the_words_explained() -> None:
    done = explain("C", "--episode", EPISODES["C"])
    assert done.exit_code == 0, done.output
    assert f"{EPISODES['C']}#1 opened 2024-02-13 09:5" in done.stdout
    assert "未经批准离开本市" in done.stdout
    assert re.search(r"\d+ minutes inside", done.stdout)
    assert "believed outside from +3" in done.stderr


def test_a_very_long_table_is_shown_without_its_middle() -> None:
    """Somebody by the line, undecided for hours; --json lists all."""
    entry = Entry(0, 0, 1, 1, None, 0.0, 0.25, 0.5, INSIDE)
    lines = list(_shown([entry] * 100, timezone.utc))
    assert len(lines) == 41
    [left_out] = [line for line in lines if "60 lines" in line["fix"]]
    assert left_out["counted"] == "+15.00"
    assert len(list(_shown([entry] * 40, timezone.utc))) == 40


def test_what_is_being_gathered_is_said(tmp_path: Path) -> None:
    """Fixes from a memory are not judged yet: the table has them, and says when they will be."""
    home = {"lon": 114.0545, "lat": 22.5445, "accuracy_m": 12, "source": "gnss"}
    lines = [
        {
            "type": "upload",
            "supervisee_id": "SZ-0009",
            "device_id": "phone-9",
            "device": "phone",
            "datum": "wgs84",
            "stored": stored,
            "received": f"2024-02-13T09:{minute}:00+08:00",
            "fixes": [{"time": f"2024-02-13T09:{minute - 5:02}:00+08:00", **home}],
        }
        for minute, stored in ((10, False), (20, False), (30, True))
    ]
    path = tmp_path / "one.ndjson"
    path.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines))
    at = ["--person", "SZ-0009", "--at", "2024-02-13T09:30:10+08:00"]
    done = CliRunner().invoke(cli, ["explain", str(path), *at])
    assert done.exit_code == 0, done.output
    assert "being gathered, to be judged 09:30:45" in done.stderr


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        ([], 2, "--person or --episode"),
        (["--person", "SZ-0001", "--episode", EPISODES["C"]], 2, "is not of SZ-0001"),
        (["--person", "SZ-0003", "--at", "2024-02-13", "--episode", EPISODES["C"]], 2, "one of"),
        (["--person", "SZ-0003", "--at", "noon"], 2, "noon"),
        (["--person", "SZ-9999"], 1, "nothing is known of SZ-9999"),
        (["--episode", "SZ-0003/leave_city/2024-02-14T01:52:00Z"], 1, "no such episode"),
        (["--episode", "SZ-0003"], 1, "no such episode"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], exit_code: int, says: str) -> None:
    done = explain("C", *words)
    assert done.exit_code == (exit_code if exit_code == 2 else 1)
    said = done.stderr if exit_code == 2 else str(done.exception)
    assert says in said
    assert "\n" not in says


def test_an_episode_of_another_kind_rests_on_no_fixes(zones: ZoneIndex) -> None:
    replay = Replay(Intake(zones), rules_from(Settings()))
    with open_recording(str(recording_path("A"))) as recording:
        alerts = list(replay.feed(read_recording(recording, "A")))
    missed = next(a for a in alerts if a["data"]["kind"] == "missed_check_in")
    done = explain("A", "--episode", missed["data"]["episode"])
    assert done.exit_code == 1
    assert "missed_check_in does not rest on where fixes lie" in str(done.exception)
