"""`geomon demo`: the whole of it in one program, with nothing installed beforehand."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from geomon.alerts import KINDS
from geomon.cases import CASES, expected, recording_path
from geomon.cli.board import alert_line, heading
from geomon.cli.output import talk
from geomon.decoding import parse_time
from geomon.errors import GeomonError, UnavailableError
from geomon.intake import Raw, Rejected
from geomon.replay import open_recording, read_recording
from geomon.settings import Settings
from geomon.zones.index import ZoneIndex, zones_for

if TYPE_CHECKING:
    from geomon.stream.worker import Worker

__all__ = ["demo"]

#: How far from the truth a case's `since` and `until` may be found.
TOLERANCE_S = 15 * 60
TITLES = {
    "A": "left without leave for sixteen days 未经批准离深十六天",
    "B": "not back when the leave ended 假期届满逾期未归",
    "C": "out and back on one day 未经批准离深当日返回",
}
#: The demo is stuck, not slow, when nothing has moved for this long.
_STUCK_S = 60.0


@click.command()
@click.option(
    "--case", "cases", type=click.Choice(CASES), multiple=True, help="Only this one; repeatable."
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for the picture and the alerts.",
)
def demo(cases: tuple[str, ...], folder: Path) -> None:
    """Run three recorded cases through Kafka protocol, Faust and Redis, and draw them.

    Broker and Redis are started for it and are gone at the end. The broker is for trying out: it
    keeps everything in memory. For real work use `geomon worker` with Kafka.

    \b
    Example:
      geomon demo --case B --out /tmp/demo
    """
    chosen = tuple(case for case in CASES if not cases or case in cases)
    talk.print("geomon demo: Faust, an embedded Kafka-protocol broker and a Redis server.")
    talk.print("This broker is for trying out: all in memory, and gone when the demo ends.\n")
    logging.getLogger("faust").setLevel(logging.ERROR)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    zones = zones_for(Settings.city)
    try:
        alerts = asyncio.run(_run(chosen, zones))
    except ImportError as error:
        raise UnavailableError(f"{error.name} is missing: pip install 'geomon[demo]'") from None
    wrong = _compare(chosen, alerts)
    _keep(chosen, alerts, zones, folder)
    if wrong:
        raise GeomonDemoError("the alerts are not those that the cases call for")


class GeomonDemoError(UnavailableError):
    """The demo ran and its outcome is not what it should be."""


async def _run(cases: tuple[str, ...], zones: ZoneIndex) -> list[dict[str, Any]]:
    """Send the cases through the topic; show the alerts as a subscriber finds them in Redis."""
    from geomon.embedded.house import embedded_parts, embedded_worker  # noqa: PLC0415
    from geomon.sinks.events import stream_events  # noqa: PLC0415

    def refuse(rejected: Rejected) -> None:
        raise GeomonDemoError(f"{rejected.raw.where}: {rejected.reason}")

    alerts: list[dict[str, Any]] = []
    # Ctrl-C is a wish to end that is looked at between two reads. To cancel the reading instead is
    # not enough: in 16 of 300 tries the Redis client took the cancellation for an answer.
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    async with (
        embedded_parts(Settings(clock="recording")) as settings,
        embedded_worker(settings, zones) as worker,
    ):
        talk.print(f"broker {settings.kafka}, Redis {settings.redis}\n")
        click.echo(heading())

        async def send() -> int:
            # One by one: each case's clock stands still where its recording ends.
            return sum(
                [
                    await stream_events(
                        _lines((case,)), settings.kafka, until_s=0, settle_s=0, on_rejected=refuse
                    )
                    for case in cases
                ]
            )

        sending = asyncio.ensure_future(send())
        try:
            async for alert in _subscribe(settings.redis, worker, sending, stop):
                alerts.append(alert)
                click.echo(alert_line(alert))
                if stop.is_set():
                    break
        finally:
            sending.cancel()
        if stop.is_set():
            raise KeyboardInterrupt
        talk.print(f"\n{worker.counts['events']:,} events judged, {len(alerts)} alerts")
    return alerts


async def _subscribe(
    url: str, worker: Worker, sending: asyncio.Future[int], stop: asyncio.Event
) -> AsyncIterator[dict[str, Any]]:
    """Read the alert log in Redis until the worker has judged all that was sent."""
    from redis.asyncio import Redis  # noqa: PLC0415

    from geomon.sinks.redis import log_key  # noqa: PLC0415

    at: bytes | str = "0"
    shown, moved, judged = 0, asyncio.get_running_loop().time(), -1
    async with Redis.from_url(url) as redis:
        while not stop.is_set():
            # Asked before the log is read, so that nothing can come between.
            done = sending.done() and worker.counts["events"] >= sending.result()
            entries: Any = await redis.xread({log_key(): at}, block=200)
            for _, found in entries:
                for log_id, fields in found:
                    at = log_id
                    shown += 1
                    yield msgspec.json.decode(fields[b"event"])
            if done and not entries and shown >= worker.counts["alerts"]:
                return
            now = asyncio.get_running_loop().time()
            if worker.counts["events"] != judged:
                judged, moved = worker.counts["events"], now
            elif now - moved > _STUCK_S:
                raise GeomonDemoError(f"nothing has moved for {_STUCK_S:.0f} s: is it overloaded?")


def _lines(cases: tuple[str, ...]) -> Iterator[Raw]:
    for case in cases:
        with ExitStack() as stack:
            stream = stack.enter_context(open_recording(str(recording_path(case))))
            yield from read_recording(stream, f"case {case}")


def _compare(cases: tuple[str, ...], alerts: list[dict[str, Any]]) -> bool:
    """Print what was found beside the truth; say whether they differ."""
    truth = expected()
    wrong = False
    talk.print("\nAgainst the truth of the cases:")
    for case in cases:
        whose = truth[case]["supervisee_id"]
        everything = {a["data"]["episode"]: a["data"] for a in alerts if a["subject"] == whose}
        wanted = truth[case]["episodes"]
        # Silence, low batteries and missed check-ins have causes of their own in the recordings.
        strict = {*truth[case]["never"], *(want["kind"] for want in wanted)}
        found = {name: data for name, data in everything.items() if data["kind"] in strict}
        right = len(found) == len(wanted) and all(
            _matches(data, want) for data, want in zip(found.values(), wanted, strict=True)
        )
        wrong |= not right
        for data in found.values():
            label = KINDS[data["kind"]].label_zh
            talk.print(
                f"  {'right' if right else 'WRONG'}  case {case}: {TITLES[case]}\n"
                f"         {data['kind']} {label}, {data['since']} to {data['until']}"
            )
        if not found:
            talk.print(f"  WRONG  case {case}: nothing was found")
        others = Counter(d["kind"] for name, d in everything.items() if name not in found)
        if others:
            text = ", ".join(f"{KINDS[k].label_en} {n}" for k, n in sorted(others.items()))
            talk.print(f"         beside it: {text}")
    return wrong


def _matches(data: dict[str, Any], want: dict[str, str]) -> bool:
    def apart_s(name: str) -> float:
        if data[name] is None:
            return float("inf")
        return abs((parse_time(data[name]) - parse_time(want[name])).total_seconds())

    return data["kind"] == want["kind"] and max(apart_s("since"), apart_s("until")) <= TOLERANCE_S


def _keep(
    cases: tuple[str, ...], alerts: list[dict[str, Any]], zones: ZoneIndex, folder: Path
) -> None:
    """Write the alerts and draw the picture."""
    from geomon.picture import draw_html, draw_png, stories_from  # noqa: PLC0415
    from geomon.zones.files import read_zone_file, zone_directory  # noqa: PLC0415

    truth = expected()
    titles = {truth[case]["supervisee_id"]: f"Case {case}: {TITLES[case]}" for case in cases}
    stories = stories_from((raw.data for raw in _lines(cases)), alerts, titles)
    districts, places = (
        [(f.adcode, f.name, f.geometry) for f in read_zone_file(zone_directory() / name).features]
        for name in (f"districts-{Settings.city}.geojson", "places.geojson")
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "alerts.ndjson").write_bytes(
            b"".join(msgspec.json.encode(alert) + b"\n" for alert in alerts)
        )
        draw_html(stories, zones.city_geometry, districts, places, folder / "map.html")
        draw_png(stories, zones.city_geometry, districts, places, folder / "map.png")
    except OSError as error:
        raise UnavailableError(f"{folder}: {error.strerror or error}") from None
    except GeomonError as error:
        talk.print(f"no picture: {error}")
    talk.print(f"\nPicture: {folder / 'map.html'} (opens offline) and {folder / 'map.png'}")
    talk.print(f"Alerts:  {folder / 'alerts.ndjson'}")
