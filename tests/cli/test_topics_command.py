"""`geomon topics`, and what a worker says of topics, against real Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from realkafka import NEWEST, OLDER, admin_of, create_topics, forget_topics, real_kafka

from geomon.embedded.broker import EmbeddedBroker
from geomon.embedded.kafka import KafkaCluster
from geomon.events import MAX_BYTES
from geomon.settings import Settings
from geomon.topics import ALERTS, EVENTS, REJECTED, changelog_of, wanted

CHANGELOG = changelog_of("geomon")
DAY_MS = 86_400_000
NAMES = [EVENTS, ALERTS, REJECTED, CHANGELOG]
MADE = [(EVENTS, 6, 1), (ALERTS, 6, 1), (REJECTED, 1, 1), (CHANGELOG, 6, 1)]


@pytest.fixture(scope="module")
def older() -> Iterator[KafkaCluster]:
    with real_kafka(version=OLDER) as cluster:
        yield cluster


@pytest.fixture(params=[NEWEST])
def empty(request: pytest.FixtureRequest) -> str:
    """Where one broker is that has no topics: the newest, if not said otherwise (`BOTH`)."""
    name = {NEWEST: "kafka", OLDER: "older"}[request.param]
    bootstrap: str = request.getfixturevalue(name).bootstrap
    asyncio.run(forget_topics(bootstrap))
    return bootstrap


BOTH = pytest.mark.parametrize("empty", [NEWEST, OLDER], indirect=True)


def geomon(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geomon", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def create(kafka: str, *words: str) -> subprocess.CompletedProcess[str]:
    return geomon("topics", "create", "--json", "--kafka", kafka, *words)


def create_small(kafka: str) -> None:
    """Six partitions on the one broker there is."""
    done = create(kafka, "--partitions", "6", "--replication", "1")
    assert done.returncode == 0, done.stderr


def check(kafka: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ("topics", "check", "--json", "--kafka", kafka)
    return geomon(*words, **{"GEOMON_PARTITIONS": "6", **environment})


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def verdicts(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str, str | None]]:
    return [(row["topic"], row["verdict"], row["what"]) for row in rows(done)]


def alter(kafka: str, topic: str, **config: str) -> None:
    """Give a topic this configuration (`_` for a dot); any other goes back to the broker's own."""

    async def main() -> None:
        values = {name.replace("_", "."): value for name, value in config.items()}
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=values)
        async with admin_of(kafka) as admin:
            (answer,) = await admin.alter_configs([resource])
            assert [code for code, *_ in answer.resources] == [0]
            end = time.monotonic() + 30
            while not await told(admin, values):
                assert time.monotonic() < end, "the configuration did not change"

    async def told(admin: Any, values: dict[str, str]) -> bool:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        ((*_, entries),) = answer.resources
        return values.items() <= {entry[0]: entry[1] for entry in entries}.items()

    asyncio.run(main())


