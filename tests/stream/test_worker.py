"""The Faust worker over a Kafka-protocol broker and a real Redis server: the main job, whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from everykind import BAD, everything
from mainjob import (
    PATIENCE_S,
    RECORDING,
    eventually,
    judged,
    judged_in_turn,
    lines_of,
    log_of,
    producer_of,
    replayed,
    run,
    send,
    topic_of,
)
from redis.asyncio import Redis

from geomon.alerts import KINDS
from geomon.cases import CASES
from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.errors import SettingsError, UnavailableError
from geomon.intake import Raw
from geomon.refusals import REASONS
from geomon.settings import Settings, rules_from
from geomon.stream.worker import Worker
from geomon.topics import ALERTS, EVENTS, REJECTED
from geomon.zones.index import ZoneIndex


def test_the_three_cases_come_out_as_in_a_replay(zones: ZoneIndex) -> None:
    lines = lines_of(*CASES)
    wanted = replayed(zones, lines, RECORDING)
    assert wanted

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                await judged(worker, await send(settings, lines))
            log = await log_of(settings)
            # Between people any order will do; of one person it is the order of what happened.
            assert sorted(log, key=msgspec.json.encode) == sorted(wanted, key=msgspec.json.encode)
            for whose in {alert["subject"] for alert in wanted}:
                ids = [alert["id"] for alert in log if alert["subject"] == whose]
                assert ids == [alert["id"] for alert in wanted if alert["subject"] == whose]
            alerts = await topic_of(settings, ALERTS, len(wanted))
            assert all(key.decode() == alert["subject"] for key, alert in alerts)
            assert {alert["id"] for _, alert in alerts} == {alert["id"] for alert in wanted}

    run(main)


@pytest.mark.parametrize("url", ["redis:6379", "redis://h:port/0", ""])
def test_a_worker_with_a_redis_that_is_no_url_says_so(url: str, zones: ZoneIndex) -> None:
    with pytest.raises(SettingsError, match="Redis URL"):
        Worker(Settings(redis=url), zones)


def test_a_worker_without_a_folder_for_its_files_says_so(zones: ZoneIndex, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    async def main() -> None:
        for folder in (file, file / "below"):
            worker = Worker(Settings(data_dir=str(folder), kafka="127.0.0.1:1"), zones)
            with pytest.raises(SettingsError, match=r"data_dir .*file is no folder"):
                async with worker.running():
                    pass

    run(main)


def test_every_type_of_event_and_kind_of_alert_comes_out_as_in_a_replay(zones: ZoneIndex) -> None:
    lines = everything()
    wanted = replayed(zones, lines, RECORDING)
    assert {alert["data"]["kind"] for alert in wanted} == set(KINDS)

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                await judged(worker, await send(settings, lines))
                assert worker.rejections == {"faked_position": 1}
            log = await log_of(settings)
            assert sorted(alert["id"] for alert in log) == sorted(a["id"] for a in wanted)
            assert sorted(log, key=msgspec.json.encode) == sorted(wanted, key=msgspec.json.encode)
            for whose in {alert["subject"] for alert in wanted}:
                ids = [alert["id"] for alert in log if alert["subject"] == whose]
                assert ids == [alert["id"] for alert in wanted if alert["subject"] == whose]
            # What is open in the end is what Redis shows as present.
            last = {alert["data"]["episode"]: alert for alert in wanted}
            still = [a for a in last.values() if a["data"]["phase"] != "closed"]
            assert {alert["data"]["kind"] for alert in still} > {"spoofing", "missed_check_in"}
            async with Redis.from_url(settings.redis) as redis:
                for alert in still:
                    present: Any = await redis.hgetall(f"geomon:open:{alert['subject']}")
                    kind = alert["data"]["kind"].encode()
                    assert msgspec.json.decode(present[kind]) == alert

    run(main)


def test_a_worker_that_takes_over_knows_zones_orders_and_signs(zones: ZoneIndex) -> None:
    """Cut anywhere, all that is kept of a person travels by the changelog."""
    lines = everything()
    wanted = sorted(alert["id"] for alert in replayed(zones, lines, RECORDING))
    # While a zone is entered, contact lost, a strap open and a leave running; and a day later.
    cuts = [len(lines) // 3, 2 * len(lines) // 3]
    clocks = [
        msgspec.json.encode({"type": "clock", "supervisee_id": whose, "received": end})
        for end in (replay_end(lines),)
        for whose in sorted({msgspec.json.decode(raw.data)["supervisee_id"] for raw in lines})
    ]
    parts = [lines[: cuts[0]], lines[cuts[0] : cuts[1]], lines[cuts[1] :]]
    parts[-1] += [Raw(clock, "end") for clock in clocks]

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            told = await judged_in_turn(settings, zones, parts, len(wanted))
            assert sorted(told) == wanted

    run(main)


def replay_end(lines: Iterable[Raw]) -> datetime:
    """When a replay in process lets all clocks have come to."""
    newest: str = max(
        (msgspec.json.decode(raw.data)["received"] for raw in lines), key=datetime.fromisoformat
    )
    return datetime.fromisoformat(newest) + timedelta(seconds=RECORDING.settle_s)


def test_the_same_recording_sent_twice_is_told_once(zones: ZoneIndex) -> None:
    lines = lines_of("A")
    wanted = [alert["id"] for alert in replayed(zones, lines, RECORDING)]

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                first = await send(settings, lines)
                await judged(worker, first + await send(settings, lines))
            assert [alert["id"] for alert in await log_of(settings)] == wanted

    run(main)


def test_a_worker_that_takes_over_goes_on_where_the_last_one_stopped(zones: ZoneIndex) -> None:
    """The state is recovered from the changelog: the absence was seen by the first worker only."""
    lines = lines_of("C")
    wanted = [alert["id"] for alert in replayed(zones, lines, RECORDING)]
    back = next(at for at, raw in enumerate(lines) if b'"2024-02-13T12:' in raw.data[:400])

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            told = await judged_in_turn(settings, zones, (lines[:back], lines[back:]), len(wanted))
            assert told == wanted

    run(main)


def test_a_worker_that_cannot_make_an_alert_safe_ends_and_the_next_one_tells_it(
    zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of("C")
    wanted = [alert["id"] for alert in replayed(zones, lines, RECORDING)]

    async def refuse(topic: str, *_: Any) -> None:
        raise RuntimeError(f"{topic} takes nothing")

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            sent = await send(settings, lines)
            async with embedded_worker(settings, zones) as worker:
                with monkeypatch.context() as patch:
                    patch.setattr(worker._outbox, "send", refuse)
                    with pytest.raises(UnavailableError, match="RuntimeError"):
                        await worker.until_stopped(asyncio.Event())
                assert worker.counts["events"] < sent
            async with embedded_worker(settings, zones) as worker:
                await eventually(lambda: log_of(settings), lambda log: len(log) >= len(wanted))
                for alert in await topic_of(settings, ALERTS, len(wanted)):
                    assert alert[1]["id"] in wanted
            assert [alert["id"] for alert in await log_of(settings)] == wanted

    run(main)


def a_leave_that_ends(until: datetime) -> list[bytes]:
    """Someone is on leave in Henan, and seen there minutes ago."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    permit = {
        "type": "permit",
        "supervisee_id": "SZ-0042",
        "permit_id": "L-1",
        "kind": "leave",
        "from": now - timedelta(days=2),
        "until": until,
        "destinations": ["410000"],
        "received": now - timedelta(days=3),
    }
    away = {
        "type": "upload",
        "supervisee_id": "SZ-0042",
        "device_id": "phone-1",
        "device": "phone",
        "datum": "wgs84",
        "received": now,
        "fixes": [
            {
                "time": now - timedelta(minutes=minutes),
                "lon": 114.0,
                "lat": 34.0,
                "accuracy_m": 20,
                "source": "gnss",
            }
            for minutes in (0, 5, 10)
        ],
    }
    return [msgspec.json.encode(permit), msgspec.json.encode(away)]


