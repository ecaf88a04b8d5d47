"""Delivery to Redis: once, in order, and never by half."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from geomon.embedded.redis import EmbeddedRedis
from geomon.errors import SettingsError
from geomon.sinks.redis import CHUNK, RedisSink, log_key, public_url, why
from geomon.sinks.restore import Present

Alert = dict[str, Any]
T = TypeVar("T")

MORNING, NOON, EVENING = "2024-02-13T01:30:00Z", "2024-02-13T04:00:00Z", "2024-02-13T10:00:00Z"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[Any]:
    with redis.Redis.from_url(server.url, decode_responses=True) as opened:
        opened.flushall()
        opened.script_flush()
        yield opened


def alert(
    number: int,
    phase: str = "opened",
    *,
    person: str = "SZ-0001",
    kind: str = "leave_city",
    since: str = MORNING,
    district: str | None = "440303",
) -> Alert:
    episode = f"{person}/{kind}/{since}"
    return {
        "specversion": "1.0",
        "id": f"{episode}#{number}",
        "source": "/geomon",
        "type": f"geomon.alert.{phase}",
        "subject": person,
        "time": "2024-02-13T01:33:10Z",
        "data": {
            "episode": episode,
            "kind": kind,
            "phase": phase,
            "severity": "high",
            "district": district,
            "since": since,
            "reason": "outside_without_leave",
        },
    }


def logged(client: Any) -> list[str]:
    return [fields["id"] for _, fields in client.xrange(log_key())]


def present(client: Any, person: str = "SZ-0001") -> dict[str, str]:
    stored = client.hgetall(f"geomon:open:{person}")
    return {kind: msgspec.json.decode(event)["id"] for kind, event in stored.items()}


def with_sink(url: str, use: Callable[[RedisSink], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        sink = RedisSink(url, **options)
        try:
            return await use(sink)
        finally:
            await sink.close()

    return asyncio.run(run())


def deliver(server: EmbeddedRedis, *alerts: Alert, **options: Any) -> int:
    return with_sink(server.url, lambda sink: sink.deliver(alerts), **options)


def unexpected(trouble: str) -> None:
    raise AssertionError(trouble)


def test_an_alert_is_on_record_on_the_screens_and_the_present(
    server: EmbeddedRedis, client: Any
) -> None:
    opened = alert(1)
    with client.pubsub(ignore_subscribe_messages=True) as screens:
        screens.psubscribe("geomon:*")
        screens.get_message(timeout=5)
        assert deliver(server, opened) == 1
        rung = [screens.get_message(timeout=5) for _ in range(2)]
    assert [(m["channel"], msgspec.json.decode(m["data"])) for m in rung if m] == [
        ("geomon:alerts", opened),
        ("geomon:alerts:440303", opened),
    ]
    [(_, entry)] = client.xrange(log_key())
    assert msgspec.json.decode(entry.pop("event")) == opened
    assert entry == {"id": opened["id"], "type": "geomon.alert.opened", "subject": "SZ-0001"}
    assert present(client) == {"leave_city": opened["id"]}
    assert 399 * 86_400 < client.ttl("geomon:delivered:SZ-0001") <= 400 * 86_400


def test_a_repeat_does_nothing_at_all(server: EmbeddedRedis, client: Any) -> None:
    first, second, end = alert(1), alert(2, "updated"), alert(3, "closed")
    assert deliver(server, first, second, end) == 3
    with client.pubsub(ignore_subscribe_messages=True) as screens:
        screens.psubscribe("geomon:*")
        screens.get_message(timeout=5)
        assert deliver(server, first, second, end, first) == 0
        client.publish("geomon:end", "nothing before this")
        message = screens.get_message(timeout=5)
    assert message is not None
    assert message["channel"] == "geomon:end"
    assert logged(client) == [first["id"], second["id"], end["id"]]
    assert present(client) == {}


def test_an_alert_of_no_known_district_rings_on_the_common_channel_alone(
    server: EmbeddedRedis, client: Any
) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as screens:
        screens.psubscribe("geomon:*")
        screens.get_message(timeout=5)
        deliver(server, alert(1, district=None))
        client.publish("geomon:end", "")
        channels = [(screens.get_message(timeout=5) or {})["channel"] for _ in range(2)]
    assert channels == ["geomon:alerts", "geomon:end"]


def test_the_present_is_one_open_episode_of_each_kind(server: EmbeddedRedis, client: Any) -> None:
    left, strap = alert(1), alert(1, kind="tamper")
    later = alert(2, "updated")
    deliver(server, left, strap, later, alert(1, person="甲:2"))
    assert present(client) == {"leave_city": later["id"], "tamper": strap["id"]}
    deliver(server, alert(3, "closed"))
    assert present(client) == {"tamper": strap["id"]}
    assert len(present(client, "甲:2")) == 1


def test_an_episode_withdrawn_late_does_not_hide_a_newer_one(
    server: EmbeddedRedis, client: Any
) -> None:
    newer = alert(1, since=NOON)
    deliver(server, alert(1), newer, alert(2, "updated"), alert(3, "closed"))
    assert present(client) == {"leave_city": newer["id"]}
    assert len(logged(client)) == 4


def test_an_absence_told_late_and_over_does_not_hide_the_present_one(
    server: EmbeddedRedis, client: Any
) -> None:
    now = alert(1, since=EVENING)
    deliver(server, now)
    deliver(server, alert(1, since=MORNING), alert(2, "closed", since=MORNING))
    assert present(client) == {"leave_city": now["id"]}
    assert len(logged(client)) == 3


def test_a_number_that_comes_late_is_logged_but_does_not_turn_the_present_back(
    server: EmbeddedRedis, client: Any
) -> None:
    assert deliver(server, alert(3, "closed"), alert(1), alert(2, "updated")) == 3
    assert logged(client) == [alert(n)["id"] for n in (3, 1, 2)]
    assert present(client) == {}
    assert deliver(server, alert(1), alert(2, "updated"), alert(3, "closed")) == 0


def test_gaps_of_any_length_are_remembered(server: EmbeddedRedis, client: Any) -> None:
    """A worker goes on where Redis lost what was before: all of it can still be put back."""

    def stored() -> str:
        [memory] = client.hvals("geomon:delivered:SZ-0001")
        return str(memory)

    assert deliver(server, alert(100_000)) == 1
    assert stored() == "100000;1-99999"
    assert deliver(server, alert(100_100, "updated")) == 1
    assert stored() == "100100;1-99999,100001-100099"
    assert deliver(server, *map(alert, (100_099, 7, 100_001, 1, 7, 99_999, 100_100))) == 5
    assert stored() == "100100;2-6,8-99998,100002-100098"
    assert deliver(server, *map(alert, range(1, 7))) == 5
    assert stored() == "100100;8-99998,100002-100098"


def test_the_number_of_gaps_is_bounded(server: EmbeddedRedis, client: Any) -> None:
    assert deliver(server, *map(alert, range(2, 202, 2))) == 100
    [stored] = client.hvals("geomon:delivered:SZ-0001")
    assert stored.startswith("200;73,75,")
    assert stored.count(",") == 63
    # What is forgotten counts as delivered: an id twice would be worse for those who read the log.
    assert deliver(server, alert(73), alert(71)) == 1


NUMBERED = st.builds(
    alert,
    st.integers(1, 4),
    st.sampled_from(["opened", "updated", "closed"]),
    person=st.sampled_from(["SZ-0001", "甲:#2"]),
    kind=st.sampled_from(["leave_city", "tamper"]),
    since=st.sampled_from([MORNING, NOON, EVENING]),
    district=st.sampled_from([None, "440303"]),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(batches=st.lists(st.lists(NUMBERED, max_size=12), max_size=6))
def test_any_sequence_with_repeats_leaves_each_id_once_and_the_present_right(
    server: EmbeddedRedis, client: Any, batches: list[list[Alert]]
) -> None:
    client.flushall()
    order: list[str] = []
    numbers: dict[str, int] = {}
    newest: dict[tuple[str, str], Alert] = {}
    for one in (a for batch in batches for a in batch):
        if one["id"] in order:
            continue
        order.append(one["id"])
        episode, number = one["id"].rsplit("#", 1)
        if int(number) < numbers.get(episode, 0):
            continue
        numbers[episode] = int(number)
        place = (one["subject"], one["data"]["kind"])
        shown = newest.get(place)
        same = shown is not None and shown["data"]["episode"] == episode
        if one["data"]["phase"] == "closed":
            if same:
                del newest[place]
        elif shown is None or same or shown["data"]["since"] <= one["data"]["since"]:
            newest[place] = one

    async def run(sink: RedisSink) -> int:
        return sum([await sink.deliver(batch) for batch in batches])

    assert with_sink(server.url, run) == len(order)
    assert logged(client) == order
    found = {
        (person, kind): event
        for person in ("SZ-0001", "甲:#2")
        for kind, event in present(client, person).items()
    }
    assert found == {place: shown["id"] for place, shown in newest.items()}


def test_two_workers_that_deliver_the_same_alerts_log_each_once(
    server: EmbeddedRedis, client: Any
) -> None:
    alerts = [alert(n, person=f"SZ-{p}") for n in range(1, 4) for p in range(150)]

    async def run() -> list[int]:
        sinks = [RedisSink(server.url) for _ in range(2)]
        try:
            return await asyncio.gather(
                *(sink.deliver(alerts[at : at + 50]) for at in range(0, 450, 50) for sink in sinks)
            )
        finally:
            await asyncio.gather(*(sink.close() for sink in sinks))

    assert sum(asyncio.run(run())) == len(alerts)
    assert sorted(logged(client)) == sorted(a["id"] for a in alerts)


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


def put_back(server: EmbeddedRedis, *alerts: Alert) -> int:
    return with_sink(server.url, lambda sink: sink.put_back(alerts))


def put_back_open(server: EmbeddedRedis, *alerts: Alert) -> None:
    with_sink(server.url, lambda sink: sink.put_back_open(alerts))


def test_what_is_put_back_is_on_record_and_on_no_screen(server: EmbeddedRedis, client: Any) -> None:
    opened, end = alert(1), alert(2, "closed")
    with client.pubsub(ignore_subscribe_messages=True) as screens:
        screens.psubscribe("geomon:*")
        screens.get_message(timeout=5)
        assert put_back(server, opened, end, opened) == 2
        put_back_open(server, alert(1, kind="tamper"))
        client.publish("geomon:end", "nothing before this")
        message = screens.get_message(timeout=5)
    assert message is not None
    assert message["channel"] == "geomon:end"
    entries = client.xrange(log_key())
    assert [fields["restored"] for _, fields in entries] == ["1", "1", "1"]
    assert [msgspec.json.decode(fields["event"]) for _, fields in entries[:2]] == [opened, end]
    assert deliver(server, opened, end) == 0
    assert 399 * 86_400 < client.ttl("geomon:delivered:SZ-0001") <= 400 * 86_400


def test_what_is_put_back_shows_nobody_as_they_were(server: EmbeddedRedis, client: Any) -> None:
    now = alert(1, since=NOON)
    deliver(server, now)
    assert put_back(server, alert(1, since=EVENING), alert(2, "updated", since=EVENING)) == 2
    assert put_back(server, alert(1, person="SZ-0002")) == 1
    assert present(client) == {"leave_city": now["id"]}
    assert present(client, "SZ-0002") == {}


def test_what_is_put_back_ends_what_ended(server: EmbeddedRedis, client: Any) -> None:
    """Redis came back as it was last night, and the day says that the absence is over."""
    deliver(server, alert(1), alert(1, kind="tamper"))
    assert put_back(server, alert(2, "closed"), alert(1, since=NOON)) == 2
    assert present(client) == {"tamper": alert(1, kind="tamper")["id"]}


def test_what_was_open_at_the_end_is_entered_unless_it_has_been_told_of_since(
    server: EmbeddedRedis, client: Any
) -> None:
    put_back(server, alert(1), alert(2, "updated"), alert(1, kind="tamper"))
    put_back_open(server, alert(2, "updated"), alert(1, kind="tamper"))
    assert present(client) == {
        "leave_city": alert(2)["id"],
        "tamper": alert(1, kind="tamper")["id"],
    }
    deliver(server, alert(3, "closed"))
    put_back_open(server, alert(2, "updated"))
    assert present(client) == {"tamper": alert(1, kind="tamper")["id"]}
    later = alert(1, kind="tamper", since=EVENING)
    deliver(server, later)
    put_back_open(server, alert(1, kind="tamper"))
    assert present(client) == {"tamper": later["id"]}
    assert len(logged(client)) == 5


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(alerts=st.lists(NUMBERED, max_size=40))
def test_any_sequence_put_back_leaves_what_its_delivery_left(
    server: EmbeddedRedis, client: Any, alerts: list[Alert]
) -> None:
    client.flushall()
    assert with_sink(server.url, lambda sink: sink.deliver(alerts), prefix="lost") == len(
        {one["id"] for one in alerts}
    )

    async def restore(sink: RedisSink) -> None:
        present = Present()
        for one in alerts:
            present.take(one)
        for _ in range(2):
            await sink.put_back(alerts)
            await sink.put_back_open(present.alerts())

    with_sink(server.url, restore)

    def found(prefix: str) -> tuple[list[str], dict[str, dict[str, str]]]:
        log = [fields["id"] for _, fields in client.xrange(log_key(prefix))]
        keys = [key for part in ("open", "delivered") for key in client.keys(f"{prefix}:{part}:*")]
        return log, {key.removeprefix(prefix): client.hgetall(key) for key in keys}

    assert found("geomon") == found("lost")


def test_a_log_that_is_full_takes_nothing_back_by_half(server: EmbeddedRedis, client: Any) -> None:
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(RedisError, match="maxmemory"):
            put_back(server, alert(1))
    finally:
        client.config_set("maxmemory", "0")
    assert client.keys("geomon:*") == []
    assert put_back(server, alert(1)) == 1


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


def test_ping_answers_when_redis_is_there(server: EmbeddedRedis) -> None:
    with_sink(server.url, lambda sink: sink.ping())


def test_a_bounded_log_keeps_the_newest(server: EmbeddedRedis, client: Any) -> None:
    alerts = [alert(1, person=f"SZ-{p}") for p in range(1000)]
    assert deliver(server, *alerts, log_max_len=300) == 1000
    kept = logged(client)
    assert 300 <= len(kept) < 600, "trimmed by whole nodes of the stream"
    assert kept == [a["id"] for a in alerts[-len(kept) :]]


def test_another_prefix_is_another_world(server: EmbeddedRedis, client: Any) -> None:
    deliver(server, alert(1), prefix="replay")
    assert sorted(client.keys("*")) == [
        "replay:alerts:log",
        "replay:delivered:SZ-0001",
        "replay:open:SZ-0001",
    ]


def without(*path: str) -> Alert:
    broken = alert(1)
    inner = broken
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return broken


@pytest.mark.parametrize(
    "broken",
    [
        without("id"),
        without("subject"),
        without("data"),
        without("data", "episode"),
        without("data", "kind"),
        {**alert(1), "id": "SZ-0001/leave_city/other#1"},
        {**alert(1), "id": alert(1)["id"].replace("#1", "")},
        {**alert(1), "id": alert(1)["id"].replace("#1", "#0")},
        alert(1, "reopened"),
    ],
)
def test_what_is_not_an_alert_is_refused_before_anything_is_sent(
    server: EmbeddedRedis, client: Any, broken: Alert
) -> None:
    alerts: Sequence[Alert] = [alert(1, person="SZ-9"), broken]
    with pytest.raises(ValueError, match="alert"):
        deliver(server, *alerts)
    with pytest.raises(ValueError, match="alert"):
        with_sink(server.url, lambda sink: sink.deliver_until_done(alerts, on_trouble=unexpected))
    with pytest.raises(ValueError, match="alert"):
        put_back(server, *alerts)
    assert client.keys("*") == []


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


def test_a_url_that_is_none_is_a_mistake_of_the_settings() -> None:
    with pytest.raises(SettingsError, match="http://example"):
        RedisSink("http://example")
    with pytest.raises(SettingsError, match="log_max_len"):
        RedisSink("redis://localhost", log_max_len=0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://worker:secret@redis.local/1", "rediss://worker:***@redis.local/1"),
        ("redis://:secret@redis.local", "redis://:***@redis.local"),
        ("unix:///run/redis.sock?password=secret", "unix:///run/redis.sock"),
        ("redis://[secret", "(unreadable)"),
    ],
)
def test_messages_never_show_a_password(url: str, shown: str) -> None:
    assert public_url(url) == shown
