"""One night in a duty room: brokers, a Redis, workers, and a recording that is being sent.

with Night(cluster, folder) as night:
    first, second = night.workers(2)
    night.send(recording)
    night.until_told(0.3)
    first.kill()
    night.worker()
    night.ends_as_replayed()
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from redis import Redis
from redis.exceptions import RedisError

from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis
from geomon.settings import Settings
from geomon.sinks.redis import log_key
from geomon.topics import ALERTS, EVENTS, REJECTED, TopicForm, wanted

from .broker import Kafka, Sending, send_now
from .process import WorkerProcess
from .recording import Line, Recording, many_of_everybody, replayed

__all__ = ["PARTITIONS", "SESSION_S", "Night", "free_port"]

T = TypeVar("T")

PARTITIONS = 4
#: Of everybody in the recording: 3,400 messages, 600 alerts.
COPIES = 8
#: How long a dead worker holds its partitions.
SESSION_S = 4.0
PATIENCE_S = 90.0
_LOOK_S = 0.05
#: What asking raises while a broker or Redis is away.
_AWAY = (KafkaException, KafkaError, RedisError, OSError, asyncio.TimeoutError)
_PAGE = 1_000
#: When markers say that they arrive: after every recording.
_LATER = "2024-12-31T12:00:00+08:00"
_names = itertools.count(1)


class Night:
    """Fresh topics on a cluster, a fresh Redis on disk, and workers that read and write them.

    What is sent is `recording`: so many copies of everybody. `settings` go to every worker.
    """

    def __init__(
        self,
        cluster: KafkaCluster,
        folder: Path,
        *,
        brokers: int = 1,
        copies: int = COPIES,
        **settings: Any,
    ) -> None:
        self.cluster = cluster
        self.folder = folder
        self.kafka = Kafka(cluster.bootstrap)
        self.app_id = f"night-{os.getpid()}-{next(_names)}"
        self.redis = EmbeddedRedis(directory=folder / "redis")
        self.everybody: list[WorkerProcess] = []
        self.restarts: list[str] | None = None
        """Last words of workers that gave up and were started again; None: none may."""
        self._replicas = brokers
        self._settings = settings
        self._copies = copies
        self.sent = 0
        """How many lines of the recording have been sent, or are being sent."""
        self._sending: Sending | None = None
        self._markers = itertools.count(1)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Night:
        for form in self._forms():
            self.kafka.create(form.name, form.partitions, form.replication, dict(form.config))
        self.redis.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sending is not None:
            self._sending.close()
        for worker in self.everybody:
            if worker.alive:
                worker.kill()
        self.redis.stop()

    # Who works

    def worker(self, *, clock_wrong_s: float = 0.0, **settings: Any) -> WorkerProcess:
        """Start one more worker."""
        defaults = {
            "kafka": self.cluster.bootstrap,
            "redis": self.redis.url,
            "app_id": self.app_id,
            "clock": "recording",
            "session_timeout_s": SESSION_S,
            "partitions": PARTITIONS,
            "replication": self._replicas,
            "web": "",
            "canary_s": 0,
            "log_format": "text",
        }
        name = f"worker-{next(self._numbers)}"
        worker = WorkerProcess(
            name,
            self.folder,
            {**defaults, **self._settings, **settings},
            clock_wrong_s=clock_wrong_s,
        )
        self.everybody.append(worker)
        return worker

    def workers(self, count: int, **settings: Any) -> list[WorkerProcess]:
        """Start so many workers and wait until each has partitions."""
        started = [self.worker(**settings) for _ in range(count)]
        self.until_shared_by(count)
        return started

    def until_shared_by(self, count: int) -> None:
        """Wait until the partitions are shared out among exactly so many workers."""

        self.eventually(
            lambda: self.kafka.group(self.app_id),
            lambda found: found == ("Stable" if count else "Empty", count),
            f"{count} workers share the partitions",
            every_s=0.25,
        )

    def new_changelog(self) -> None:
        """Make the topic of the people's states, empty; the old one goes."""
        *_, form = self._forms()
        self.kafka.create(form.name, form.partitions, form.replication, dict(form.config))

    def rename(self) -> None:
        """Give workers that start from now on another name, and it a changelog."""
        self.app_id += "-anew"
        self.new_changelog()

    def _forms(self) -> tuple[TopicForm, ...]:
        """What the topics are made to be: as `geomon topics create` makes them."""
        return wanted(
            Settings(app_id=self.app_id, partitions=PARTITIONS, replication=self._replicas)
        )

    # What arrives

    @property
    def recording(self) -> Recording:
        """What is sent, and what a replay of it in process gives."""
        return many_of_everybody(self._copies)

    def send(self, share: float = 1.0, *, in_s: float = 0.0, codec: str = "none") -> None:
        """Send so much of the recording in the background, evenly over so many seconds.

        It goes on where the last call ended, when that is done.
        """
        if self._sending is not None:
            self._sending.wait()
        recording = self.recording
        end = min(len(recording.lines), self.sent + ceil(share * len(recording.lines)))
        lines = recording.lines[self.sent : end]
        self.sent = end
        per_s = len(lines) / in_s if in_s else 0.0
        self._sending = Sending(self.cluster.bootstrap, EVENTS, lines, per_s, codec)

    def put(self, *messages: tuple[int, bytes | None, bytes | None]) -> None:
        """Put messages into the events' topic, as (partition, key, value)."""
        send_now(self.cluster.bootstrap, EVENTS, messages)

    # What is told

    @contextmanager
    def subscriber(self) -> Iterator[Any]:
        """A client of Redis."""
        with Redis.from_url(self.redis.url, socket_timeout=5.0) as client:
            yield client

    def alerts(self) -> list[dict[str, Any]]:
        """The alert log, as a subscriber reads it; without markers."""
        with self.subscriber() as client:
            return [alert for alert in _log(client) if not _is_marker(alert["subject"])]

    def subjects(self) -> list[str]:
        """Of whom the log's alerts are, in its order."""
        with self.subscriber() as client:
            found: Any = client.xrange(log_key())
        return [fields[b"subject"].decode() for _, fields in found]

    def told(self) -> int:
        """How many alerts the log has."""
        with self.subscriber() as client:
            return int(client.xlen(log_key()))

    def until_told(self, share: float) -> None:
        """Wait until as many alerts are told as so much of the recording leads to."""
        led_to = self.recording.led_to
        wanted = led_to[int(len(led_to) * share) - 1]
        self.eventually(self.told, lambda told: told >= wanted, f"{wanted} alerts are told")

    def until_told_more_than(self, told: int) -> None:
        """Wait until the log has more than so many alerts."""
        self.eventually(self.told, lambda now: now > told, f"more than {told} alerts are told")

    def lag(self) -> dict[int, int]:
        """Messages in each partition that have not been committed as done."""
        done = self.kafka.committed(self.app_id, EVENTS)
        return {p: end - done.get(p, 0) for p, end in self.kafka.ends_of(EVENTS).items()}

    def until_judged(self) -> None:
        """Wait until all messages there are have been judged and committed.

        States are written some time after they change: see that `checkpoint_s` is short.
        """
        self.eventually(self.lag, lambda lag: not any(lag.values()), "no message is left")

    def until_nothing_more_comes(self) -> None:
        """Wait until all is told, and then a later message of each partition as well.

        Those are of invented people whose phones say that they fake: their alerts come behind
        whatever the partition still had to tell.
        """
        if self._sending is not None:
            self._sending.wait()
        self.until_marked(self.mark())

    def mark(self) -> dict[str, int]:
        """Send a message to each partition that leads to an alert; gives whose, by partition."""
        number = next(self._markers)
        people = {f"MARK-{number}-{partition}": partition for partition in range(PARTITIONS)}
        self.put(*((p, who.encode(), _faking(who)) for who, p in people.items()))
        return people

    def marked(self, marks: Mapping[str, int]) -> list[int]:
        """Give the partitions whose marks have led to their alerts."""
        told = set(self.subjects())
        return [partition for who, partition in marks.items() if who in told]

    def until_marked(self, marks: Mapping[str, int]) -> None:
        """Wait until all these marks have led to their alerts."""
        self.eventually(
            lambda: self.marked(marks), lambda found: len(found) == len(marks), "marks are told"
        )

    def stop(self) -> None:
        """Ask all workers to stop; fail unless they do, with nothing left undone."""
        left = [worker for worker in self.everybody if worker.alive]
        for worker in left:
            worker.until_running().ask_to_stop()
        for worker in left:
            worker.stop()
        self.until_judged()

    # The verdict

    def ends_as_replayed(self, refused: Mapping[str, int] | None = None) -> None:
        """Fail unless all that a replay in process tells has been told, once, and nothing else.

        `refused`: how many messages must have been refused for which reason, if not those of the
        recording alone.
        """
        assert self.sent == len(self.recording.lines), "not all has been sent"
        self.until_nothing_more_comes()
        self.stop()
        recording = self.recording if refused is not None else self.as_it_arrived()
        log = self.alerts()
        told = Counter(alert["id"] for alert in log)
        wanted = Counter(alert["id"] for alert in recording.alerts)
        assert sorted((wanted - told).elements()) == [], "lost"
        assert sorted((told - wanted).elements()) == [], "told twice, or never should have been"
        by_id = {alert["id"]: alert for alert in log}
        for alert in recording.alerts:
            assert by_id[alert["id"]] == alert
        for person in {alert["subject"] for alert in recording.alerts}:
            ids = [alert["id"] for alert in log if alert["subject"] == person]
            assert ids == [a["id"] for a in recording.alerts if a["subject"] == person]
        assert self.present() == recording.open()
        self.topics_have_all(recording, refused)

    def as_it_arrived(self) -> Recording:
        """Give the recording as it stands in the topic of events.

        That is as it was sent, unless the sender repeated itself while brokers were away, as
        librdkafka may, though its messages are numbered; a replay of that is what must be told.
        """
        arrived = [
            Line(key or b"", value or b"")
            for key, value in self.kafka.read(EVENTS)
            if not _is_marker((key or b"").decode())
        ]
        sent = Counter((line.key, line.value) for line in self.recording.lines)
        found = Counter((line.key, line.value) for line in arrived)
        assert found.keys() == sent.keys(), "the sender lost something"
        return self.recording if found == sent else replayed(arrived, self.recording.end)

    def present(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What Redis shows as open: person -> kind -> alert."""
        found = {}
        with self.subscriber() as client:
            for key in client.scan_iter("geomon:open:*", count=_PAGE):
                person = key.decode().split(":")[-1]
                if not _is_marker(person):
                    hash_: Any = client.hgetall(key)
                    found[person] = {
                        kind.decode(): msgspec.json.decode(alert) for kind, alert in hash_.items()
                    }
        return {person: kinds for person, kinds in found.items() if kinds}

    def topics_have_all(
        self, recording: Recording, refused: Mapping[str, int] | None = None
    ) -> None:
        """Fail unless alerts and refusals are in their topics too; there they may be twice."""
        alerts = [msgspec.json.decode(value or b"") for _, value in self.kafka.read(ALERTS)]
        alerts = [alert for alert in alerts if not _is_marker(alert["subject"])]
        wanted = {alert["id"]: alert for alert in recording.alerts}
        assert {alert["id"]: alert for alert in alerts} == wanted
        records = [msgspec.json.decode(value or b"") for _, value in self.kafka.read(REJECTED)]
        by_place = {
            (record["where"], record["fix"]): record["reason"]
            for record in records
            if not _is_marker(record["supervisee_id"] or "")
        }
        wanted_refused = recording.rejections if refused is None else refused
        assert Counter(by_place.values()) == Counter(wanted_refused)

    def repeats(self) -> int:
        """How many alerts of the topic came again: what subscribers must drop."""
        ids = [msgspec.json.decode(value or b"")["id"] for _, value in self.kafka.read(ALERTS)]
        return len(ids) - len(set(ids))

    # Faults of Redis; those of brokers are the cluster's, those of workers their own

    def kill_redis(self) -> None:
        """Kill Redis with -9; what it had said yes to is in its file."""
        os.kill(self.redis.pid, signal.SIGKILL)
        self.redis.stop()

    def start_brokers(self) -> None:
        """Start every broker that is down, at once: one of three alone would wait for another."""
        down = [number for number in self.cluster.numbers if not self.cluster.pid(number)]
        if down:
            with ThreadPoolExecutor(len(down)) as starters:
                list(starters.map(self.cluster.start_broker, down))

    def pause_redis(self) -> None:
        """Let Redis stand still, connections and all."""
        os.kill(self.redis.pid, signal.SIGSTOP)

    def resume_redis(self) -> None:
        """Let it go on."""
        os.kill(self.redis.pid, signal.SIGCONT)

    def until_said(self, words: str) -> None:
        """Wait until some worker writes these words, from now on, to its log."""
        lengths = {worker.name: len(worker.output) for worker in self.everybody}

        def said() -> bool:
            return any(words in w.output[lengths.get(w.name, 0) :] for w in self.everybody)

        self.eventually(said, bool, f"a worker says: {words}")

    def eventually(
        self,
        ask: Callable[[], T],
        wanted: Callable[[T], bool],
        what: str,
        *,
        every_s: float = _LOOK_S,
    ) -> T:
        """Ask until the answer is what is wanted; when patience ends, say how things stand."""
        end = time.monotonic() + PATIENCE_S
        answer: Any = None
        while True:
            try:
                answer = ask()
                if wanted(answer):
                    return answer  # type: ignore[no-any-return]
            except _AWAY as error:
                answer = error
            self._look_after_workers()
            if time.monotonic() > end:
                raise AssertionError(f"not yet: {what}; but {answer!r}\n{self.account()}")
            time.sleep(every_s)

    def _look_after_workers(self) -> None:
        for worker in [worker for worker in self.everybody if worker.gave_up]:
            assert self.restarts is not None, f"{worker.name} gave up: {worker.output}"
            self.restarts.append(worker.output.splitlines()[-1])
            self.everybody.remove(worker)
            self.worker()

    def account(self) -> str:
        """How things stand, for whoever must find out why."""
        lines = []
        for what, ask in (("group", self._group), ("lag", self.lag), ("told", self.told)):
            try:
                lines.append(f"{what}: {ask()}")
            except _AWAY as error:
                lines.append(f"{what}: {error}")
        for worker in self.everybody:
            state = "alive" if worker.alive else "ended"
            lines.append(f"--- {worker.name}, {state}:\n{worker.output[-2_000:]}")
        return "\n".join(map(str, lines))

    def _group(self) -> tuple[str, int]:
        return self.kafka.group(self.app_id)


def free_port() -> int:
    """Find a port of 127.0.0.1 that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def _log(client: Redis) -> Iterator[dict[str, Any]]:
    at = "-"
    while True:
        page: Any = client.xrange(log_key(), min=at, count=_PAGE)
        for entry, fields in page:
            at = f"({entry.decode()}"
            yield msgspec.json.decode(fields[b"event"])
        if len(page) < _PAGE:
            return


def _faking(person: str) -> bytes:
    fix = {"time": _LATER, "lon": 114.05, "lat": 22.6, "accuracy_m": 12, "mock": True}
    return msgspec.json.encode(
        {
            "type": "upload",
            "supervisee_id": person,
            "device_id": f"phone-{person}",
            "device": "phone",
            "datum": "wgs84",
            "received": _LATER,
            "fixes": [fix],
        }
    )


def _is_marker(person: str) -> bool:
    return person.startswith("MARK-")
