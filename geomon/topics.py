"""The Kafka topics as code: their names, what each ought to be, and how what was found differs.

Nothing here asks a cluster; `geomon.cluster` does. A difference is a **fault** when to go on would
lose somebody's state, or events that nobody has read: the worker refuses to start. Any other is a
**warning**: the system works, with less room for an accident, or keeps data for another time than
was said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from geomon.errors import SettingsError
from geomon.events import MAX_BYTES
from geomon.settings import Settings

__all__ = [
    "ALERTS",
    "COMMANDS",
    "DEVICES",
    "EVENTS",
    "PEOPLE",
    "REJECTED",
    "Difference",
    "FoundTopic",
    "FoundTopics",
    "TopicForm",
    "changelog_of",
    "differences",
    "missing",
    "wanted",
]

EVENTS = "geomon.events"
ALERTS = "geomon.alerts"
REJECTED = "geomon.rejected"
#: Requests to devices to report more often; made only where the plans ask.
COMMANDS = "geomon.commands"
#: Whom each device speaks for, by its id; read by gateways alone.
DEVICES = "geomon.devices"

#: Name of the table that keeps the people's states.
PEOPLE = "people"

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
#: A worker that stands still for a night must find its events when it comes back.
_LEAST_EVENTS_MS = _DAY_MS
#: With so many replicas a write waits for a second broker; with fewer, one that stops stops all.
_SAFE_REPLICATION = 3


def changelog_of(app_id: str) -> str:
    """Name the topic that keeps the people's states of one consumer group."""
    return f"{app_id}-{PEOPLE}-changelog"


@dataclass(frozen=True)
class TopicForm:
    """What a topic ought to be: `config` as Kafka names and writes it.

    `retention` is the setting that says how long it is kept, `least_ms` how long at the very least.
    """

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    retention: str = ""
    least_ms: int = 0


