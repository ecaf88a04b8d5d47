"""From a band's bytes to an alert in Redis: the gateway, a broker, the worker, as they run."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
from realkafka import create_topics, forget_topics
from reception import Reception, device, eventually, reception, run
from redis.asyncio import Redis
from terminal808 import Terminal, batch, position
from test_gt06 import IMEI, place, write
from test_gt06 import LOGIN as GT06_LOGIN

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.embedded.kafka import KafkaCluster
from geomon.settings import Settings
from geomon.topics import EVENTS, REJECTED
from geomon.zones.index import ZoneIndex

NUMBER = "13912344329"
R16H = "356823031235028"
BANDS = [
    device(NUMBER, supervisee_id="SZ-0808", auth_code="open-sesame", model="B5 strap=17"),
    device(IMEI, supervisee_id="SZ-0006", model="GT06N"),
    device(R16H, supervisee_id="SZ-0016", model="R16H"),
]
for _band in BANDS:
    _band |= {"device": "wristband", "datum": "wgs84", "secrets": []}
SHENZHEN, HUIZHOU = (114.0579, 22.5431), (114.4160, 23.1120)


def port(here: Reception, protocol: str) -> int:
    return int(here.gateway.listeners[protocol].where.rpartition(":")[2])


def a_day_out(now: datetime) -> list[tuple[datetime, float, float]]:
    """An hour at home, an hour on the road, and half an hour in another city, to a minute ago."""
    return [
        (now - timedelta(minutes=ago), *(SHENZHEN if ago > 90 else HUIZHOU))
        for ago in (*range(150, 90, -2), *range(30, 0, -2))
    ]


async def alerts_of(settings: Settings) -> list[dict[str, Any]]:
    async with Redis.from_url(settings.redis) as redis:
        entries: Any = await redis.xrange("geomon:alerts:log")
        return [msgspec.json.decode(fields[b"event"])["data"] for _, fields in entries]


async def jt808(here: Reception, now: datetime) -> None:
    terminal = Terminal(NUMBER, edition=2019)
    await terminal.sign_in("127.0.0.1", port(here, "jt808"))
    bodies = [position(time, lon, lat, kmh=3.6) for time, lon, lat in a_day_out(now)]
    stored = batch(bodies[:-1], stored=True)
    assert {answer.result for answer in await terminal.tell(0x0704, stored)} == {0}
    assert (await terminal.ask(0x0200, bodies[-1])).result == 0
    cut = position(now, *HUIZHOU, alarm=1 << 17, items=[(0xD4, b"\x09"), (0x31, b"\x0b")])
    assert (await terminal.ask(0x0200, cut)).result == 0
    # What is sent again, because an answer was lost, changes nothing.
    assert {answer.result for answer in await terminal.tell(0x0704, stored, 300)} == {0}
    assert (await terminal.ask(0x0200, cut)).result == 0
    await terminal.disconnect()


async def gt06(here: Reception, now: datetime) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port(here, "gt06"))
    writer.write(GT06_LOGIN)
    assert await reader.readexactly(10) == write(0x01, b"", 1)
    removed = place(now, *SHENZHEN) + bytes([1, 0x04, 4, 4, 0x13, 1])
    writer.write(write(0x26, removed, 2))
    assert await reader.readexactly(10) == write(0x26, b"", 2)
    writer.close()
    await writer.wait_closed()


async def r16h(here: Reception, now: datetime) -> None:
    """Send what was kept, and then a sign of life for as long as the test lasts."""
    _, writer = await asyncio.open_connection("127.0.0.1", port(here, "r16h"))
    try:
        for time, lon, lat in a_day_out(now):
            writer.write(
                f"@GPSD,{R16H},S,{time:%Y%m%d,%H%M%S},{lat:.5f},N,{lon:.5f},E,3,0,9,71,L,$".encode()
            )
        while True:
            writer.write(f"@LINK,{R16H}$".encode())
            await asyncio.sleep(0.2)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def test_bands_that_are_cut_off_or_leave_the_city_are_told(
    tmp_path: Path, zones: ZoneIndex
) -> None:
    async def main() -> None:
        now = datetime.now(timezone.utc).replace(microsecond=0)
        async with (
            embedded_parts(Settings(clock="recording", settle_s=1)) as settings,
            embedded_worker(settings, zones),
            reception(
                tmp_path,
                BANDS,
                kafka=settings.kafka,
                gateway_jt808="127.0.0.1:0",
                gateway_gt06="127.0.0.1:0",
                gateway_r16h="127.0.0.1:0",
            ) as here,
        ):
            beating = asyncio.create_task(r16h(here, now))
            await asyncio.gather(jt808(here, now), gt06(here, now))
            wanted = {
                ("SZ-0808", "tamper"),
                ("SZ-0808", "low_battery"),
                ("SZ-0808", "leave_city"),
                ("SZ-0006", "tamper"),
                ("SZ-0016", "leave_city"),
            }

            def told(alerts: list[dict[str, Any]]) -> set[tuple[str, str]]:
                return {(one["episode"].partition("/")[0], one["kind"]) for one in alerts}

            try:
                alerts = await eventually(
                    lambda: alerts_of(settings), lambda alerts: told(alerts) >= wanted
                )
            finally:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)
            opened = [one["episode"] for one in alerts if one["phase"] == "opened"]
            assert len(opened) == len(set(opened))
            left = [one for one in alerts if one["kind"] == "leave_city"]
            assert {one["place"] for one in left} == {"441300"}
            assert await here.rejected() == []
            assert here.counted("jt808", "accepted") == 5
            assert here.counted("gt06", "accepted") == 1
            assert (here.counted("r16h", "accepted") or 0) > 45

    run(main)


def test_while_kafka_stands_still_a_band_gets_no_answer_and_then_gets_it(
    tmp_path: Path, kafka: KafkaCluster
) -> None:
    async def main() -> None:
        await forget_topics(kafka.bootstrap)
        await create_topics(kafka.bootstrap, {EVENTS: 2, REJECTED: 1})
        async with reception(
            tmp_path,
            BANDS,
            kafka=kafka.bootstrap,
            gateway_jt808="127.0.0.1:0",
            gateway_publish_s=1.0,
        ) as here:
            terminal = Terminal(NUMBER)
            await terminal.sign_in("127.0.0.1", port(here, "jt808"))
            assert (await terminal.ask(0x0002)).result == 0
            kafka.pause(1)
            try:
                where = position(datetime.now(timezone.utc), *SHENZHEN)
                serial, wire = terminal.message(0x0200, where)
                await terminal.send(wire)
                await eventually(
                    lambda: here.counted("jt808", "busy"), lambda times: (times or 0) >= 2
                )
            finally:
                kafka.resume(1)
            answer = await terminal.answer()
            assert (answer.answers, answer.result) == (serial, 0)
            await terminal.disconnect()
            # It may be there twice, which changes nothing: the device and the time are the same.
            uploads = [event for event in await here.events() if event["fixes"]]
            assert uploads
            assert len({(one["device_id"], one["fixes"][0]["time"]) for one in uploads}) == 1

    run(main)
