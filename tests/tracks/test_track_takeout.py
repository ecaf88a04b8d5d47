"""A phone's location history, and cutting its records out of a long file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.errors import TrackError
from geomon.tracks import jsonstream
from geomon.tracks.jsonstream import elements
from geomon.tracks.layout import Layout
from geomon.tracks.takeout import read_takeout
from geomon.tracks.trackfix import BadRow, TrackFix

T = datetime(2024, 2, 13, 1, 30, tzinfo=timezone.utc)


class InPieces(io.BytesIO):
    """A stream that gives its content in pieces of `size` bytes, whatever is asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self.size = size

    def read(self, _: int | None = -1) -> bytes:
        return super().read(self.size)


def read(document: Any) -> list[TrackFix | BadRow]:
    return list(read_takeout(io.BytesIO(json.dumps(document).encode()), Layout()))


def record(**fields: Any) -> dict[str, Any]:
    place = {"latitudeE7": 225318000, "longitudeE7": 1141137000}
    return {"timestamp": "2024-02-13T01:30:00Z", **place, **fields}


def test_old_and_new_records_are_read() -> None:
    old = {
        "timestampMs": "1707787800000",
        "latitudeE7": 225318000,
        "longitudeE7": 1141137000,
        "accuracy": 17,
        "activity": [{"timestampMs": "1", "activity": [{"type": "STILL", "confidence": 75}]}],
    }
    new = record(accuracy=800, source="CELL", velocity=3, heading=188, altitude=89, deviceTag=-7)
    assert read({"locations": [old, new]}) == [
        TrackFix(None, T, 114.1137, 22.5318, 17.0),
        TrackFix(None, T, 114.1137, 22.5318, 800.0, "cell", 3.0, 188.0, 89.0),
    ]


@pytest.mark.parametrize(
    ("said", "source"),
    [("GPS", "gnss"), ("WIFI", "wifi"), ("cell", "cell"), ("UNKNOWN", "unknown"), (None, None)],
)
def test_the_source_of_a_record(said: str | None, source: str | None) -> None:
    (fix,) = read({"locations": [record(source=said)]})
    assert isinstance(fix, TrackFix)
    assert fix.source == source


def test_the_export_made_on_the_phone_has_positions_among_other_signals() -> None:
    document = {
        "semanticSegments": [{"timelinePath": [{"point": "1.0°, 2.0°", "time": "x"}]}],
        "rawSignals": [
            {"wifiScan": {"deliveryTime": "2024-02-13T01:30:00Z"}},
            {
                "position": {
                    "LatLng": "22.5318°, 114.1137°",
                    "accuracyMeters": 13,
                    "altitudeMeters": 12.5,
                    "source": "WIFI",
                    "timestamp": "2024-02-13T09:30:00.000+08:00",
                    "speedMetersPerSecond": 0.5,
                }
            },
            {"position": {"timestamp": "2024-02-13T09:30:00.000+08:00"}},
        ],
        "userLocationProfile": {"frequentPlaces": []},
    }
    assert read(document) == [
        TrackFix(None, T, 114.1137, 22.5318, 13.0, "wifi", 0.5, None, 12.5),
        BadRow("record 3", "no position"),
    ]


def test_negative_degrees_written_as_unsigned_are_negative() -> None:
    (fix,) = read({"locations": [record(longitudeE7=(1 << 32) - 588_000_000)]})
    assert isinstance(fix, TrackFix)
    assert fix.lon == -58.8


def test_records_that_hold_no_fix_are_told() -> None:
    rows = read(
        {
            "locations": [
                record(timestamp="once"),
                {"timestampMs": "1707787800000", "accuracy": 5},
                {"latitudeE7": 1, "longitudeE7": 1},
                record(latitudeE7="22"),
                record(accuracy=-1),
                record(latitudeE7=1_000_000_000),
                "gone",
                7,
                record(),
            ]
        }
    )
    assert [row.reason if isinstance(row, BadRow) else row.lat for row in rows] == [
        "time is not ISO 8601",
        "no position",
        "no time",
        "not a location record: Expected `int | null`, got `str` - at `$.latitudeE7`",
        "accuracy is not a length",
        "lat is not between -90 and 90",
        "not a location record: Expected `object`, got `str`",  # two strays, told as one
        22.5318,
    ]


def test_the_real_phone_is_read_whole_and_in_order(recorded: Callable[[str], Path]) -> None:
    path = recorded("phone_with_accuracy_prague.json")
    with path.open("rb") as stream:
        fixes = list(read_takeout(stream, Layout()))
    expected = json.loads(path.read_text())["locations"]
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert len(fixes) == 2039
    for fix, raw in zip(fixes, expected, strict=True):
        assert isinstance(fix, TrackFix)
        assert fix.time == epoch + timedelta(milliseconds=int(raw["timestampMs"]))
        assert (fix.lon, fix.lat) == (raw["longitudeE7"] / 1e7, raw["latitudeE7"] / 1e7)
        assert fix.accuracy_m == raw["accuracy"]
        assert fix.altitude_m == raw.get("altitude")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
records = st.dictionaries(st.text(max_size=6), json_values, max_size=4) | st.lists(json_values)


@given(
    before=json_values, wanted=st.lists(records, max_size=5), after=json_values,
    size=st.integers(1, 40), ascii_only=st.booleans(),
)  # fmt: skip
def test_elements_are_what_a_whole_parse_finds(
    before: Any, wanted: list[Any], after: Any, size: int, ascii_only: bool
) -> None:
    document = {"before": before, "locations": wanted, "after": {"locations": after}}
    content = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = [json.loads(raw) for _, raw in elements(InPieces(content, size), ("locations",))]
    assert found == wanted


@given(st.integers(1, 60), st.integers(1, 7))
def test_a_file_cut_off_anywhere_is_never_taken_for_whole(cut: int, size: int) -> None:
    content = json.dumps({"locations": [record(), record(source='a"]}\\')]}).encode()
    with pytest.raises(TrackError):
        list(elements(InPieces(content[:-cut], size), ("locations",)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"]", "never opened"),
        (b"[]", "no list 'locations' or 'rawSignals'"),
        (b'{"locations": {}}', "no list"),
        (b'{"other": [{"locations": []}]}', "no list"),
    ],
)
def test_what_is_no_location_history_is_one_clear_line(content: bytes, message: str) -> None:
    with pytest.raises(TrackError, match=message):
        list(read_takeout(io.BytesIO(content), Layout()))


def test_a_record_that_never_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "ELEMENT_LIMIT_BYTES", 1 << 20)
    content = b'{"locations": [{"x": [' + b"1," * (1 << 20)
    with pytest.raises(TrackError, match="longer than 1 MiB"):
        list(elements(io.BytesIO(content), ("locations",)))
