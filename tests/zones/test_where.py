"""`geomon zones where`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from plane import at, write_city

from geomon.cli.where import where
from geomon.errors import UserError
from geomon.zones.index import ZoneIndex


def answers(arguments: list[str], stdin: str = "") -> list[dict[str, object]]:
    result = CliRunner().invoke(where, [*arguments, "--json"], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_where_says_side_place_and_distance(zones: ZoneIndex) -> None:
    civic, lo_wu = answers(["114.0545,22.5445", "114.1133,22.5285"])
    assert (civic["side"], civic["place"], civic["name"]) == ("inside", "440304", "福田区")
    assert (lo_wu["side"], lo_wu["place"]) == ("outside", "810000")
    assert 100 < float(str(lo_wu["distance_m"])) < 250  # the line is at 22.52997 N there
    assert civic["zones"] == zones.version


def test_where_takes_the_datum_into_account(zones: ZoneIndex) -> None:
    (wgs84,) = answers(["114.113700,22.531800"])
    (gcj02,) = answers(["114.118806,22.529113", "--datum", "gcj02"])
    (bd09,) = answers(["114.125219,22.535451", "--datum", "bd09"])
    assert wgs84["side"] == gcj02["side"] == bd09["side"] == "inside"
    for other in (gcj02, bd09):
        assert other["distance_m"] == pytest.approx(wgs84["distance_m"], abs=0.5)
    (mistaken,) = answers(["114.118806,22.529113"])
    assert mistaken["side"] == "outside"


def test_where_reads_positions_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_city(tmp_path)
    monkeypatch.setattr("geomon.zones.index.zone_directory", lambda: folder)
    lines = "".join(f"{lon},{lat}\n" for lon, lat in (at(k / 250 - 5, 0) for k in range(2500)))
    rows = answers(["--city", "990100", "-"], stdin=lines + "\n" + "114.0 22.5\n")
    assert len(rows) == 2501
    assert {row["place"] for row in rows} == {"990101", "990102"}
    assert {row["name"] for row in rows} == {"西区", "东区"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("22.5445,114.0545", r"latitude 114\.05.*longitude comes first, write 114\.0545,22\.5445"),
        ("114.05", r"cannot read '114\.05' as LON,LAT"),
        ("here,there", "cannot read 'here,there'"),
        ("nan,22.5", "is not a position"),
        ("514.05,22.5", "not on the globe"),
    ],
)
def test_where_tells_a_mistake_in_one_line(text: str, told: str) -> None:
    for arguments, stdin in (([text], ""), (["-"], text + "\n")):
        with pytest.raises(UserError, match=told) as caught:
            CliRunner().invoke(where, arguments, input=stdin, catch_exceptions=False)
        assert "\n" not in str(caught.value)