LIVE = Settings(clock="wall", clock_slack_s=0.0, overdue_grace_min=[0.0] * 3, settle_s=0)


def in_seconds(seconds: int) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=seconds)


async def assert_overdue(settings: Settings, until: datetime) -> None:
    [alert] = await eventually(lambda: log_of(settings), lambda log: len(log) > 0)
    assert alert["data"]["kind"] == "overdue_return"
    assert alert["data"]["since"] == until.strftime("%Y-%m-%dT%H:%M:%SZ")
    async with Redis.from_url(settings.redis) as redis:
        present: Any = await redis.hgetall("geomon:open:SZ-0042")
    assert msgspec.json.decode(present[b"overdue_return"]) == alert


def test_a_leave_that_ends_while_the_phone_is_silent_is_overdue_by_the_clock(
    zones: ZoneIndex,
) -> None:
    """No message arrives after the leave has ended: only the worker's own clock can tell."""

    async def main() -> None:
        async with (
            embedded_parts(LIVE) as settings,
            embedded_worker(settings, zones),
            producer_of(settings) as producer,
        ):
            until = in_seconds(3)
            for event in a_leave_that_ends(until):
                await producer.send_and_wait(EVENTS, event, key=b"SZ-0042")
            await assert_overdue(settings, until)

    run(main)