@dataclass(frozen=True)
class FoundTopic:
    """What a topic is: `replication` of its worst partition; `config` None when not told."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str] | None


@dataclass(frozen=True)
class FoundTopics:
    """What a cluster has: its brokers that answer, and of the topics asked for those there are."""

    brokers: int
    topics: Mapping[str, FoundTopic]


@dataclass(frozen=True)
class Difference:
    """One way in which a topic is not as wanted; `advice` is a line that says what to do.

    `what` is `topic` (there is none), `partitions`, `replication`, `config` (not told) or the name
    of a configuration.
    """

    topic: str
    verdict: Literal["fault", "warning"]
    what: str
    found: str
    wanted: str
    advice: str


def wanted(settings: Settings, *, gateway: bool = False) -> tuple[TopicForm, ...]:
    """Give what the topics ought to be: events, alerts, refusals and the state's changelog.

    Commands are among them where a plan asks devices to report more often, and with `gateway` the
    devices that gateways read.

    Raises `SettingsError` when events would be gone while they may still count.
    """
    least_ms = max(_LEAST_EVENTS_MS, round(settings.horizon_h * _HOUR_MS))
    events_ms = round(settings.events_retention_h * _HOUR_MS)
    if events_ms < least_ms:
        raise SettingsError(
            f"events_retention_h must be at least {least_ms / _HOUR_MS:g} h, as horizon_h is: "
            "an event must not be deleted while it may still count"
        )
    every = {
        # The brokers' time, not the senders': a clock that is wrong makes nothing be deleted at
        # once or never, lets no state be compacted early (see below), and Kafka 4 refuses what
        # comes from more than an hour ahead, which would end a worker whose clock is wrong.
        "message.timestamp.type": "LogAppendTime",
        # Kafka's own limit refuses the largest event there may be, with its key and its framing;
        # twice as much lets what is a little too large be refused here, with a reason, and kept.
        "max.message.bytes": str(2 * MAX_BYTES),
        # Acknowledged means on two brokers of three: one may burn down, one may be restarted.
        "min.insync.replicas": str(_insync(settings.replication)),
        # A broker that was behind must not lead: what only others had would be gone.
        "unclean.leader.election.enable": "false",
    }
    passing = every | {
        "cleanup.policy": "delete",
        # Only time deletes. A limit by size would delete unread events on a busy day.
        "retention.bytes": "-1",
        # Whole segments are deleted: of a day, so that retention is kept to within one.
        "segment.ms": str(_DAY_MS),
    }
    changelog = every | {
        # The newest state of each person for ever: to delete by time would forget the silent ones.
        "cleanup.policy": "compact",
        # Only closed segments are compacted. Small ones keep what a worker reads at its start
        # near to one record a person, whatever their number.
        "segment.bytes": str(16 << 20),
        "segment.ms": str(_HOUR_MS),
        "min.cleanable.dirty.ratio": "0.1",
        # A worker that was paused, lost its partitions and wakes may write an old state behind a
        # newer one. Stamps tell which is newer, if both are there: compaction keeps the last. The
        # worker that took over sees it with its next write, and writes its states again; until
        # then both must stay. Longer would make a start read as much more.
        "min.compaction.lag.ms": str(10 * _MINUTE_MS),
        # For as long a reader who began earlier still sees that a state was deleted.
        "delete.retention.ms": str(_DAY_MS),
    }

    def passing_form(name: str, partitions: int, retention: str, kept_ms: int) -> TopicForm:
        config = passing | {"retention.ms": str(kept_ms)}
        return TopicForm(name, partitions, settings.replication, config, retention)

    # One partition, in one order; each gateway reads all of it. The newest word on a device is the
    # only one that counts, and nobody writes an old one late: no lag of compaction is needed.
    devices = {k: v for k, v in changelog.items() if k != "min.compaction.lag.ms"}

    number = settings.partitions
    alerts_ms = round(settings.alerts_retention_days * _DAY_MS)
    rejected_ms = round(settings.rejected_retention_days * _DAY_MS)
    return (
        replace(passing_form(EVENTS, number, "events_retention_h", events_ms), least_ms=least_ms),
        passing_form(ALERTS, number, "alerts_retention_days", alerts_ms),
        # Few, and one who looks for a mistake reads them all: in one order.
        passing_form(REJECTED, 1, "rejected_retention_days", rejected_ms),
        # What they ask for is over in minutes: kept to be looked at, as the events are.
        *(
            [passing_form(COMMANDS, number, "events_retention_h", events_ms)]
            if any(settings.ask_interval_s)
            else []
        ),
        *([TopicForm(DEVICES, 1, settings.replication, devices)] if gateway else []),
        TopicForm(changelog_of(settings.app_id), number, settings.replication, changelog),
    )


def missing(forms: Sequence[TopicForm], found: FoundTopics) -> list[TopicForm]:
    """Give the topics to make, each as it must be beside those that there are.

    Events and changelog have the same number of partitions. Where one of them is there, its number
    stands, whatever is wanted: under another, people would be looked for where they are not.
    """
    events, *_, changelog = forms
    there = found.topics.get(events.name) or found.topics.get(changelog.name)
    number = there.partitions if there else events.partitions
    return [
        replace(form, partitions=number) if form in (events, changelog) else form
        for form in forms
        if form.name not in found.topics
    ]


def differences(forms: Sequence[TopicForm], found: FoundTopics) -> list[Difference]:
    """Compare what is wanted (`wanted`) with what was found; faults and warnings by topic."""
    return list(_differences(forms, found))


def _differences(forms: Sequence[TopicForm], found: FoundTopics) -> Iterator[Difference]:
    events, *_, changelog = forms
    for form in forms:
        topic = found.topics.get(form.name)
        if topic is None:
            yield _no_topic(form)
            continue
        if form is events:
            yield from _of_events(form, topic)
        if form is changelog:
            yield from _of_changelog(topic, found.topics.get(events.name))
        yield from _of_replication(form, topic, found.brokers)
        if topic.config is None:
            yield _not_told(form)
        else:
            yield from _of_config(form, topic, topic.config)


def _no_topic(form: TopicForm) -> Difference:
    advice = f"there is no topic {form.name}: `geomon topics create` makes it"
    return Difference(form.name, "fault", "topic", "", "", advice)


def _not_told(form: TopicForm) -> Difference:
    advice = (
        f"the broker does not tell how {form.name} is configured: allow DescribeConfigs, "
        "or see for yourself"
    )
    return Difference(form.name, "warning", "config", "", "", advice)


def _of_events(form: TopicForm, topic: FoundTopic) -> Iterator[Difference]:
    if topic.partitions != form.partitions:
        advice = (
            f"{form.name} has {topic.partitions} partitions, and the setting partitions says "
            f"{form.partitions}: it stays so, because with another number people's events would "
            f"go to other partitions than their states; set partitions = {topic.partitions}"
        )
        yield Difference(
            *(form.name, "warning", "partitions"),
            *(str(topic.partitions), str(form.partitions), advice),
        )


def _of_changelog(topic: FoundTopic, events: FoundTopic | None) -> Iterator[Difference]:
    # A person's state lies in the partition with the number of that of their events: with fewer or
    # more, a restarted worker would look for states in the wrong one and begin anew in silence.
    if events is not None and topic.partitions != events.partitions:
        advice = (
            f"{topic.name} has {topic.partitions} partitions and {events.name} has "
            f"{events.partitions}, and states would not be found: give {events.name} back the "
            f"number it had, or begin anew with another app_id, and send papers and orders again"
        )
        yield Difference(
            *(topic.name, "fault", "partitions"),
            *(str(topic.partitions), str(events.partitions), advice),
        )


def _of_replication(form: TopicForm, topic: FoundTopic, brokers: int) -> Iterator[Difference]:
    # A cluster of one broker cannot do better than one, and whoever runs it knows.
    possible = min(form.replication, brokers)
    if topic.replication < possible:
        advice = (
            f"{form.name} is on {topic.replication} of {brokers} brokers, {possible} are wanted: "
            "add replicas with kafka-reassign-partitions.sh"
        )
        yield Difference(
            *(form.name, "warning", "replication"),
            *(str(topic.replication), str(possible), advice),
        )


def _of_config(
    form: TopicForm, topic: FoundTopic, config: Mapping[str, str]
) -> Iterator[Difference]:
    ought = {**form.config, "min.insync.replicas": str(_insync(topic.replication))}
    for what, want in ought.items():
        found = config.get(what)
        if found is None or _same(found, want):
            continue  # None: a broker older than that configuration
        judged = _JUDGED.get(what)
        harm = judged(form, topic, found, want) if judged else _Harm(_HARM[what])
        if harm is None:
            continue
        verdict: Literal["fault", "warning"] = "fault" if harm.fault else "warning"
        do = f"kafka-configs.sh --alter --topic {form.name} --add-config {what}={want}"
        advice = f"{form.name} has {what} = {found or 'nothing'}, and {harm.text}: {do}"
        yield Difference(form.name, verdict, what, found, want, advice)


class _Harm(NamedTuple):
    """What follows from a value; for a fault a worker refuses to start."""

    text: str
    fault: bool = False


def _policy(_: TopicForm, __: FoundTopic, ___: str, want: str) -> _Harm:
    if want == "compact":
        return _Harm("states of people who are silent for long would be deleted", fault=True)
    return _Harm("all but the newest of each person would be deleted", fault=True)


def _retention(form: TopicForm, _: FoundTopic, found: str, want: str) -> _Harm:
    kept_ms = int(found)
    if kept_ms < 0 or kept_ms > int(want):
        return _Harm(f"positions of people are kept for longer than {form.retention} says")
    if kept_ms < form.least_ms:
        return _Harm(
            "events would be deleted that nobody has read, or that still count", fault=True
        )
    return _Harm(f"it is kept for less long than {form.retention} says")


def _acknowledged(_: TopicForm, topic: FoundTopic, found: str, want: str) -> _Harm | None:
    # Kafka asks for no more brokers than there are replicas, whatever is set.
    if int(found) < int(want):
        return _Harm("what was acknowledged may be on one broker alone")
    if int(found) >= topic.replication > 1:
        return _Harm("one broker that stops would stop the worker")
    return None


def _size(_: TopicForm, __: FoundTopic, found: str, want: str) -> _Harm | None:
    if int(found) > int(want):
        return None
    return _Harm(f"the broker refuses messages of more than {int(found):,} bytes")


#: Configurations of which not every other value does harm, or not the same.
_JUDGED: Mapping[str, Callable[[TopicForm, FoundTopic, str, str], _Harm | None]] = {
    "cleanup.policy": _policy,
    "max.message.bytes": _size,
    "min.insync.replicas": _acknowledged,
    "retention.ms": _retention,
}

#: What follows from any value of the others than the one wanted.
_HARM = {
    "delete.retention.ms": "a reader may miss that a state was deleted",
    "message.timestamp.type": "a sender's wrong clock decides what is deleted, or is refused",
    "min.cleanable.dirty.ratio": "states are compacted at another pace",
    "min.compaction.lag.ms": "a newer state may be compacted away behind an old one written late",
    "retention.bytes": "a busy day may delete what nobody has read",
    "segment.bytes": "states are compacted at another pace",
    "segment.ms": "what is old is deleted, or compacted, at another pace",
    "unclean.leader.election.enable": "a broker that was behind may take over and lose the rest",
}


def _insync(replication: int) -> int:
    """How many brokers must have a write before it is acknowledged."""
    return 2 if replication >= _SAFE_REPLICATION else 1


def _same(found: str, want: str) -> bool:
    """Whether two values mean the same: `0.10` is `0.1`, a list may be in any order."""
    try:
        return float(found) == float(want)
    except ValueError:
        return sorted(found.lower().split(",")) == sorted(want.lower().split(","))
