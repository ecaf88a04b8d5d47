"""The topics as code: what they ought to be, and what is said of a cluster that has others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from geomon.errors import SettingsError
from geomon.events import MAX_BYTES
from geomon.settings import Settings, load
from geomon.topics import (
    ALERTS,
    COMMANDS,
    EVENTS,
    REJECTED,
    Difference,
    FoundTopic,
    FoundTopics,
    TopicForm,
    changelog_of,
    differences,
    missing,
    wanted,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CHANGELOG = changelog_of("geomon")
SETTINGS = Settings()
FORMS = {form.name: form for form in wanted(SETTINGS)}


def as_made(forms: Mapping[str, TopicForm] = FORMS, brokers: int = 3) -> FoundTopics:
    """A cluster on which `geomon topics create` has just been called."""
    topics = {
        name: FoundTopic(
            name,
            form.partitions,
            form.replication,
            {**form.config, "compression.type": "producer"},
        )
        for name, form in forms.items()
    }
    return FoundTopics(brokers, topics)


def but(
    name: str,
    *,
    partitions: int | None = None,
    replication: int | None = None,
    config: Mapping[str, str] | None = None,
    brokers: int = 3,
    settings: Settings = SETTINGS,
) -> list[Difference]:
    """What is said of a cluster where one topic is otherwise."""
    found = as_made(brokers=brokers)
    topic = found.topics[name]
    assert topic.config is not None
    other = replace(
        topic,
        partitions=partitions or topic.partitions,
        replication=replication or topic.replication,
        config={**topic.config, **(config or {})},
    )
    return differences(wanted(settings), replace(found, topics={**found.topics, name: other}))


def only(found: list[Difference]) -> Difference:
    (difference,) = found
    assert "\n" not in difference.advice
    return difference


# -- what they ought to be -----------------------------------------------------------------------


def test_events_are_kept_for_a_week_and_never_compacted() -> None:
    events = FORMS[EVENTS]
    assert (events.partitions, events.replication) == (12, 3)
    assert events.config["cleanup.policy"] == "delete"
    assert int(events.config["retention.ms"]) == 7 * DAY_MS
    assert events.config["retention.bytes"] == "-1"
    assert int(events.config["max.message.bytes"]) > MAX_BYTES + 1_000


def test_alerts_are_kept_as_long_as_their_ids_are_remembered_and_refusals_for_a_month() -> None:
    assert int(FORMS[ALERTS].config["retention.ms"]) == 400 * DAY_MS
    assert int(FORMS[REJECTED].config["retention.ms"]) == 30 * DAY_MS


def test_commands_have_a_topic_where_a_plan_asks_and_only_there() -> None:
    assert COMMANDS not in FORMS
    asking = {f.name: f for f in wanted(replace(SETTINGS, ask_interval_s=[0.0, 0.0, 60.0]))}
    assert set(asking) == {*FORMS, COMMANDS}
    assert list(asking)[-1] == CHANGELOG
    assert asking[COMMANDS] == replace(asking[EVENTS], name=COMMANDS, least_ms=0)


def test_states_are_kept_for_ever_and_the_newest_are_not_compacted() -> None:
    changelog = FORMS[CHANGELOG]
    assert changelog.partitions == FORMS[EVENTS].partitions
    assert changelog.config["cleanup.policy"] == "compact"
    assert int(changelog.config["min.compaction.lag.ms"]) == 600_000
    assert "retention.ms" not in changelog.config


def test_arrival_is_the_brokers_time_in_every_topic() -> None:
    kinds = {form.config["message.timestamp.type"] for form in FORMS.values()}
    assert kinds == {"LogAppendTime"}


@pytest.mark.parametrize(("replication", "insync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_a_write_waits_for_two_brokers_where_a_third_can_fail(
    replication: int, insync: str
) -> None:
    for form in wanted(replace(SETTINGS, replication=replication)):
        assert form.config["min.insync.replicas"] == insync
        assert form.config["unclean.leader.election.enable"] == "false"


def test_the_settings_say_partitions_replicas_and_for_how_long() -> None:
    settings, _ = load(
        {
            "app_id": "south",
            "partitions": 24,
            "replication": 2,
            "events_retention_h": 48,
            "alerts_retention_days": 1000,
            "rejected_retention_days": 1.5,
        },
        environment={},
    )
    events, alerts, rejected, changelog = wanted(settings)
    assert changelog.name == "south-people-changelog"
    assert [form.partitions for form in (events, alerts, rejected, changelog)] == [24, 24, 1, 24]
    assert {form.replication for form in (events, alerts, rejected, changelog)} == {2}
    kept_ms = [int(form.config["retention.ms"]) for form in (events, alerts, rejected)]
    assert kept_ms == [48 * HOUR_MS, 1000 * DAY_MS, 36 * HOUR_MS]


def test_events_may_not_be_deleted_while_they_may_still_count() -> None:
    assert wanted(replace(SETTINGS, horizon_h=168.0))
    with pytest.raises(SettingsError, match="events_retention_h must be at least 200 h") as error:
        wanted(replace(SETTINGS, horizon_h=200.0))
    assert "\n" not in str(error.value)


# -- what there is to make -----------------------------------------------------------------------


def test_on_an_empty_cluster_everything_is_made() -> None:
    assert missing(wanted(SETTINGS), FoundTopics(3, {})) == list(wanted(SETTINGS))


def test_where_everything_is_nothing_is_made_and_nothing_said() -> None:
    assert missing(wanted(SETTINGS), as_made()) == []
    assert differences(wanted(SETTINGS), as_made()) == []


@pytest.mark.parametrize(("there", "made"), [(EVENTS, CHANGELOG), (CHANGELOG, EVENTS)])
def test_what_is_made_has_the_partitions_of_what_is_there(there: str, made: str) -> None:
    """Else the states of an old cluster would be looked for in partitions where they are not."""
    old = {there: FoundTopic(there, 8, 3, FORMS[there].config)}
    new = {form.name: form.partitions for form in missing(wanted(SETTINGS), FoundTopics(3, old))}
    assert new == {made: 8, ALERTS: 12, REJECTED: 1}


# -- what keeps a worker from starting -----------------------------------------------------------


@pytest.mark.parametrize("name", FORMS)
def test_a_topic_is_missing(name: str) -> None:
    found = as_made()
    rest = {other: topic for other, topic in found.topics.items() if other != name}
    said = only(differences(wanted(SETTINGS), replace(found, topics=rest)))
    assert (said.topic, said.verdict, said.what) == (name, "fault", "topic")
    assert said.advice == f"there is no topic {name}: `geomon topics create` makes it"


def test_somebody_gave_the_events_more_partitions() -> None:
    changelog, events = sorted(but(EVENTS, partitions=24), key=lambda said: said.verdict)
    assert (changelog.topic, changelog.verdict, changelog.what) == (
        CHANGELOG,
        "fault",
        "partitions",
    )
    assert (changelog.found, changelog.wanted) == ("12", "24")
    assert "states would not be found" in changelog.advice
    assert (events.topic, events.verdict, events.what) == (EVENTS, "warning", "partitions")


def test_the_changelog_is_of_another_number_of_partitions() -> None:
    said = only(but(CHANGELOG, partitions=8))
    assert (said.verdict, said.what, said.found, said.wanted) == ("fault", "partitions", "8", "12")
    assert "another app_id" in said.advice


@pytest.mark.parametrize("policy", ["delete", "compact,delete", ""])
def test_states_would_be_deleted(policy: str) -> None:
    said = only(but(CHANGELOG, config={"cleanup.policy": policy}))
    assert (said.verdict, said.what, said.wanted) == ("fault", "cleanup.policy", "compact")
    assert "states of people who are silent for long would be deleted" in said.advice
    assert said.advice.endswith(
        f"kafka-configs.sh --alter --topic {CHANGELOG} --add-config cleanup.policy=compact"
    )


@pytest.mark.parametrize("name", [EVENTS, ALERTS, REJECTED])
@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_topic_of_history_would_be_compacted(name: str, policy: str) -> None:
    said = only(but(name, config={"cleanup.policy": policy}))
    assert (said.verdict, said.what, said.wanted) == ("fault", "cleanup.policy", "delete")
    assert "all but the newest of each person would be deleted" in said.advice


@pytest.mark.parametrize(
    ("horizon_h", "kept_h", "verdict"),
    [(24.0, 23, "fault"), (24.0, 24, "warning"), (2.0, 23, "fault"), (100.0, 99, "fault")],
)
def test_events_are_deleted_too_early(horizon_h: float, kept_h: int, verdict: str) -> None:
    """Below the horizon, or a day, nobody may have read them; above, it is only not as said."""
    settings = replace(SETTINGS, horizon_h=horizon_h)
    said = only(but(EVENTS, config={"retention.ms": str(kept_h * HOUR_MS)}, settings=settings))
    assert (said.topic, said.verdict, said.what) == (EVENTS, verdict, "retention.ms")
    assert said.advice.endswith(f"--add-config retention.ms={7 * DAY_MS}")


# -- what is only said ---------------------------------------------------------------------------


def test_another_number_of_partitions_than_set_stays_and_is_said() -> None:
    forms = {name: replace(FORMS[name], partitions=8) for name in FORMS}
    said = only(differences(wanted(SETTINGS), as_made(forms)))
    assert (said.topic, said.verdict, said.what) == (EVENTS, "warning", "partitions")
    assert "people's events would go to other partitions" in said.advice
    assert said.advice.endswith("set partitions = 8")


@pytest.mark.parametrize("name", [ALERTS, REJECTED])
def test_partitions_of_what_has_no_state_are_free(name: str) -> None:
    assert but(name, partitions=5) == []


@pytest.mark.parametrize("brokers", [1, 2, 3, 4])
def test_one_replica_is_too_few_where_there_are_more_brokers(brokers: int) -> None:
    config = {"min.insync.replicas": "1"}
    forms = {name: replace(FORMS[name], replication=1) for name in FORMS}
    found = as_made({**FORMS, EVENTS: forms[EVENTS]}, brokers=brokers)
    events = replace(found.topics[EVENTS], config={**FORMS[EVENTS].config, **config})
    of_events = [
        said
        for said in differences(
            wanted(SETTINGS), replace(found, topics={**found.topics, EVENTS: events})
        )
        if said.topic == EVENTS
    ]
    if brokers == 1:
        assert of_events == []
    else:
        said = only(of_events)
        assert (said.verdict, said.what) == ("warning", "replication")
        assert (said.found, said.wanted) == ("1", str(min(brokers, 3)))


@pytest.mark.parametrize(
    ("replication", "insync", "harm"),
    [
        (3, "1", "what was acknowledged may be on one broker alone"),
        (3, "2", None),
        (3, "3", "one broker that stops would stop the worker"),
        (1, "1", None),
        (1, "2", None),  # Kafka asks for no more brokers than there are replicas
    ],
)
def test_how_many_brokers_acknowledge(replication: int, insync: str, harm: str | None) -> None:
    said = but(
        ALERTS,
        replication=replication,
        config={"min.insync.replicas": insync},
        brokers=replication,
    )
    assert [d.what for d in said] == ([] if harm is None else ["min.insync.replicas"])
    assert all(d.verdict == "warning" and str(harm) in d.advice for d in said)


@pytest.mark.parametrize("kept_ms", [8 * DAY_MS, -1])
def test_positions_of_people_are_kept_for_longer_than_said(kept_ms: int) -> None:
    said = only(but(EVENTS, config={"retention.ms": str(kept_ms)}))
    assert (said.verdict, said.what, said.found) == ("warning", "retention.ms", str(kept_ms))
    assert "kept for longer than events_retention_h says" in said.advice


def test_alerts_are_kept_for_less_long_than_said() -> None:
    said = only(but(ALERTS, config={"retention.ms": str(DAY_MS)}))
    assert said.verdict == "warning"
    assert "less long than alerts_retention_days says" in said.advice


def test_a_broker_may_take_larger_messages_but_should_not_refuse_ours() -> None:
    assert but(EVENTS, config={"max.message.bytes": "10485760"}) == []
    said = only(but(EVENTS, config={"max.message.bytes": "1048588"}))
    assert said.verdict == "warning"
    assert "refuses messages of more than 1,048,588 bytes" in said.advice


@pytest.mark.parametrize("name", FORMS)
def test_every_other_configuration_is_compared_and_what_follows_is_said(name: str) -> None:
    judged = {"cleanup.policy", "retention.ms", "max.message.bytes", "min.insync.replicas"}
    for what, value in FORMS[name].config.items():
        if what in judged:
            continue
        other = {"false": "true", "LogAppendTime": "CreateTime"}.get(value, "77")
        said = only(but(name, config={what: other}))
        assert (said.verdict, said.what, said.found, said.wanted) == ("warning", what, other, value)
        assert f"{name} has {what} = {other}, and " in said.advice
        assert said.advice.endswith(f"--topic {name} --add-config {what}={value}")


def test_the_same_value_in_other_words_is_the_same() -> None:
    assert but(CHANGELOG, config={"min.cleanable.dirty.ratio": "0.10"}) == []
    assert but(EVENTS, config={"unclean.leader.election.enable": "FALSE"}) == []


def test_a_broker_that_is_older_than_a_configuration_is_not_asked_for_it() -> None:
    found = as_made()
    events = replace(
        found.topics[EVENTS],
        config={"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)},
    )
    assert (
        differences(wanted(SETTINGS), replace(found, topics={**found.topics, EVENTS: events})) == []
    )


def test_a_broker_that_does_not_tell_is_believed_and_that_is_said() -> None:
    """The embedded one cannot; elsewhere it may not be allowed to us."""
    found = as_made()
    untold = {name: replace(topic, config=None) for name, topic in found.topics.items()}
    said = differences(wanted(SETTINGS), replace(found, topics=untold))
    assert [(d.topic, d.verdict, d.what) for d in said] == [
        (name, "warning", "config") for name in FORMS
    ]
    untold[CHANGELOG] = replace(untold[CHANGELOG], partitions=8)
    said = differences(wanted(SETTINGS), replace(found, topics=untold))
    assert [d.what for d in said if d.verdict == "fault"] == ["partitions"]
