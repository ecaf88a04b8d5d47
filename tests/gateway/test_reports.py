"""Reports written as the contract's events, and what they lean on: limits and the locator."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geomon import decoding, events
from geomon.errors import SettingsError
from geomon.gateway.limits import Buckets, Limits, network_of
from geomon.gateway.locator import FileLocator
from geomon.gateway.registry import Device
from geomon.gateway.reports import (
    AccessPoint,
    CheckedIn,
    Position,
    Report,
    Tower,
    events_of,
)

NOON = datetime(2024, 2, 13, 4, 0, tzinfo=timezone.utc)
BAND = Device(device_id="band-17", supervisee_id="SZ-0001", device="wristband", datum="gcj02")
HERE = Position(NOON, 114.0579, 22.5431, "gnss", 12.0)


def read(raw: bytes) -> events.Upload:
    event, refused = decoding.decode(raw)
    assert refused == []
    assert isinstance(event, events.Upload)
    return event


# -- events ---------------------------------------------------------------------------------------


def test_a_whole_report_is_an_upload_of_the_contract() -> None:
    report = Report(
        positions=[HERE],
        battery_pct=71.0,
        charging=True,
        strap="closed",
        case="closed",
        power="off",
        stored=True,
        seq=9,
        towers=[Tower(460, 0, 9365, 4611, "lte", -71.0, NOON)],
        access_points=[AccessPoint("00:14:22:01:23:45", -60.0)],
        signs=["SOS"],
    )
    (raw,) = events_of(report, BAND, NOON, protocol="jt808")
    assert msgspec.json.decode(raw) == {
        "type": "upload",
        "supervisee_id": "SZ-0001",
        "device_id": "band-17",
        "device": "wristband",
        "received": "2024-02-13T04:00:00Z",
        "fixes": [
            {
                "time": "2024-02-13T04:00:00Z",
                "lon": 114.0579,
                "lat": 22.5431,
                "source": "gnss",
                "accuracy_m": 12.0,
            }
        ],
        "datum": "gcj02",
        "battery_pct": 71.0,
        "charging": True,
        "strap": "closed",
        "case": "closed",
        "power": "off",
        "stored": True,
        "seq": 9,
        "cells": [
            {"mcc": 460, "mnc": 0, "lac": 9365, "cell": 4611}
            | {"radio": "lte", "signal_dbm": -71.0, "time": "2024-02-13T04:00:00Z"}
        ],
        "wifi": [{"bssid": "00:14:22:01:23:45", "signal_dbm": -60.0}],
        "device_signs": ["SOS"],
        "protocol": "jt808",
    }
    assert read(raw).fixes[0].accuracy_m == 12.0


def test_nothing_to_say_is_a_heartbeat() -> None:
    (raw,) = events_of(Report(), BAND, NOON)
    assert read(raw).fixes == []


def test_what_the_device_declares_goes_before_the_registry() -> None:
    (raw,) = events_of(Report(positions=[HERE], datum="bd09"), BAND, NOON)
    assert read(raw).datum == "bd09"


def test_a_datum_that_nobody_declares_stays_unsaid() -> None:
    bare = msgspec.structs.replace(BAND, datum=None)
    (raw,) = events_of(Report(positions=[HERE]), bare, NOON)
    assert "datum" not in msgspec.json.decode(raw)


def test_a_check_in_is_an_event_beside_the_upload() -> None:
    _, raw = events_of(Report(check_in=CheckedIn(NOON, verified=True)), BAND, NOON)
    event, _ = decoding.decode(raw)
    assert isinstance(event, events.CheckIn)
    assert (event.device_id, event.verified) == ("band-17", True)


@settings(deadline=None)
@given(
    positions=st.integers(0, 5_000),
    towers=st.integers(0, 30_000),
    stored=st.booleans(),
)
def test_a_backlog_is_cut_into_events_that_the_contract_takes(
    positions: int, towers: int, stored: bool
) -> None:
    report = Report(
        positions=[
            Position(NOON + timedelta(seconds=n), 114.0, 22.5, "gnss") for n in range(positions)
        ],
        towers=[Tower(460, 0, 9365, n) for n in range(towers)],
        stored=stored,
        battery_pct=50.0,
    )
    raws = events_of(report, BAND, NOON)
    assert all(len(raw) <= events.MAX_BYTES for raw in raws)
    uploads = [read(raw) for raw in raws]
    assert [fix.time for upload in uploads for fix in upload.fixes] == [
        p.time for p in report.positions
    ]
    assert all((u.stored, u.battery_pct) == (stored, 50) for u in uploads)
    cells = [c["cell"] for raw in raws for c in msgspec.json.decode(raw).get("cells", [])]
    assert cells == list(range(towers))


def test_however_much_a_device_says_besides_the_event_is_taken() -> None:
    (raw,) = events_of(Report(signs=["哎" * 100_000] * 1_000), BAND, NOON)
    assert len(raw) < events.MAX_BYTES


# -- limits ---------------------------------------------------------------------------------------


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    buckets = Buckets(rate=2.0, burst=3.0)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.5) == 0.0
    assert buckets.take("a", 0.5) == 0.5
    assert [buckets.take("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    buckets = Buckets(rate=1.0, burst=2.0)
    assert buckets.take("a", 100.0) == 0.0
    assert buckets.take("a", 50.0) == 0.0
    assert buckets.take("a", 50.0) == 1.0


def test_what_costs_more_than_a_burst_waits_for_a_full_bucket() -> None:
    buckets = Buckets(rate=1.0, burst=10.0)
    assert buckets.take("a", 0.0, cost=5.0) == 0.0
    assert buckets.take("a", 4.0, cost=1_000.0) == 1.0


def test_what_costs_more_than_a_burst_leaves_a_debt() -> None:
    buckets = Buckets(rate=1.0, burst=10.0)
    assert buckets.take("a", 0.0, cost=1_000.0) == 0.0
    assert buckets.take("a", 4.0) == 987.0
    assert buckets.take("a", 991.0) == 0.0


def test_after_a_clock_is_set_back_a_bucket_fills_from_then_on() -> None:
    buckets = Buckets(rate=1.0, burst=2.0)
    assert buckets.take("a", 28_800.0, cost=2.0) == 0.0
    assert buckets.take("a", 0.0) == 1.0
    assert buckets.take("a", 1.0) == 0.0


def test_no_rate_is_no_limit_and_no_memory() -> None:
    buckets = Buckets(rate=0.0, burst=1.0)
    assert [buckets.take("a", 0.0) for _ in range(100)] == [0.0] * 100
    assert len(buckets) == 0


def test_buckets_do_not_grow_without_end() -> None:
    buckets = Buckets(rate=1.0, burst=2.0, most=10)
    for n in range(1_000):
        buckets.take(f"device-{n}", 0.0)
    assert len(buckets) == 10


def test_a_wrong_secret_costs_its_address_more_than_a_request() -> None:
    limits = Limits(device_rate=1, device_burst=1, address_rate=1, address_burst=12)
    assert limits.address("192.0.2.7", 0.0) == 0.0
    limits.blame("192.0.2.7", 0.0)
    assert limits.address("192.0.2.7", 0.0) == 0.0
    assert limits.address("192.0.2.7", 0.0) > 0.0
    assert limits.address("192.0.2.8", 0.0) == 0.0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "unknown"),
        ("x:y", "x:y"),
    ],
)
def test_an_ipv6_customer_is_a_network(address: str, network: str) -> None:
    assert network_of(address) == network


# -- the locator ----------------------------------------------------------------------------------

SITES = """kind,id,lon,lat,accuracy_m
cell,460-0-9365-4611,114.0500,22.5400,800
cell,460-0-9365-4612,114.0600,22.5400,300
wifi,00:14:22:01:23:45,114.0579,22.5431,30
wifi,00-14-22-01-23-46,114.0581,22.5431,40
wifi,001422012347,113.7520,23.0205,20
"""
NEAR, NEARBY, FAR = (AccessPoint(f"00:14:22:01:23:4{n}") for n in (5, 6, 7))
WIDE, NARROW, UNKNOWN = (Tower(460, 0, 9365, n) for n in (4611, 4612, 1))


@pytest.fixture
def locator(tmp_path: Path) -> FileLocator:
    path = tmp_path / "sites.csv"
    path.write_text(SITES, "utf-8-sig")
    return FileLocator(path)


def test_of_several_towers_the_most_exact_says_where(locator: FileLocator) -> None:
    found = locator.locate([UNKNOWN, WIDE, NARROW], [], NOON)
    assert found == Position(NOON, 114.06, 22.54, "cell", 300.0)


def test_access_points_that_agree_go_before_towers(locator: FileLocator) -> None:
    found = locator.locate([NARROW], [NEAR, NEARBY], NOON)
    assert found == Position(NOON, 114.0579, 22.5431, "wifi", 30.0)


def test_one_access_point_alone_or_two_that_disagree_say_nothing(locator: FileLocator) -> None:
    assert locator.locate([], [NEAR], NOON) is None
    assert locator.locate([], [NEAR, FAR], NOON) is None
    found = locator.locate([WIDE], [NEAR, FAR], NOON)
    assert found is not None
    assert found.source == "cell"


def test_what_is_not_on_record_is_never_made_up(locator: FileLocator) -> None:
    assert locator.locate([UNKNOWN], [AccessPoint("aa:bb:cc:dd:ee:ff")], NOON) is None
    assert locator.locate([], [], NOON) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the first line must be kind,id,lon,lat,accuracy_m"),
        ("id,kind,lat,lon\n", "the first line must be"),
        ("kind,id,lon,lat,accuracy_m\ncell,460-0-1,1,2,3\n", r"sites\.csv:2: not cell or wifi"),
        ("kind,id,lon,lat,accuracy_m\nwifi,nonsense,1,2,3\n", r":2: not"),
        ("kind,id,lon,lat,accuracy_m\ncell,1-1-1-1,22.5,114.0,3\n", r":2: not"),
        ("kind,id,lon,lat,accuracy_m\ncell,1-1-1-1,nan,1,3\n", r":2: not"),
        ("kind,id,lon,lat,accuracy_m\ncell,1-1-1-1,1,1,0\n", r":2: not"),
        ("kind,id,lon,lat,accuracy_m\ncell,1-1-1-1,1\n", r":2: not"),
        ("kind,id,lon,lat,accuracy_m\nlora,1-1-1-1,1,1,1\n", r":2: not"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "sites.csv"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        FileLocator(path)
    with pytest.raises(SettingsError):
        FileLocator(tmp_path / "none.csv")
