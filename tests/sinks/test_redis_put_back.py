"""What Redis has lost is put back: on record, on no screen, and nobody shown as they were."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from delivery import (
    EVENING,
    NOON,
    NUMBERED,
    Alert,
    alert,
    deliver,
    logged,
    present,
    put_back,
    with_sink,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError

from geomon.embedded.redis import EmbeddedRedis
from geomon.sinks.redis import RedisSink, log_key
from geomon.sinks.restore import Present


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
        message = screens.get_message(timeout=60)
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
