"""`geomon dossier` from files: what it prints, and what a mistake looks like."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from oneperson import (
    DONGGUAN,
    WHO,
    authorisation,
    check_in,
    check_in_plan,
    clock,
    disposal,
    leave,
    raw,
    sanction,
    supervised,
    upload,
    uploads,
    zone,
)

from geomon.cases import recording_path
from geomon.cli import cli
from geomon.dossier.entries import SECTIONS
from geomon.dossier.sources import events_of
from geomon.intake import Raw
from geomon.zones.index import ZoneIndex

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"

#: Something of every section.
EVENTS = [
    supervised("01-01 00:00"),
    authorisation("01-01 00:00", "01-01 00:00", "03-01 00:00"),
    leave("01-20 09:00", "02-20 00:00", "02-22 00:00"),
    leave("01-20 09:00", "01-21 00:00", "01-25 00:00", permit_id="P-1", kind="standing"),
    check_in_plan("01-20 09:01", ("08:00", "09:00")),
    zone("01-20 09:02"),
    *uploads("02-01 00:00", "02-01 10:00", every_min=20),
    check_in("02-01 08:30"),
    *uploads("02-01 10:00", "02-01 14:00", DONGGUAN, every_min=20),
    upload("02-01 14:00", device="wristband", strap="open"),
    sanction("02-01 15:00", "S-1"),
    disposal("02-01 16:00", "SZ-0001/tamper/2024-02-01T06:00:00Z"),
]


def dossier(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, ["dossier", *arguments], input=stdin)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def lines(events: list[dict[str, Any]], who: str = WHO) -> bytes:
    return b"".join(raw(event, who).data + b"\n" for event in events)


@pytest.fixture(autouse=True)
def _zones(zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read the zone files takes as long as all the rest of a call."""
    monkeypatch.setattr("geomon.cli.dossier.zones_for", lambda *_, **__: zones)


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "one.ndjson"
    path.write_bytes(lines(EVENTS))
    return str(path)


def documented() -> dict[str, list[str]]:
    """The fields of each section, as the reference has them."""
    page = REFERENCE.read_text("utf-8")
    part = re.search(r"^### `geomon dossier .*?(?=^##)", page, re.MULTILINE | re.DOTALL)
    assert part, "the reference does not have the command"
    found = re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", part[0], re.MULTILINE)
    return {section: re.findall(r"`(\w+)`", fields) for section, fields in found}


def test_json_has_the_sections_and_fields_of_the_reference(recording: str) -> None:
    found: dict[str, list[str]] = {}
    for row in rows(dossier(WHO, recording, "--json")):
        assert list(row)[:2] == ["section", "time"]
        fields = list(row)[2:]
        assert found.setdefault(row["section"], fields) == fields
    assert list(found) == list(SECTIONS)
    assert documented() == found


def test_times_are_utc_and_nothing_else_ends_in_s_but_lengths(recording: str) -> None:
    found = rows(dossier(WHO, recording, "--json"))
    episode = next(row for row in found if row["section"] == "episode" and row["disposal"])
    assert episode["time"] == "2024-02-01T06:00:00Z"
    assert episode["disposal"]["time"] == "2024-02-01T08:00:00Z"
    names = {name for row in found for name in row if name.endswith("_s")}
    assert names == {"age_s", "left_s", "longest_silence_s"}


def test_people_read_local_times_and_names_of_places(recording: str) -> None:
    shown = dossier(WHO, recording)
    assert shown.exit_code == 0, shown.output
    for words in ("人员 Person", "当前时限", "告警事件 Episodes", "2024-02-01 16:00", "+08:00"):
        assert words in shown.stdout
    assert "东莞市 441900" in shown.stdout.replace("\n", "")
    assert "113.7" not in shown.stdout
    assert "个人敏感信息" in shown.stderr


