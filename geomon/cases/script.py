"""Make the recordings of the three cases: `python -m geomon.cases.script [--out DIR]`.

Writes `a.ndjson.gz`, `b.ndjson.gz`, `c.ndjson.gz` (events in order of arrival) and `expected.json`
(what really happened). The same seed gives the same lines on every supported Python, and the same
bytes where zlib is the same: all chance comes from `random.Random`, coordinates are whole
millionths of a degree, times whole seconds, and the gzip header carries no time. Nothing here knows
how geomon decides; shared with it are the datums and the boundary, against which the noise-free
path is laid to find the true moments of crossing.

The noise, with its numbers and reasons:

- **Accuracy** is a radius at 68 %, as the contract has it, and most fixes keep it: a plane normal
  error with that radius. Satellite 5-30 m (median 9 m outdoors, 20 m by a window or in a train),
  WiFi 20-100 m (median 38 m). 8 % of both are 2.2 times worse than they say, as devices are
  hopeful. Errors persist: satellite error fades over 150 s (multipath wanders), WiFi error over 25
  minutes (the same access points are heard), so that averaging many fixes does not cancel them.
- **Cell** fixes are the position of the serving mast, not of the phone. Masts stand 600 m apart
  around the city and 2.2 km apart far from it; the strongest of nine serves, with log-normal
  shadowing of 0.35. A phone at rest thus hops between two to four fixed points, which repeat
  exactly. Accuracy 200-3000 m, log-normal (0.4) about 0.7 of the spacing; 70-95 % keep it. Near
  the river a mast may well stand beyond it.
- **Cell jumps**: now and then a mast far off serves, over water or a hill (Hong Kong, Dongguan),
  1.5-5 km away and up to about twice its stated accuracy: single ones, and bursts of three or
  four within some 20 minutes with fixes at home between them.
- **Multipath outliers**: single satellite fixes 180-290 m off that claim 8-25 m (street canyons).
- **What is measured** depends on how the person moves: indoors mostly WiFi, outdoors mostly
  satellite, underground cell, WiFi or nothing, in a village more cell. Nothing measured is a
  heartbeat: an upload without fixes.
- **Pace**: a phone every 10-15 minutes, 20-40 in the small hours, every 45-75 (case A) or 25-45
  (case B) in the village, where the system lets the app sleep; every 3 minutes while cells change.
  Some nights it is switched off. A wristband every minute (case C) or two (case B); at rest it
  sends five fixes at a time, moving it sends each at once.
- **Delay**: a phone's upload takes 1-5 s (80 %), up to a minute (17 %) or up to five (3 %); a
  wristband's 1-5 s (96 %) or up to a minute. One upload in a hundred arrives twice, mostly within
  40 s, one in five of these after 1-3 hours. Without coverage for one to six hours, fixes are kept
  and sent when it is back, after the first live fix, oldest or newest first.
- **Battery**: a phone loses 3.5 % an hour and is charged at night; one forgotten night empties it
  about noon of the next day. A wristband is charged for 90 minutes each evening.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
from shapely import contains_xy, prepare
from shapely.geometry.base import BaseGeometry

from geomon.cases.device import Arrival, local_text
from geomon.cases.itineraries import case_a, case_b, case_c
from geomon.cases.journey import Spot, clock, crossings
from geomon.cases.outline import Case
from geomon.errors import UserError
from geomon.zones.files import read_zone_file, zone_directory

__all__ = ["SEED", "build", "city_test", "main", "record", "truth", "write"]

#: Chosen among some hundreds: with it each phone has a satellite fix within 15 minutes on both
#: sides of each crossing. With most others a crossing falls among cell fixes, and then nobody could
#: name its moment to the 15 minutes that the replay of these cases is held to.
SEED = 20240683

#: The end of case B's leave: 24:00 on 2024-02-09 in China.
_LEAVE_B_ENDS = clock("02-10 00:00")

_BUILDERS: dict[str, Callable[[random.Random], Case]] = {"A": case_a, "B": case_b, "C": case_c}


def build(case: str) -> Case:
    """The case's plan: its times vary with `SEED` alone. KeyError for an unknown case."""
    return _BUILDERS[case](random.Random(f"{SEED} {case} plan"))  # noqa: S311


def record(case: str) -> bytes:
    """One case as NDJSON (UTF-8), one event a line, lines in order of arrival."""
    plan = build(case)
    arrivals: list[Arrival] = list(plan.papers)
    for device in plan.devices:
        arrivals += device.record(plan.journey, f"{SEED} {case} {device.device_id}")
    # What has not arrived when the recording ends is not in it. Python's sort is stable, so that
    # events of one second keep the order in which they were sent.
    arrivals = [arrival for arrival in arrivals if arrival.received < plan.window.end]
    arrivals.sort(key=lambda arrival: arrival.received)
    end = {
        "type": "clock",
        "supervisee_id": plan.supervisee_id,
        "received": local_text(plan.window.end),
    }
    events = [arrival.event for arrival in arrivals] + [end]
    lines = (json.dumps(e, ensure_ascii=False, separators=(",", ":")) + "\n" for e in events)
    return "".join(lines).encode()


def truth(inside: Callable[[Spot], bool]) -> dict[str, Any]:
    """What really happened in every case, given a test of being inside the city.

    The form is that of `geomon.cases.expected`. Raises ValueError when a person's true path does
    not leave the city exactly once and come back: the case would mean something else.
    """
    found: dict[str, Any] = {}
    for case in _BUILDERS:
        plan = build(case)
        left, back = _absence(crossings(plan.journey, inside, plan.window), case)
        kind, since = ("overdue_return", _LEAVE_B_ENDS) if case == "B" else ("leave_city", left)
        found[case] = {
            "supervisee_id": plan.supervisee_id,
            "episodes": [{"kind": kind, "since": _utc_text(since), "until": _utc_text(back)}],
            "left_city": _utc_text(left),
            "never": list(plan.never),
        }
    return found


def city_test(city: BaseGeometry) -> Callable[[Spot], bool]:
    """A test of being inside a WGS-84 polygon."""
    prepare(city)
    return lambda spot: bool(contains_xy(city, spot.lon, spot.lat))


def write(folder: Path, inside: Callable[[Spot], bool]) -> None:
    """Write the three recordings and `expected.json` into a folder, making it if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in _BUILDERS:
        packed = io.BytesIO()
        # GzipFile and not gzip.compress: the latter writes another header from Python 3.11 on.
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
            stream.write(record(case))
        (folder / f"{case.lower()}.ndjson.gz").write_bytes(packed.getvalue())
    text = json.dumps(truth(inside), indent=2, ensure_ascii=False) + "\n"
    (folder / "expected.json").write_text(text, "utf-8")


def _absence(moments: Sequence[tuple[datetime, bool]], case: str) -> tuple[datetime, datetime]:
    if [now_inside for _, now_inside in moments] != [False, True]:
        raise ValueError(f"case {case} does not leave the city exactly once and return: {moments}")
    return moments[0][0], moments[1][0]


def _utc_text(time: datetime) -> str:
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).parent / "recordings",
    help="Folder to write to; the package's own by default.",
)
def main(out: Path) -> None:
    """Make the recordings of cases A, B and C and their expected alerts."""
    try:
        city = read_zone_file(zone_directory() / "city-440300.geojson").features[0].geometry
        write(out, city_test(city))
    except UserError as error:
        click.echo(f"geomon: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
