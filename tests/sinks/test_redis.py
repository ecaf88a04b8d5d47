"""Delivery to Redis: once, in order, and never by half."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from delivery import (
    EVENING,
    MORNING,
    NOON,
    NUMBERED,
    Alert,
    alert,
    deliver,
    logged,
    present,
    put_back,
    unexpected,
    with_sink,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geomon.embedded.redis import EmbeddedRedis
from geomon.errors import SettingsError
from geomon.settings.secrecy import public_url
from geomon.sinks.alertlog import connect
from geomon.sinks.redis import RedisSink, log_key


def test_an_alert_is_on_record_on_the_screens_and_the_present(
    server: EmbeddedRedis, client: Any
) -> None:
    opened = alert(1)
    with client.pubsub(ignore_subscribe_messages=True) as screens:
        screens.psubscribe("geomon:*")
        screens.get_message(timeout=5)
        assert deliver(server, opened) == 1
        rung = [screens.get_message(timeout=60) for _ in range(2)]
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
        message = screens.get_message(timeout=60)
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
        channels = [(screens.get_message(timeout=60) or {})["channel"] for _ in range(2)]
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


def test_a_url_that_is_none_is_a_mistake_of_the_settings() -> None:
    with pytest.raises(SettingsError, match="http://example"):
        RedisSink("http://example")
    with pytest.raises(SettingsError, match="log_max_len"):
        RedisSink("redis://localhost", log_max_len=0)


@pytest.mark.parametrize("option", ["timeout=3", "protocol=9", "retry=1"])
def test_an_option_that_makes_no_connection_is_a_mistake_of_the_settings(option: str) -> None:
    with pytest.raises(SettingsError, match=r"^Redis URL redis://localhost: what follows its \?"):
        RedisSink(f"redis://localhost?{option}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://worker:secret@redis.local/1", "rediss://worker:***@redis.local/1"),
        ("redis://:secret@redis.local", "redis://:***@redis.local"),
        ("unix:///run/redis.sock?password=secret", "unix:///run/redis.sock"),
        ("redis://[secret", "redis://(unreadable)"),
        # As a generator of passwords makes them.
        ("redis://:sec/ret+Ef9==@redis:6379/0", "redis://:***@redis:6379/0"),
        ("redis://worker:se#cret@redis:6379/0", "redis://worker:***@redis:6379/0"),
        ("redis://:se@cret@[::1]:6379/0", "redis://:***@[::1]:6379/0"),
        ("redis://secret@redis:6379/0", "redis://***@redis:6379/0"),
        ("redis://:se?cret@redis:6379/0", "redis://:***@(unreadable)"),
        ("unix:///run/redis.sock?password=sec@ret", "unix://***@(unreadable)"),
        ("redis://:secret", "redis://(unreadable)"),
        ("secret//:secret@redis", "***@redis"),
        ("localhost:6379", "localhost:6379"),
    ],
)
def test_messages_never_show_a_password(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec/ret@redis:6379/0",
        "redis://:12/secret@redis:6379/0",
        "redis://:sec#ret@redis:6379/0",
        "redis://:sec?ret@redis:6379/0",
        "redis://h:secret/0",
        "redis://[secret",
        "redis://:12?sec=ret@redis:6379/0",
        "redis:6379",
        "",
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_a_piece_of_it(url: str) -> None:
    for make in (RedisSink, connect):
        with pytest.raises(SettingsError, match="is not like redis://user:password@host") as error:
            make(url)
        assert "sec" not in str(error.value)
        assert "ret" not in str(error.value).replace("secret", "")
        assert "\n" not in str(error.value)
        assert error.value.__cause__ is None
