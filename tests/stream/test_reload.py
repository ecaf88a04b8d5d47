"""Plans and thresholds that change while the worker runs."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mainjob import eventually, judged, run
from redis.asyncio import Redis

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.intake import Raw
from geomon.settings import Settings, WatchedSettings, rules_from
from geomon.sinks.events import stream_events
from geomon.zones.index import ZoneIndex

HOME = {"lon": 114.0545, "lat": 22.5445, "accuracy_m": 12, "source": "gnss"}


def heard(person: str, ago_s: float) -> Raw:
    """A position at home that arrived some seconds ago."""
    when = datetime.fromtimestamp(time.time() - ago_s, timezone.utc).isoformat(timespec="seconds")
    upload = {
        "type": "upload",
        "supervisee_id": person,
        "device_id": "phone-1",
        "device": "phone",
        "datum": "wgs84",
        "received": when,
        "fixes": [{"time": when, **HOME}],
    }
    return Raw(msgspec.json.encode(upload), "test:1")


async def log_of(url: str) -> list[dict[str, Any]]:
    async with Redis.from_url(url) as client:
        entries: Any = await client.xrange("geomon:alerts:log")
    return [msgspec.json.decode(fields[b"event"]) for _, fields in entries]


def test_a_plan_that_becomes_stricter_while_the_worker_runs(
    zones: ZoneIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Silent for ten minutes is nothing; then the plan says five. A mistake changes none."""
    file = tmp_path / "geomon.toml"
    file.write_text("clock_slack_s = 0\n")
    watched = WatchedSettings(file=file, environment={})

    async def main() -> None:
        async with (
            embedded_parts(watched.settings) as settings,
            embedded_worker(settings, zones, watched=watched) as worker,
        ):
            before = worker.rules.version
            await stream_events(
                [heard("SZ-0001", 600)],
                settings.kafka,
                until_s=0,
                settle_s=0,
                on_rejected=lambda refused: pytest.fail(str(refused)),
            )
            await judged(worker, 2)
            assert await log_of(settings.redis) == []

            file.write_text("clock_slack_s = 0\nphone_silence_min = [5, 5]\n")

            async def warned() -> list[str]:
                return [r.getMessage() for r in caplog.records if "stay as they" in r.getMessage()]

            assert "one for each of" in (await eventually(warned, bool))[0]
            assert worker.rules.version == before

            file.write_text("clock_slack_s = 0\nphone_silence_min = 5\n")

            async def told() -> list[dict[str, Any]]:
                return await log_of(settings.redis)

            [alert] = await eventually(told, bool)
            assert (alert["data"]["kind"], alert["data"]["reason"]) == ("lost_contact", "silent")
            wanted = rules_from(Settings(phone_silence_min=[5.0, 5.0, 5.0])).version
            assert alert["data"]["rules"] == worker.rules.version == wanted != before

    with caplog.at_level(logging.INFO, logger="geomon"):
        run(main)


class Failing(WatchedSettings):
    """Settings that a defect of ours cannot take, when they are of some years."""

    def again(self) -> Settings | None:
        settings = super().again()
        if settings and settings.horizon_h > 1_000:
            raise OverflowError("too many")
        return settings


def test_whatever_a_change_of_settings_meets_the_next_one_is_taken(
    zones: ZoneIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "geomon.toml"
    file.write_text("horizon_h = 24\n")
    watched = Failing(file=file, environment={})

    async def main() -> None:
        async with (
            embedded_parts(watched.settings) as settings,
            embedded_worker(settings, zones, watched=watched) as worker,
        ):

            async def warned() -> list[str]:
                return [r.getMessage() for r in caplog.records if "stay as they" in r.getMessage()]

            async def horizon_s() -> int:
                return worker.rules.horizon_s

            file.write_text("horizon_h = 2000\n")
            assert "OverflowError" in (await eventually(warned, bool))[0]
            assert await horizon_s() == 24 * 3600
            file.write_text("horizon_h = 30\n")
            assert await eventually(horizon_s, lambda found: found != 24 * 3600) == 30 * 3600

    with caplog.at_level(logging.INFO, logger="geomon"):
        run(main)
