"""Delivery to a Redis that refuses, fails, goes away or dies: nothing by half, nothing twice."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from delivery import alert, deliver, logged, present, with_sink
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from geomon.embedded.redis import EmbeddedRedis
from geomon.sinks.redis import CHUNK, RedisSink, log_key, why


def test_an_alert_that_fails_stops_those_after_it_and_none_is_half_delivered(
    server: EmbeddedRedis, client: Any
) -> None:
    before, blocked, after = (alert(1, person=f"SZ-{p}") for p in "123")
    client.set("geomon:open:SZ-2", "another program's")

    with pytest.raises(RedisError, match=r"WRONGTYPE geomon:open:SZ-2 is a string"):
        deliver(server, before, blocked, after)
    assert logged(client) == [before["id"]]
    assert not client.exists("geomon:delivered:SZ-2", "geomon:delivered:SZ-3", "geomon:open:SZ-3")

    client.delete("geomon:open:SZ-2")
    assert deliver(server, before, blocked, after) == 2
    assert logged(client) == [before["id"], blocked["id"], after["id"]]


def test_a_failed_chunk_stops_the_chunks_after_it(server: EmbeddedRedis, client: Any) -> None:
    alerts = [alert(1, person=f"SZ-{p}") for p in range(2 * CHUNK + 5)]
    client.set("geomon:open:SZ-3", "another program's")
    with pytest.raises(RedisError, match="WRONGTYPE"):
        deliver(server, *alerts)
    assert logged(client) == [a["id"] for a in alerts[:3]]
    client.delete("geomon:open:SZ-3")
    assert deliver(server, *alerts) == len(alerts) - 3
    assert logged(client) == [a["id"] for a in alerts]


def test_a_redis_out_of_memory_takes_nothing_by_half_and_is_named(
    server: EmbeddedRedis, client: Any
) -> None:
    troubles: list[str] = []

    def mend(trouble: str) -> None:
        troubles.append(trouble)
        assert client.keys("geomon:*") == []
        client.config_set("maxmemory", "0")

    client.config_set("maxmemory", "1")
    try:
        count = with_sink(
            server.url, lambda sink: sink.deliver_until_done([alert(1)], on_trouble=mend)
        )
    finally:
        client.config_set("maxmemory", "0")
    assert count == 1
    assert logged(client) == [alert(1)["id"]]
    [trouble] = troubles
    assert "raise maxmemory" in trouble
    assert "1 alerts wait" in trouble
    assert "\n" not in trouble


@asynccontextmanager
async def as_user(client: Any, server: EmbeddedRedis, *rights: str) -> AsyncIterator[str]:
    client.execute_command("ACL", "SETUSER", "worker", "on", ">secret", *rights)
    try:
        yield server.url.replace("unix://", "unix://worker:secret@")
    finally:
        client.execute_command("ACL", "DELUSER", "worker")


def test_without_the_right_to_publish_the_record_is_kept_and_one_warning_given(
    server: EmbeddedRedis, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with as_user(client, server, "~*", "+@all", "-publish", "resetchannels") as url:
            sink = RedisSink(url)
            try:
                assert await sink.deliver([alert(1)]) == 1
                assert await sink.deliver([alert(2, "updated")]) == 1
            finally:
                await sink.close()

    with caplog.at_level(logging.WARNING, "geomon.sinks.redis"):
        asyncio.run(run())
    assert len(logged(client)) == 2
    [warning] = [r.getMessage() for r in caplog.records if r.name == "geomon.sinks.redis"]
    assert "logged but not published" in warning
    assert "secret" not in warning


def test_without_the_right_to_log_nothing_counts_as_delivered(
    server: EmbeddedRedis, client: Any
) -> None:
    deliver(server, alert(1))
    before = client.hgetall("geomon:delivered:SZ-0001"), client.hgetall("geomon:open:SZ-0001")

    async def run() -> None:
        async with as_user(client, server, "~*", "&*", "+@all", "-xadd") as url:
            sink = RedisSink(url)
            try:
                with pytest.raises(RedisError) as refused:
                    await sink.deliver([alert(2, "closed")])
                assert "lacks a right" in why(refused.value)
            finally:
                await sink.close()

    asyncio.run(run())
    after = client.hgetall("geomon:delivered:SZ-0001"), client.hgetall("geomon:open:SZ-0001")
    assert after == before
    assert deliver(server, alert(2, "closed")) == 1


@asynccontextmanager
async def deaf_line(path: str, cut: Callable[[bytes], bool]) -> AsyncIterator[str]:
    """A way to the server that goes dead instead of bringing back the answers that `cut` picks."""
    with tempfile.TemporaryDirectory(prefix="geomon-line-") as folder:

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            up, down = await asyncio.open_unix_connection(path)

            async def forward() -> None:
                while data := await reader.read(65536):
                    down.write(data)
                    await down.drain()

            sending = asyncio.ensure_future(forward())
            try:
                while answer := await up.read(65536):
                    if cut(answer):
                        break
                    writer.write(answer)
                    await writer.drain()
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending
                for end in (writer, down):
                    end.close()
                    with suppress(OSError):
                        await end.wait_closed()

        line = await asyncio.start_unix_server(carry, f"{folder}/redis.sock")
        try:
            yield f"unix://{folder}/redis.sock"
        finally:
            line.close()


def test_when_the_answer_is_lost_the_retry_repeats_nothing(
    server: EmbeddedRedis, client: Any
) -> None:
    alerts = [alert(n, person=f"SZ-{p}") for n in (1, 2) for p in range(200)]
    lost: list[bytes] = []
    troubles: list[str] = []

    def cut(answer: bytes) -> bool:
        # Each answer of the script, "*2 :count ...", three times: the sink's own second try fails
        # too, so that its longer waiting is tried as well.
        if answer.startswith(b"*2\r\n:") and len(lost) < 3:
            lost.append(answer)
            return True
        return False

    async def run() -> int:
        async with deaf_line(server.url.removeprefix("unix://"), cut) as url:
            sink = RedisSink(url)
            try:
                return await sink.deliver_until_done(alerts, on_trouble=troubles.append)
            finally:
                await sink.close()

    count = asyncio.run(run())
    assert len(lost) == 3
    assert len(troubles) >= 1
    assert count < len(alerts), "the answers that were lost are not counted"
    assert logged(client) == [a["id"] for a in alerts]


def test_connections_killed_again_and_again_lose_and_repeat_nothing(
    server: EmbeddedRedis, client: Any
) -> None:
    alerts = [alert(n, person=f"SZ-{p}") for n in (1, 2, 3) for p in range(300)]
    turns = random.Random(20240213)  # noqa: S311
    killed = 0

    async def run(sink: RedisSink) -> None:
        nonlocal killed
        for at in range(0, len(alerts), 30):
            batch = alerts[at : at + 30]
            work = asyncio.ensure_future(sink.deliver_until_done(batch, on_trouble=lambda _: None))
            # So many turns of the loop further on: in another place of the exchange each time.
            for _ in range(turns.randrange(12)):
                await asyncio.sleep(0)
            killed += client.client_kill_filter(_type="normal", skipme=True)
            await work

    with_sink(server.url, run)
    assert killed >= 10
    assert logged(client) == [a["id"] for a in alerts]


def test_a_redis_killed_in_the_middle_and_started_again_has_every_alert_once(
    tmp_path: Path,
) -> None:
    alerts = [alert(n, person=f"SZ-{p}") for n in (1, 2, 3) for p in range(200)]
    troubles: list[str] = []
    first, second = EmbeddedRedis(directory=tmp_path), EmbeddedRedis(directory=tmp_path)

    async def run() -> None:
        sink = RedisSink(first.url)
        down = asyncio.Event()

        def note(trouble: str) -> None:
            troubles.append(trouble)
            down.set()

        async def work() -> None:
            for at in range(0, len(alerts), 5):
                await sink.deliver_until_done(alerts[at : at + 5], on_trouble=note)
                if at == 200:
                    os.kill(first.pid, signal.SIGKILL)

        working = asyncio.ensure_future(work())
        try:
            await asyncio.wait_for(down.wait(), 10)
            await asyncio.to_thread(first.stop)
            await asyncio.to_thread(second.start)
            await asyncio.wait_for(working, 30)
        finally:
            working.cancel()
            await sink.close()

    first.start()
    try:
        asyncio.run(run())
        with redis.Redis.from_url(second.url, decode_responses=True) as client:
            assert logged(client) == [a["id"] for a in alerts]
            assert present(client, "SZ-7") == {"leave_city": alert(3, person="SZ-7")["id"]}
    finally:
        first.stop()
        second.stop()
    assert "5 alerts wait" in troubles[0]


def test_while_redis_is_away_the_pauses_grow_to_ten_seconds_and_never_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    troubles: list[str] = []

    async def no_waiting(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 40:
            raise asyncio.CancelledError

    monkeypatch.setattr("geomon.sinks.redis.asyncio.sleep", no_waiting)
    with pytest.raises(asyncio.CancelledError):
        with_sink(
            f"unix://{tmp_path}/nobody.sock",
            lambda sink: sink.deliver_until_done([alert(1)], on_trouble=troubles.append),
        )
    assert 0.05 <= pauses[0] <= 0.1
    assert all(5.0 <= pause <= 10.0 for pause in pauses[10:])
    assert len(set(pauses[10:])) > 20, "jitter, so that workers do not come back all at once"
    assert len(troubles) == 40
    assert "nobody.sock" in troubles[0]


def test_deliver_alone_reports_a_redis_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(RedisConnectionError):
        with_sink(f"unix://{tmp_path}/nobody.sock", lambda sink: sink.deliver([alert(1)]))
    with pytest.raises(RedisConnectionError):
        with_sink(f"unix://{tmp_path}/nobody.sock", lambda sink: sink.ping())


def test_what_waiting_does_not_heal_is_told_with_what_does(
    server: EmbeddedRedis, client: Any
) -> None:
    def refusal(use: Callable[[RedisSink], Awaitable[Any]], url: str = server.url) -> str:
        with pytest.raises(RedisError) as refused:
            with_sink(url, use)
        return why(refused.value)

    stranger = server.url.replace("unix://", "unix://nobody:secret@")
    assert "check user name and password" in refusal(lambda sink: sink.ping(), stranger)
    client.replicaof("127.0.0.1", "1")
    try:
        assert "point the URL to the master" in refusal(lambda sink: sink.deliver([alert(1)]))
    finally:
        client.replicaof("no", "one")
    client.set(log_key(), "another program's")
    assert "another program uses a key of ours" in refusal(lambda sink: sink.deliver([alert(1)]))
    assert why(RedisConnectionError("refused\nhere")) == "refused here"