def test_a_deadline_that_falls_due_while_no_worker_runs_is_told_by_the_next_one(
    zones: ZoneIndex,
) -> None:
    """Nothing arrives for the second worker: it knows of the leave from the recovered state."""

    async def main() -> None:
        async with embedded_parts(LIVE) as settings:
            async with embedded_worker(settings, zones) as worker:
                until = in_seconds(8)
                async with producer_of(settings) as producer:
                    for event in a_leave_that_ends(until):
                        await producer.send_and_wait(EVENTS, event, key=b"SZ-0042")
                await judged(worker, 2)
            assert await log_of(settings) == []
            async with embedded_worker(settings, zones):
                await assert_overdue(settings, until)

    run(main)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def a_word(whose: str, device: str, **fields: Any) -> bytes:
    """A heartbeat that arrives now."""
    event = {
        "type": "upload",
        "supervisee_id": whose,
        "device_id": f"{device}-1",
        "device": device,
        "received": datetime.now(timezone.utc).replace(microsecond=0),
        "fixes": [],
    }
    return msgspec.json.encode(event | fields)


def test_silence_is_lost_contact_by_the_workers_timer(zones: ZoneIndex) -> None:
    """Nothing arrives any more: for a band told after 3 s, for a phone after 6, then as out."""
    settings = replace(
        LIVE,
        band_silence_min=[3 / 60] * 3,
        phone_silence_min=[6 / 60] * 3,
        out_of_supervision_h=[9 / 3600] * 3,
    )
    rules = rules_from(settings)
    assert rules.plans[1].silence_s == (6, 3)
    assert rules.plans[1].out_of_supervision_s == 9

    async def main() -> None:
        async with (
            embedded_parts(settings) as running,
            embedded_worker(running, zones),
            producer_of(running) as producer,
        ):
            band = a_word("SZ-0051", "wristband", battery_pct=70)
            phone = a_word("SZ-0052", "phone", battery_pct=2)
            for key, word in ((b"SZ-0051", band), (b"SZ-0052", phone)):
                await producer.send_and_wait(EVENTS, word, key=key)
            log = await eventually(lambda: log_of(running), lambda log: len(log) >= 5)
            heard = {
                "SZ-0051": msgspec.json.decode(band)["received"],
                "SZ-0052": msgspec.json.decode(phone)["received"],
            }
            told = {(a["subject"], a["data"]["kind"]) for a in log}
            assert told == {
                *(("SZ-0051", "lost_contact"), ("SZ-0052", "lost_contact")),
                ("SZ-0052", "low_battery"),
            }
            lost = [a["data"] for a in log if a["data"]["kind"] == "lost_contact"]
            for whose, reason, after_s in (
                ("SZ-0051", "silent", 3),
                ("SZ-0052", "battery_died", 6),
            ):
                opened, out = (d for d in lost if d["episode"].startswith(whose))
                since = moment(heard[whose])
                assert moment(opened["since"]) == since
                assert opened["reason"] == reason
                assert moment(opened["detected"]) - since >= timedelta(seconds=after_s)
                assert (out["phase"], out["reason"]) == ("updated", "out_of_supervision")
                assert out["out_of_supervision_since"] == opened["since"]
                assert out["proposal"]["ground"] == "out_of_supervision"
                # What it followed from: a battery that had been low.
                assert (opened["cause"] or "").startswith(f"{whose}/low_battery/") == (
                    reason == "battery_died"
                )
            # And a word closes it, at its own time.
            await producer.send_and_wait(EVENTS, a_word("SZ-0051", "wristband"), key=b"SZ-0051")

            def closed(log: list[dict[str, Any]]) -> bool:
                return any(a["data"]["reason"] == "heard_again" for a in log)

            log = await eventually(lambda: log_of(running), closed)
            [again] = [a for a in log if a["data"]["phase"] == "closed"]
            assert again["id"].startswith("SZ-0051/lost_contact/")
            async with Redis.from_url(running.redis) as redis:
                assert await redis.hgetall("geomon:open:SZ-0051") == {}

    run(main)


def test_silence_that_began_before_the_worker_is_told_by_the_next_one(zones: ZoneIndex) -> None:
    settings = replace(LIVE, band_silence_min=[8 / 60] * 3)

    async def main() -> None:
        async with embedded_parts(settings) as running:
            word = a_word("SZ-0051", "wristband")
            async with embedded_worker(running, zones) as worker:
                async with producer_of(running) as producer:
                    await producer.send_and_wait(EVENTS, word, key=b"SZ-0051")
                await judged(worker, 1)
            assert await log_of(running) == []
            async with embedded_worker(running, zones):
                [alert] = await eventually(lambda: log_of(running), lambda log: len(log) > 0)
                assert alert["data"]["reason"] == "silent"

    run(main)


