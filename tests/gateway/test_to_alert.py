"""From a phone's request to an alert in Redis, through Kafka and the worker that judges."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
from reception import TOKEN, device, eventually, reception, run
from redis.asyncio import Redis

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.settings import Settings
from geomon.zones.index import ZoneIndex

DONGGUAN_GCJ02 = (113.7520, 23.0205)  # the city's centre, as AMap has it
SHENZHEN = (114.0579, 22.5431)


async def alerts_in(url: str) -> list[dict[str, Any]]:
    async with Redis.from_url(url) as redis:
        entries: Any = await redis.xrange("geomon:alerts:log")
    return [msgspec.json.decode(fields[b"event"]) for _, fields in entries]


def test_who_is_seen_twice_beyond_the_line_is_told_and_who_is_not_is_not(
    zones: ZoneIndex, tmp_path: Path
) -> None:
    async def main() -> None:
        devices = [
            device(datum="gcj02"),
            device("phone-4", supervisee_id="SZ-0004"),
        ]
        async with (
            embedded_parts(Settings(clock="wall", clock_slack_s=0.0)) as settings,
            embedded_worker(settings, zones) as worker,
            reception(tmp_path, devices, kafka=settings.kafka) as here,
        ):
            for ago_s in (600, 300, 0):
                for phone, (lon, lat) in (("phone-3", DONGGUAN_GCJ02), ("phone-4", SHENZHEN)):
                    query = (
                        f"?token={TOKEN}&id={phone}&lat={lat}&lon={lon}&accuracy=15&batt=80"
                        f"&timestamp={int(time.time()) - ago_s}"
                    )
                    async with here.client.post(f"{here.url}/osmand{query}") as answer:
                        assert answer.status == 200
            await eventually(lambda: worker.counts["events"], lambda judged: judged >= 6)
            found = await eventually(lambda: alerts_in(settings.redis), lambda told: len(told) > 0)
            assert {alert["subject"] for alert in found} == {"SZ-0001"}
            assert found[0]["type"] == "geomon.alert.opened"
            data = found[0]["data"]
            assert (data["kind"], data["place"]) == ("leave_city", "441900")
            # The contract's evidence is the fixes as they came: in the phone's own datum.
            assert DONGGUAN_GCJ02[0] in data["evidence"][0].values()

    run(main)
