"""`geomon convert` as people call it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from geomon.cli import main
from geomon.decoding import decode
from geomon.events import Upload

GPX = """<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="22.544" lon="114.0581"><time>2024-02-13T01:31:05Z</time></trkpt>
<trkpt lat="22.5431" lon="114.0579"><time>2024-02-13T01:30:00Z</time></trkpt>
</trkseg></trk></gpx>"""


@dataclass
class Run:
    exit_code: int
    events: list[Any]
    talk: str


Convert = Callable[..., Run]


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Convert:
    def run(*arguments: object) -> Run:
        monkeypatch.setattr("sys.argv", ["geomon", "convert", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        return Run(code, [json.loads(line) for line in out.splitlines()], err)

    return run


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    path = tmp_path / "walk [1].gpx"  # brackets are no markup
    path.write_text(GPX)
    return path


def test_a_gpx_walk_becomes_uploads_in_the_order_of_the_file(convert: Convert, walk: Path) -> None:
    run = convert(walk, "--datum", "wgs84", "--person", "SZ-0001", "--source", "gnss")
    assert run.exit_code == 0
    assert run.events == [
        {
            "type": "upload",
            "supervisee_id": "SZ-0001",
            "device_id": "phone-SZ-0001",
            "device": "phone",
            "datum": "wgs84",
            "fixes": [{"time": time, "lon": lon, "lat": lat, "source": "gnss"}],
        }
        for time, lon, lat in (
            ("2024-02-13T01:31:05Z", 114.0581, 22.544),
            ("2024-02-13T01:30:00Z", 114.0579, 22.5431),
        )
    ]
    assert run.talk == "2 fixes, 0 bad rows, 2 uploads\n"


def test_sorted_tracks_are_one_stream(convert: Convert, walk: Path, tmp_path: Path) -> None:
    between = tmp_path / "between.csv"
    between.write_text("time,lon,lat\n2024-02-13T01:30:30Z,114.2,22.6\n")
    run = convert(
        walk, between, "--datum", "bd09", "--person", "A", "--sort", "--device", "wristband"
    )
    assert [event["fixes"][0]["time"][14:19] for event in run.events] == ["30:00", "30:30", "31:05"]
    assert {(e["datum"], e["device"], e["device_id"]) for e in run.events} == {
        ("bd09", "wristband", "wristband-A")
    }


def test_a_track_can_come_from_standard_input(
    convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(GPX.encode()))))
    monkeypatch.setattr("sys.stdin", stdin)
    run = convert("-", "--format", "gpx", "--datum", "wgs84", "--person", "A")
    assert (run.exit_code, len(run.events)) == (0, 2)


def test_bad_rows_are_told_by_file_line_and_reason_and_counted(
    convert: Convert, tmp_path: Path
) -> None:
    path = tmp_path / "walk.csv"
    rows = [
        "2024-02-13T01:30:30Z,114.2,22.6",
        "2024-02-13T01:30:30Z,114.2,91",
        *["soon,114.2,22.6"] * 30,
    ]
    path.write_text("\n".join(["time,lon,lat", *rows]))
    run = convert(path, "--datum", "wgs84", "--person", "A")
    assert run.exit_code == 0
    assert len(run.events) == 1
    lines = run.talk.splitlines()
    assert lines[:2] == [
        f"{path}, line 3: lat is not between -90 and 90",
        f"{path}, line 4: time is not ISO 8601",
    ]
    assert lines[10:] == [
        "further bad rows are only counted",
        "1 fixes, 31 bad rows, 1 uploads",
        "  30 x time is not ISO 8601",
        "  1 x lat is not between -90 and 90",
    ]
    assert "114.2" not in run.talk


def test_a_track_without_one_usable_fix_fails(convert: Convert, tmp_path: Path) -> None:
    path = tmp_path / "walk.csv"
    for content in ("time,lon,lat\nsoon,114.2,22.6\n", "time,lon,lat\n"):
        path.write_text(content)
        run = convert(path, "--datum", "wgs84", "--person", "A")
        assert (run.exit_code, run.events) == (1, [])
        assert run.talk.splitlines()[-1] == f"geomon: no usable fix in {path}"


def test_a_track_that_breaks_off_gives_its_beginning_and_fails(
    convert: Convert, walk: Path
) -> None:
    walk.write_text(GPX[: GPX.rindex("<time>")])
    run = convert(walk, "--datum", "wgs84", "--person", "A")
    assert (run.exit_code, len(run.events)) == (1, 1)
    assert run.talk.startswith("1 fixes, 0 bad rows, 1 uploads\ngeomon: ")
    assert "not well-formed XML" in run.talk


def test_every_track_is_looked_into_before_anything_is_written(
    convert: Convert, walk: Path, tmp_path: Path
) -> None:
    run = convert(walk, tmp_path / "none.csv", "--datum", "wgs84", "--person", "A")
    assert (run.exit_code, run.events) == (1, [])
    assert re.fullmatch(r"geomon: .*none\.csv: No such file or directory\n", run.talk)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Missing option '--datum'"),
        (["--datum", "wgs84"], "whose track is it"),
        (["--datum", "gps", "--person", "A"], "Invalid value for '--datum'"),
        (["--datum", "wgs84", "--id-column", "id"], "whose track is it"),  # GPX has no ids
        (["--datum", "wgs84", "--person", "A", "--fixes-per-upload", "1001"], "1001"),
        (["--datum", "wgs84", "--person", "A B"], "person: an id has 1 to 64 characters"),
        (["--datum", "wgs84", "--person", "A" * 60], "device id: an id has 1 to 64 characters"),
        (["--datum", "wgs84", "--person", "A", "--device-id", "a/b"], "device id: an id has"),
        (["--datum", "wgs84", "--person", "A", "--timezone", "Mars"], "no time zone"),
        (["--datum", "wgs84", "--person", "A", "--time-format", "%H:%M"], "has no year"),
        (["--datum", "wgs84", "--person", "A", "--delimiter", ",,"], "one character"),
        (["--datum", "wgs84", "--person", "A", "--encoding", "latin-99"], "no encoding"),
    ],
)
def test_wrong_usage_is_exit_2(
    convert: Convert, walk: Path, flags: list[str], message: str
) -> None:
    run = convert(walk, *flags)
    assert (run.exit_code, run.events) == (2, [])
    assert message in run.talk


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--person", "A"], "give one"), (["--device-id", "phone-3"], "device of every id")],
)
def test_people_by_id_are_not_also_named(
    convert: Convert, tmp_path: Path, flags: list[str], message: str
) -> None:
    path = tmp_path / "many.csv"
    path.write_text("id,time,lon,lat\n1,2024-02-13T01:30:30Z,114.2,22.6\n")
    run = convert(path, "--datum", "wgs84", "--id-column", "id", *flags)
    assert run.exit_code == 2
    assert message in run.talk


def assert_accepted(run: Run) -> None:
    """The stream takes every upload and every fix of it."""
    for event in run.events:
        upload, refused = decode(json.dumps(event).encode())
        assert isinstance(upload, Upload)
        assert len(upload.fixes) == len(event["fixes"])
        assert not refused


def test_an_id_that_no_event_may_have_is_a_bad_row(convert: Convert, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    ids = ["ok", "a b", "a/b", "a#b", "x" * 51, "x" * 52, "粤B·12345"]
    rows = [f"{i},2024-02-13T01:30:30Z,114.2,22.6" for i in ids]
    path.write_text("\n".join(["id,time,lon,lat", *rows]))
    run = convert(path, "--datum", "wgs84", "--id-column", "id", "--person-prefix", "taxi-x-")
    people = [event["supervisee_id"] for event in run.events]
    assert people == ["taxi-x-ok", f"taxi-x-{'x' * 51}", "taxi-x-粤B·12345"]
    assert "line 3: id has spaces, slashes or #, or is too long" in run.talk
    assert_accepted(run)


def test_a_day_of_real_taxis(convert: Convert, recorded: Callable[[str], Path]) -> None:
    path = recorded("shenzhen_taxis_16.csv.gz")
    flags = "--datum wgs84 --source gnss --id-column id --person-prefix taxi- --time-column t"
    flags += " --day 2013-10-22 --timezone +08:00 --speed-column speed --speed-unit kmh"
    run = convert(path, *flags.split())
    assert run.exit_code == 0
    assert run.talk == "47,000 fixes, 0 bad rows, 47,000 uploads\n"
    with gzip.open(path, "rt") as text:
        for event, row in zip(run.events, csv.DictReader(text), strict=True):
            beijing = datetime.fromisoformat(f"2013-10-22T{row['t']}+08:00")
            (fix,) = event["fixes"]
            assert event["supervisee_id"] == f"taxi-{row['id']}"
            assert fix["time"] == beijing.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            assert (fix["lon"], fix["lat"]) == (float(row["lon"]), float(row["lat"]))
            assert fix["speed_mps"] == pytest.approx(float(row["speed"]) / 3.6, abs=0.0006)
            assert fix["source"] == "gnss"

    assert_accepted(run)

    gathered = convert(path, *flags.split(), "--sort", "--fixes-per-upload", "100")
    assert Counter({e["supervisee_id"]: 0 for e in gathered.events}).keys() == {
        e["supervisee_id"] for e in run.events
    }
    sizes: Counter[str] = Counter()
    for event in gathered.events:
        sizes[event["supervisee_id"]] += len(event["fixes"])
    assert sizes == Counter(e["supervisee_id"] for e in run.events)
    last_times = [e["fixes"][-1]["time"] for e in gathered.events if len(e["fixes"]) == 100]
    assert last_times == sorted(last_times)


def test_a_real_phone_in_uploads_of_ten(convert: Convert, recorded: Callable[[str], Path]) -> None:
    path = recorded("phone_with_accuracy_prague.json")
    run = convert(path, "--datum", "wgs84", "--person", "P", "--fixes-per-upload", "10")
    assert run.exit_code == 0
    assert [len(event["fixes"]) for event in run.events] == [10] * 203 + [9]
    fixes = [fix for event in run.events for fix in event["fixes"]]
    raws = json.loads(path.read_text())["locations"]
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    for fix, raw in zip(fixes, raws, strict=True):
        time = epoch + timedelta(milliseconds=int(raw["timestampMs"]))
        assert datetime.fromisoformat(fix["time"].replace("Z", "+00:00")) == time
        assert fix["accuracy_m"] == raw["accuracy"]
    assert {fix["accuracy_m"] for fix in fixes} >= {5, 1177}
    assert_accepted(run)