def test_partitions_that_move_while_an_alert_is_delivered_take_no_deadline_with_them(
    zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged then is not kept; the leave of somebody else must end all the same."""

    async def main() -> None:
        async with (
            embedded_parts(LIVE) as settings,
            embedded_worker(settings, zones) as worker,
            producer_of(settings) as producer,
        ):
            deliver = worker._sink.deliver_until_done
            moved = asyncio.Event()

            async def move_and_deliver(*alerts: Any, **options: Any) -> int:
                if not moved.is_set():
                    await worker._revoked()
                    await worker._recovered()
                    moved.set()
                return await deliver(*alerts, **options)

            monkeypatch.setattr(worker._sink, "deliver_until_done", move_and_deliver)
            until = in_seconds(5)
            permit, away = a_leave_that_ends(until)
            for event in (permit, away):
                await producer.send_and_wait(EVENTS, event, key=b"SZ-0042")
            await judged(worker, 2)
            stray = away.replace(b"SZ-0042", b"SZ-0043")  # the same journey, without leave
            await producer.send_and_wait(EVENTS, stray, key=b"SZ-0043")
            await asyncio.wait_for(moved.wait(), PATIENCE_S)
            log = await eventually(lambda: log_of(settings), lambda log: len(log) >= 2)
            assert [(a["subject"], a["data"]["kind"]) for a in log] == [
                ("SZ-0043", "leave_city"),
                ("SZ-0042", "overdue_return"),
            ]

    run(main)


def test_bad_messages_are_refused_with_a_reason_and_the_stream_goes_on(zones: ZoneIndex) -> None:
    bad = {
        "broken_json": b"{",
        "not_utf8": b"\xff\xfe",
        # 10 MB are tested on a replay: the embedded broker keeps only 5 MB of a partition.
        "too_large": b'{"x":"' + b"a" * (2 << 20) + b'"}',
        "too_deep": b"[" * 5000,
        "key_mismatch": b'{"type":"clock","supervisee_id":"B","received":"2024-02-13T09:30:05Z"}',
    }
    good = lines_of("A")
    wanted = [alert["id"] for alert in replayed(zones, good, RECORDING)]

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                async with producer_of(settings) as producer:
                    for message in bad.values():
                        await producer.send_and_wait(EVENTS, message, key=b"SZ-0001")
                    # A message without key or value is somebody's mistake as well.
                    await producer.send_and_wait(EVENTS, None, key=b"SZ-0001")
                    await producer.send_and_wait(EVENTS, good[0].data)
                await judged(worker, len(bad) + 2 + await send(settings, good))
                assert sum(worker.rejections.values()) == len(bad) + 2
            records = [r for _, r in await topic_of(settings, REJECTED, len(bad) + 2)]
            # The one without a key may come by another partition, and so at any time.
            reasons = sorted(record["reason"] for record in records)
            assert reasons == sorted([*bad, "broken_json", "key_mismatch"])
            assert all(record["where"].startswith(EVENTS + "/") for record in records)
            assert [alert["id"] for alert in await log_of(settings)] == wanted

    run(main)


def test_what_is_refused_of_the_newer_events_is_told_with_its_reason(zones: ZoneIndex) -> None:
    """Refused while decoding, by its shape, by the core, or one fix of an upload alone."""
    good = everything()
    wanted = sorted(alert["id"] for alert in replayed(zones, good, RECORDING))

    async def main() -> None:
        async with embedded_parts(RECORDING) as settings:
            async with embedded_worker(settings, zones) as worker:
                async with producer_of(settings) as producer:
                    for event, _ in BAD:
                        message = msgspec.json.encode(event)
                        await producer.send_and_wait(EVENTS, message, key=b"SZ-0199")
                await judged(worker, len(BAD) + await send(settings, good))
                # With what was good there is one more: the fix that a phone says is faked.
                assert worker.rejections.total() == len(BAD) + 1
            records = [r for _, r in await topic_of(settings, REJECTED, len(BAD) + 1)]
            # Of a batch, what is not let in is told before what the core will not judge.
            mine = sorted(
                (record for record in records if record["supervisee_id"] != "SZ-0106"),
                key=lambda record: int(record["where"].rpartition("/")[2]),
            )
            assert [record["reason"] for record in mine] == [reason for _, reason in BAD]
            for record in mine:
                assert record["meaning"] == REASONS[record["reason"]][0]
                assert record["where"].startswith(EVENTS + "/")
                assert msgspec.json.decode(record["message"])["type"]
            # Nothing has come of it, but that a phone said that it fakes.
            told = sorted(alert["id"] for alert in await log_of(settings))
            assert [name for name in told if not name.startswith("SZ-0199")] == wanted
            assert [name for name in told if name.startswith("SZ-0199")] == [
                "SZ-0199/spoofing/2024-02-12T01:00:00Z#1"
            ]

    run(main)
