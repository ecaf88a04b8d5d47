"""CSV whose columns the user names."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import date, datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.errors import TrackError
from geomon.tracks.csvtrack import read_csv
from geomon.tracks.layout import Layout
from geomon.tracks.timestamps import time_reader, zone_named
from geomon.tracks.trackfix import BadRow, TrackFix

T = datetime(2024, 2, 13, 1, 30, tzinfo=timezone.utc)


def read(text: str | bytes, layout: Layout | None = None) -> list[TrackFix | BadRow]:
    content = text if isinstance(text, bytes) else text.encode()
    return list(read_csv(io.BytesIO(content), layout or Layout()))


def test_columns_have_their_plain_names_unless_told_otherwise() -> None:
    assert read("lat,lon,note,time\n22.5,114.1,x,2024-02-13T09:30:00+08:00\n") == [
        TrackFix(None, T, 114.1, 22.5)
    ]


def test_every_column_can_be_named() -> None:
    layout = Layout(
        time="t",
        lon="x",
        lat="y",
        track_id="who",
        accuracy="r",
        source="by",
        speed="v",
        heading="h",
        altitude="z",
    )
    rows = read(
        "who,t,x,y,r,by,v,h,z\n"
        "A,2024-02-13T01:30:00Z,114.1,22.5,12,GPS,1.5,90,30\n"
        "B,2024-02-13T01:30:00Z,114.1,22.5,,WiFi,,,\n"
        "B,2024-02-13T01:30:00Z,114.1,22.5,0,fused,-1,-1,n/a\n",
        layout,
    )
    assert rows == [
        TrackFix("A", T, 114.1, 22.5, 12.0, "gnss", 1.5, 90.0, 30.0),
        TrackFix("B", T, 114.1, 22.5, None, "wifi"),
        TrackFix("B", T, 114.1, 22.5, None, "unknown"),
    ]


@pytest.mark.parametrize(("unit", "speed_mps"), [("mps", 36.0), ("kmh", 10.0), ("knots", 18.52)])
def test_speed_is_turned_into_metres_a_second(unit: str, speed_mps: float) -> None:
    layout = Layout(speed="v", speed_unit=unit)
    (fix,) = read("time,lon,lat,v\n2024-02-13T01:30:00Z,114.1,22.5,36\n", layout)
    assert isinstance(fix, TrackFix)
    assert fix.speed_mps == pytest.approx(speed_mps)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_seen_in_the_first_line(delimiter: str) -> None:
    text = "time,lon,lat\n2024-02-13T01:30:00Z,114.1,22.5\n".replace(",", delimiter)
    assert read(text) == [TrackFix(None, T, 114.1, 22.5)]


def test_without_a_header_columns_are_numbers_from_1() -> None:
    layout = Layout(time="3", lon="1", lat="2", header=False)
    assert read("114.1,22.5,2024-02-13T01:30:00Z\n", layout) == [TrackFix(None, T, 114.1, 22.5)]
    with pytest.raises(TrackError, match="--time-column NUMBER"):
        read("114.1,22.5,2024-02-13T01:30:00Z\n", Layout(header=False))


def test_a_time_of_day_takes_the_day_and_zone_it_is_given() -> None:
    read_time = time_reader(day=date(2013, 10, 22), zone=zone_named("+08:00"))
    (fix,) = read("time,lon,lat\n07:59:59,114.1,22.5\n", Layout(read_time=read_time))
    assert isinstance(fix, TrackFix)
    assert fix.time == datetime(2013, 10, 21, 23, 59, 59, tzinfo=timezone.utc)


def test_bad_rows_are_told_with_line_and_reason_and_the_good_ones_go_on() -> None:
    layout = Layout(track_id="id", accuracy="acc")
    lines = [
        "id,time,lon,lat,acc",
        "A,2024-02-13T01:30:00Z,114.1,22.5,5",
        "A,,114.1,22.5,5",
        "A,2024-02-13T01:30:00,114.1,22.5,5",
        "A,2024-02-13T01:30:00Z,nan,22.5,5",
        "A,2024-02-13T01:30:00Z,114.1,91,5",
        "A,2024-02-13T01:30:00Z,114.1,inf,5",
        "",
        "A,2024-02-13T01:30:00Z,,,5",
        "A,2024-02-13T01:30:00Z,east,22.5,5",
        "A,2024-02-13T01:30:00Z,114.1,22.5,-5",
        "A,2024-02-13T01:30:00Z,114.1,22.5,near",
        ",2024-02-13T01:30:00Z,114.1,22.5,5",
        "A,2024-02-13T01:30:00Z,114.1",
        "A,2024-02-13T01:30:00Z,114.1,22.5,5",
    ]
    rows = read("\n".join(lines), layout)
    good = TrackFix("A", T, 114.1, 22.5, 5.0)
    assert rows == [
        good,
        BadRow("line 3", "no time"),
        BadRow("line 4", "time has no offset and no time zone was given (--timezone)"),
        BadRow("line 5", "lon is not between -180 and 180"),
        BadRow("line 6", "lat is not between -90 and 90"),
        BadRow("line 7", "lat is not between -90 and 90"),
        BadRow("line 9", "no position"),
        BadRow("line 10", "lon is not a number"),
        BadRow("line 11", "accuracy is not a length"),
        BadRow("line 12", "accuracy is not a number"),
        BadRow("line 13", "no id"),
        BadRow("line 14", "too few columns"),
        good,
    ]


def test_a_stray_quote_says_how_many_lines_it_swallowed() -> None:
    rows = read('time,lon,lat\n"2024-02-13T01:30:00Z,114.1,22.5\nb,1,2\nc",1,2\n')
    assert rows == [BadRow("lines 2-4", "time is not ISO 8601")]


def test_a_quote_that_never_closes_is_bounded_and_reading_goes_on() -> None:
    line = "2024-02-13T01:30:00Z,114.1,22.5\n"
    rows = read('time,lon,lat\n"' + line * 10_000)
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert bad[0].where.startswith("lines 2-")
    assert any(isinstance(row, TrackFix) for row in rows)


def test_chinese_columns_are_read_in_their_encoding() -> None:
    layout = Layout(time="时间", lon="经度", lat="纬度", track_id="车牌")
    content = "车牌,时间,经度,纬度\n粤B1,2024-02-13T01:30:00Z,114.1,22.5\n".encode("gb18030")
    assert read(content, replace(layout, encoding="gb18030")) == [TrackFix("粤B1", T, 114.1, 22.5)]
    with pytest.raises(TrackError, match="no column '时间'"):
        read(content, layout)


def test_an_id_with_lost_characters_is_not_merged_with_its_likes() -> None:
    content = "id,time,lon,lat\n粤B1,2024-02-13T01:30:00Z,114.1,22.5\n".encode("gb18030")
    assert read(content, Layout(track_id="id")) == [BadRow("line 2", "id is not text in utf-8")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "first line is empty"),
        (b"t,x,y\n", "no column 'time'; it has t, x, y .name it with --time-column"),
        (b"\x7fELF\0\0,\n", "not text"),
        ("time,lon,lat\n".encode("utf-16"), "not text"),
    ],
)
def test_a_file_that_is_no_such_csv_is_one_clear_line(content: bytes, message: str) -> None:
    with pytest.raises(TrackError, match=message):
        read(content)


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    assert len(read("\ufefftime,lon,lat\n2024-02-13T01:30:00Z,114.1,22.5\n")) == 1


fixes = st.builds(
    TrackFix,
    track_id=st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1
    ).filter(lambda text: "\N{REPLACEMENT CHARACTER}" not in text),
    time=st.datetimes(datetime(1971, 1, 2), datetime(2100, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001
    lon=st.floats(-180, 180).filter(bool),
    lat=st.floats(-90, 90),
    accuracy_m=st.none() | st.floats(0.001, 1e6),
    **dict.fromkeys(("source", "speed_mps", "heading_deg", "altitude_m"), st.none()),
)


@given(st.lists(fixes))
def test_any_fixes_written_as_csv_are_read_back(written: list[TrackFix]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["time", "id", "lat", "lon", "acc"])
    for fix in written:
        writer.writerow([fix.time.isoformat(), fix.track_id, fix.lat, fix.lon, fix.accuracy_m])
    layout = Layout(track_id="id", accuracy="acc")
    assert read(text.getvalue(), layout) == written