def test_another_city_has_another_local_time(
    recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOMON_UTC_OFFSET_H", "1")
    assert "2024-02-01 09:00" in dossier(WHO, recording).stdout


def test_a_date_is_its_midnight_in_the_city(
    recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ("--until", "2024-02-01", "--json")
    assert rows(dossier(WHO, recording, *day))[0]["until"] == "2024-01-31T16:00:00Z"
    monkeypatch.setenv("GEOMON_UTC_OFFSET_H", "1")
    assert rows(dossier(WHO, recording, *day))[0]["until"] == "2024-01-31T23:00:00Z"
    moment = ("--until", "2024-02-01T00:00:00+08:00", "--json")
    assert rows(dossier(WHO, recording, *moment))[0]["until"] == "2024-01-31T16:00:00Z"


def test_what_came_over_the_wire_steers_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "hostile.ndjson"
    episode = "SZ-0001/tamper/2024-02-01T06:00:00Z"
    wicked = disposal("02-01 16:00", episode, result="\x1b[2J[red]x[/red]")
    path.write_bytes(lines([upload("02-01 14:00"), wicked]))
    shown = dossier(WHO, str(path)).stdout
    assert "\x1b[2J" not in shown
    assert "[red]x" in shown


def test_the_page_is_written_where_it_is_asked_for(recording: str, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    shown = dossier(WHO, recording, "--html", str(page))
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "sensitive" in shown.stderr
    assert "SZ-0001" in page.read_text("utf-8")


def test_packed_files_and_standard_input(recording: str, tmp_path: Path) -> None:
    packed = tmp_path / "one.ndjson.gz"
    packed.write_bytes(gzip.compress(Path(recording).read_bytes()))
    plain = rows(dossier(WHO, recording, "--json"))[1:]
    assert rows(dossier(WHO, str(packed), "--json"))[1:] == plain
    assert rows(dossier(WHO, "-", "--json", stdin=Path(recording).read_bytes()))[1:] == plain


def test_the_recording_ends_for_the_silent_too(tmp_path: Path) -> None:
    """Somebody else is heard for three days more: so long was this one silent."""
    path = tmp_path / "two.ndjson"
    path.write_bytes(
        lines([supervised("01-01 00:00"), upload("02-01 08:00")])
        + lines([upload("02-04 08:00")], "SZ-0002")
    )
    found = rows(dossier(WHO, str(path), "--json"))
    assert found[0]["until"] == "2024-02-04T00:00:45Z"
    kinds = [row["kind"] for row in found if row["section"] == "episode"]
    assert "lost_contact" in kinds
    assert found[0]["events"] == 2


def test_until_and_from_choose_the_time_shown(recording: str) -> None:
    day = ("--from", "2024-02-01", "--until", "2024-02-01T12:00:00+08:00")
    found = rows(dossier(WHO, recording, "--json", *day))
    assert found[0]["until"] == "2024-02-01T04:00:00Z"
    assert not [row for row in found if row["section"] in {"sanction", "standing_permit"}]
    (absent,) = [row for row in found if row.get("kind") == "leave_city" and "state" in row]
    assert absent["state"] == "open"


def test_what_is_refused_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.ndjson"
    nameless = b'{"type":"upload","supervisee_id":"SZ-0001","fixes":\n'
    faked = upload("02-01 09:00", datum="moon")
    path.write_bytes(
        lines([upload("02-01 08:00"), faked]) + nameless + b"{\n" + lines([clock("02-01 10:00")])
    )
    found = rows(dossier(WHO, str(path), "--json"))
    assert found[0]["refused"] == {"datum_unknown": 1, "broken_json": 1}
    assert found[0]["events"] == 2


def test_a_line_tells_its_time_without_received_too() -> None:
    late = b'{"type":"return","supervisee_id":"SZ-2","permit_id":"L","time":"2024-02-09T00:00:00Z"}'
    fix = b'{"time":"2024-02-10T00:00:00Z","lon":114,"lat":22.6}'
    sent = (
        b'{"type":"upload","supervisee_id":"SZ-2","device_id":"p","device":"phone",'
        b'"datum":"wgs84","fixes":[%b]}' % fix
    )
    mine = raw(upload("02-01 08:00"))
    for other, end in ((late, b"2024-02-09T00:00:00Z"), (sent, b"2024-02-10T00:00:00Z")):
        *_, last = events_of(WHO, [mine, Raw(other, "test")])
        assert end in last.data
    wrong = b'{"type":"clock","supervisee_id":"SZ-2","received":"2999-01-01T00:00:00Z"}'
    *_, last = events_of(WHO, [mine, Raw(wrong, "test")])
    assert b"2024-02-01T00:00:00Z" in last.data
    assert list(events_of(WHO, [Raw(sent, "test")])) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--json", "--html", "x.html", "FILE"], "one of them"),
        (["FILE", "--kafka", "127.0.0.1:1"], "one of them"),
        (["FILE", "--redis", "redis://127.0.0.1:1"], "one of them"),
        (["-", "-"], "once"),
        (["FILE", "--from", "2024-02-02", "--until", "2024-02-01"], "not after"),
        (["FILE", "--from", "yesterday"], "yesterday"),
        (["--no-such"], "No such option"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], complaint: str, recording: str) -> None:
    result = dossier(WHO, *(recording if word == "FILE" else word for word in arguments))
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_person_nobody_knows_is_one_line(recording: str) -> None:
    result = dossier("SZ-9999", recording)
    assert result.exit_code == 1
    assert str(result.exception) == f"nothing is known of SZ-9999 in {recording}"
    missing = dossier(WHO, "/nowhere.ndjson")
    assert missing.exit_code == 1
    assert "/nowhere.ndjson" in str(missing.exception)


def test_help_says_that_it_is_sensitive_and_its_examples_are_understood() -> None:
    shown = dossier("--help")
    assert "sensitive personal information" in " ".join(shown.output.split())
    example = dossier("SZ-0001", str(recording_path("A")), "--json", "--until", "2024-01-30")
    assert rows(example)[0]["supervisee_id"] == "SZ-0001"