def refusal_of_a_worker(kafka: str) -> str:
    """The one line with which a worker does not start."""
    done = geomon(
        *("worker", "--kafka", kafka, "--redis", "redis://127.0.0.1:1"), GEOMON_LOG_FORMAT="text"
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("geomon: ")
    return line


# -- create --------------------------------------------------------------------------------------


@BOTH
def test_topics_are_made_once_and_then_left_as_they_are(empty: str) -> None:
    done = create(empty, "--partitions", "6", "--replication", "1")
    assert done.returncode == 0, done.stderr
    assert [(r["topic"], r["partitions"], r["replication"]) for r in rows(done)] == MADE
    assert {row["verdict"] for row in rows(done)} == {"made"}
    again = create(empty, "--partitions", "6", "--replication", "1")
    assert again.returncode == 0, again.stderr
    assert verdicts(again) == [(name, "ok", None) for name in NAMES]
    # With the settings of three brokers as well: one cannot do better.
    assert verdicts(check(empty)) == [(name, "ok", None) for name in NAMES]
    assert again.stderr == check(empty).stderr == ""


@BOTH
def test_what_was_made_takes_the_largest_event_from_a_sender_whose_clock_is_wrong(
    empty: str,
) -> None:
    """Kafka's own limits refuse the one, and since 4.0 the other."""
    create_small(empty)

    async def main() -> tuple[int, bool]:
        producer = AIOKafkaProducer(bootstrap_servers=empty, max_request_size=2 * MAX_BYTES)
        await producer.start()
        try:
            ahead_ms = round((time.time() + 7_200) * 1000)
            sent = await producer.send_and_wait(
                EVENTS, bytes(MAX_BYTES), key=b"SZ-0001", timestamp_ms=ahead_ms
            )
            return sent.timestamp_type, sent.timestamp < ahead_ms
        finally:
            await producer.stop()

    # 1: the time of a message is the broker's, not its sender's.
    assert asyncio.run(main()) == (1, True)


@BOTH
def test_more_brokers_are_asked_for_than_there_are(empty: str) -> None:
    done = create(empty)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line == (
        f"geomon: Kafka at {empty} has 1 of the 3 brokers that are to keep each topic: "
        "start the others, or ask for less with --replication 1"
    )
    assert {row["what"] for row in rows(check(empty))} == {"topic"}, "something was made"


def test_a_changelog_of_its_own_for_each_app_has_the_partitions_of_the_events(empty: str) -> None:
    create_small(empty)
    south = geomon(
        *("topics", "create", "--json", "--kafka", empty, "--replication", "1"),
        GEOMON_APP_ID="south",
    )
    changelog = rows(south)[-1]
    assert (changelog["topic"], changelog["partitions"]) == ("south-people-changelog", 6)
    assert changelog["verdict"] == "made"
    # Twelve were asked for, by default, and six there are: that is not passed over.
    assert verdicts(south)[0] == (EVENTS, "warning", "partitions")
    assert south.returncode == 1
    assert "with another number people's events would go to other partitions" in south.stderr


def test_a_table_for_people_and_what_to_do(empty: str) -> None:
    done = geomon("topics", "check", "--kafka", empty)
    assert done.returncode == 1
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == [
        *("topic", "partitions", "replication", "verdict", "what", "found", "wanted")
    ]
    assert [line.split()[-1] for line in lines[:4]] == ["topic"] * 4
    *advice, last = done.stderr.splitlines()
    assert advice == [
        f"fault: there is no topic {name}: `geomon topics create` makes it" for name in NAMES
    ]
    assert last == "geomon: a worker would not start: 4 of 4 differences must be mended"


# -- what keeps a worker from starting -----------------------------------------------------------


def test_a_worker_wants_the_topics_to_be_there(empty: str) -> None:
    assert refusal_of_a_worker(empty) == (
        f"geomon: Kafka at {empty}: there is no topic {EVENTS}: `geomon topics create` makes it "
        "(and 3 more: `geomon topics check`)"
    )
    create_small(empty)
    # Now it is Redis that is missed.
    assert "Redis at redis://127.0.0.1:1" in refusal_of_a_worker(empty)


def test_states_would_be_looked_for_in_other_partitions(empty: str) -> None:
    asyncio.run(create_topics(empty, {CHANGELOG: 4}, settings={"cleanup.policy": "compact"}))
    asyncio.run(create_topics(empty, {EVENTS: 6}))
    done = create(empty, "--partitions", "6", "--replication", "1")
    assert done.returncode == 1
    assert (CHANGELOG, "fault", "partitions") in verdicts(done)
    made = [row["topic"] for row in rows(done) if row["verdict"] == "made"]
    assert made == [ALERTS, REJECTED], "what is missing is made all the same"
    line = refusal_of_a_worker(empty)
    assert f"{CHANGELOG} has 4 partitions and {EVENTS} has 6" in line
    assert "begin anew with another app_id" in line


@pytest.mark.parametrize(
    ("topic", "config", "says"),
    [
        (CHANGELOG, {"cleanup_policy": "delete"}, "states of people who are silent for long"),
        (EVENTS, {"cleanup_policy": "compact"}, "all but the newest of each person"),
        (EVENTS, {"retention_ms": "43200000"}, "events would be deleted that nobody has read"),
    ],
)
def test_states_or_events_would_be_deleted(
    empty: str, topic: str, config: dict[str, str], says: str
) -> None:
    create_small(empty)
    alter(empty, topic, **config)
    ((what, _),) = [(name.replace("_", "."), value) for name, value in config.items()]
    for done in (check(empty), create(empty, "--partitions", "6", "--replication", "1")):
        assert done.returncode == 1
        assert (topic, "fault", what) in verdicts(done)
    line = refusal_of_a_worker(empty)
    assert f"geomon: Kafka at {empty}: {topic} has {what} = " in line
    assert says in line
    assert f"kafka-configs.sh --alter --topic {topic} --add-config {what}=" in line
    # What it says to do is what helps.
    (mended,) = [form for form in wanted(Settings(replication=1)) if form.name == topic]
    alter(empty, topic, **{name.replace(".", "_"): v for name, v in mended.config.items()})
    assert check(empty).returncode == 0


def test_a_worker_starts_with_what_is_only_warned_of(empty: str) -> None:
    create_small(empty)
    alter(empty, ALERTS, retention_ms=str(DAY_MS))
    done = check(empty, GEOMON_PARTITIONS="8")
    assert done.returncode == 0, done.stderr
    warned = [(topic, what) for topic, verdict, what in verdicts(done) if verdict == "warning"]
    assert (EVENTS, "partitions") in warned
    assert (ALERTS, "retention.ms") in warned
    assert "Redis at redis://127.0.0.1:1" in refusal_of_a_worker(empty)


def test_settings_that_contradict_each_other_are_said_in_one_line() -> None:
    done = check("127.0.0.1:1", GEOMON_HORIZON_H="200")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("geomon: events_retention_h must be at least 200 h")


# -- three brokers, and one that is none ---------------------------------------------------------


def test_three_brokers_keep_three_of_each_and_one_may_be_away() -> None:
    with real_kafka(3) as cluster:
        done = create(cluster.bootstrap, "--partitions", "3")
        assert done.returncode == 0, done.stderr
        assert {(row["verdict"], row["replication"]) for row in rows(done)} == {("made", 3)}
        cluster.kill(2)
        assert verdicts(check(cluster.bootstrap, GEOMON_PARTITIONS="3")) == [
            (name, "ok", None) for name in NAMES
        ]

        async def one_replica() -> None:
            async with admin_of(cluster.bootstrap) as admin:
                await admin.delete_topics([REJECTED])
                end = time.monotonic() + 30
                while REJECTED in await admin.list_topics():
                    assert time.monotonic() < end
            await create_topics(cluster.bootstrap, {REJECTED: 1}, copies=1)

        cluster.start_broker(2)
        asyncio.run(one_replica())
        done = check(cluster.bootstrap, GEOMON_PARTITIONS="3")
        assert done.returncode == 0, done.stderr
        assert (REJECTED, "warning", "replication") in verdicts(done)


def test_nobody_answers() -> None:
    for command in ("check", "create"):
        done = geomon("topics", command, "--kafka", "127.0.0.1:1")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("geomon: Kafka at 127.0.0.1:1: ")


def test_the_embedded_broker_does_not_tell_and_cannot_make() -> None:
    """A worker may be tried out against it: what it has is looked at, the rest believed."""
    with EmbeddedBroker({EVENTS: 4, ALERTS: 4, REJECTED: 1, CHANGELOG: 4}) as embedded:
        done = check(embedded.bootstrap, GEOMON_PARTITIONS="4")
        assert done.returncode == 0, done.stderr
        assert verdicts(done) == [(name, "warning", "config") for name in NAMES]
    with EmbeddedBroker({EVENTS: 4}) as embedded:
        done = create(embedded.bootstrap, "--replication", "1")
        assert done.returncode == 1
        assert done.stderr == f"geomon: Kafka at {embedded.bootstrap} cannot make topics\n"
