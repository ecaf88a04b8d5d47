"""Requests to devices through the worker: on `geomon.commands`, and as safe as alerts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mainjob import RECORDING, eventually, judged, run, send, topic_of

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.errors import UnavailableError
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.settings import Settings, WatchedSettings, rules_from
from geomon.topics import COMMANDS
from geomon.zones.index import ZoneIndex

ASKING = replace(RECORDING, ask_interval_s=[60.0] * 3)
HOME, ACROSS = (114.0545, 22.5445), (114.079, 22.5165)


def seen(whose: str, at: str, where: tuple[float, float] = HOME, **fields: Any) -> Raw:
    """A phone's position, which arrives at once."""
    when = f"2024-02-13T{at}:00+08:00"
    fix = {"time": when, "lon": where[0], "lat": where[1], "accuracy_m": 12, "source": "gnss"}
    upload = {
        "type": "upload",
        "supervisee_id": whose,
        "device_id": f"phone-{whose}",
        "device": "phone",
        "datum": "wgs84",
        "received": when,
        "fixes": [fix],
        **fields,
    }
    return Raw(msgspec.json.encode(upload), f"{whose}:{at}")


def morning(whose: str) -> list[Raw]:
    """At home, and then one position 600 m across the river: there and back, or nothing at all?"""
    return [*(seen(whose, f"{hour:02}:00") for hour in (6, 7, 8)), seen(whose, "08:30", ACROSS)]


#: One stays across, one is back at home, one's phone tells of it late, and one never was there.
LINES = [
    *morning("SZ-0071"),
    seen("SZ-0071", "08:31", ACROSS),
    seen("SZ-0071", "09:30", ACROSS),
    *morning("SZ-0072"),
    seen("SZ-0072", "08:31"),
    *morning("SZ-0073")[:3],
    seen("SZ-0073", "08:30", ACROSS, stored=True),
    seen("SZ-0073", "09:30"),
    *(seen("SZ-0074", f"{hour:02}:00") for hour in range(6, 20)),
]


def replayed(zones: ZoneIndex, lines: Iterable[Raw], settings: Settings) -> list[dict[str, Any]]:
    """The commands of a replay in process, as they would be read."""
    replay = Replay(Intake(zones), rules_from(settings), commands=True)
    told = [*replay.feed(lines), *replay.finish()]
    commands = [event for event in told if event["type"] == "geomon.command.report"]
    assert len(commands) == sum(replay.commands.values())
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(commands))
    return found


def test_commands_come_out_as_in_a_replay(zones: ZoneIndex) -> None:
    wanted = replayed(zones, LINES, ASKING)
    assert [command["id"] for command in wanted] == [
        "SZ-0071/report/phone/2024-02-13T00:30:00Z",
        "SZ-0072/report/phone/2024-02-13T00:30:00Z",
        "SZ-0073/report/phone/2024-02-13T00:30:45Z",
    ]

    async def main() -> None:
        async with embedded_parts(ASKING) as settings:
            async with embedded_worker(settings, zones) as worker:
                await judged(worker, await send(settings, LINES))
                counted = worker.vitals.metrics.collect()
            found = await topic_of(settings, COMMANDS, len(wanted))
            assert all(key.decode() == command["subject"] for key, command in found)
            by_id = sorted((command for _, command in found), key=lambda c: str(c["id"]))
            assert by_id == sorted(wanted, key=lambda c: str(c["id"]))
            told = next(f for f in counted if f.name == "geomon_commands")
            assert sum(sample.value for sample in told.samples) == len(wanted)

    run(main)


def test_a_replay_gives_alerts_alone_unless_it_is_asked_for_commands(zones: ZoneIndex) -> None:
    plain = Replay(Intake(zones), rules_from(ASKING))
    told = [*plain.feed(LINES), *plain.finish()]
    assert plain.commands == {"turning": 3}
    assert {event["type"].rpartition(".")[0] for event in told} == {"geomon.alert"}


def test_by_default_nobody_is_asked(zones: ZoneIndex) -> None:
    assert replayed(zones, LINES, RECORDING) == []


def test_a_worker_that_cannot_make_a_command_safe_ends_and_the_next_one_tells_it(
    zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {command["id"] for command in replayed(zones, LINES, ASKING)}

    async def main() -> None:
        async with embedded_parts(ASKING) as settings:
            await send(settings, LINES)
            async with embedded_worker(settings, zones) as worker:
                outbox_send = worker._outbox.send

                async def refuse(topic: str, messages: Any) -> None:
                    if topic == COMMANDS:
                        raise RuntimeError(f"{topic} takes nothing")
                    await outbox_send(topic, messages)

                with monkeypatch.context() as patch:
                    patch.setattr(worker._outbox, "send", refuse)
                    with pytest.raises(UnavailableError, match="RuntimeError"):
                        await worker.until_stopped(asyncio.Event())
            async with embedded_worker(settings, zones):
                found = await topic_of(settings, COMMANDS, len(wanted))
            assert {command["id"] for _, command in found} == wanted

    run(main)


def test_a_plan_that_asks_is_not_taken_while_there_is_no_topic(
    zones: ZoneIndex,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command to a topic that is not there would wait for ever, and all alerts behind it."""
    file = tmp_path / "geomon.toml"
    file.write_text("settle_s = 45\n")
    watched = WatchedSettings(file=file, environment={})

    async def main() -> None:
        async with (
            embedded_parts(watched.settings) as settings,
            embedded_worker(settings, zones, watched=watched) as worker,
        ):

            async def asks() -> bool:
                return worker.rules.asks

            with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
                patch.setattr("geomon.stream.worker.COMMANDS", "geomon.nowhere")
                file.write_text("settle_s = 45\nask_interval_s = 60\n")

                async def said() -> str:
                    return caplog.text

                await eventually(said, lambda text: "there is no topic geomon.nowhere" in text)
                assert not worker.rules.asks
            file.write_text("settle_s = 45\nask_interval_s = [60, 60, 60]\n")
            await eventually(asks, bool)

    run(main)
