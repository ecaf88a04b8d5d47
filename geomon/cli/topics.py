"""`geomon topics`: make the Kafka topics, and compare them with what they ought to be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from geomon.cli.options import config_option
from geomon.cli.output import json_option, print_rows, talk
from geomon.errors import UnavailableError
from geomon.settings import load
from geomon.topics import Difference, FoundTopics, TopicForm, differences, missing, wanted

__all__ = ["topics"]

COLUMNS = ("topic", "partitions", "replication", "verdict", "what", "found", "wanted")

kafka_option = click.option(
    "--kafka", metavar="HOST:PORT,...", help="Default: the setting `kafka`."
)
gateway_option = click.option("--gateway", is_flag=True, help="With the devices for gateways.")


@click.group()
def topics() -> None:
    """Kafka topics as code: make them, and compare them with what they ought to be."""


@topics.command()
@kafka_option
@click.option(
    "--partitions", type=int, metavar="N", help="Of the events. Default: the setting `partitions`."
)
@click.option(
    "--replication", type=int, metavar="N", help="Brokers that keep each. Default: the setting."
)
@click.option("--events-retention-h", type=float, metavar="H", help="Default: the setting.")
@click.option("--alerts-retention-days", type=float, metavar="DAYS", help="Default: the setting.")
@click.option("--rejected-retention-days", type=float, metavar="DAYS", help="Default: the setting.")
@gateway_option
@config_option
@json_option
def create(file: Path | None, gateway: bool, as_json: bool, **flags: Any) -> None:
    """Make the topics that are missing; those that are there stay as they are.

    Exit 1 when one that is there would keep a worker from starting, or has another number of
    partitions than asked for. Nothing is altered: that is for a person to decide.

    \b
    Examples:
      geomon topics create --kafka kafka-1:9092,kafka-2:9092,kafka-3:9092
      geomon topics create --kafka 127.0.0.1:9092 --replication 1
    """
    settings, _ = load(flags, file=file)
    forms = wanted(settings, gateway=gateway)
    made, found = asyncio.run(_create(settings.kafka, forms))
    differ = differences(forms, found)
    _show(forms, found, differ, made, as_json=as_json)
    _judge(differ, ("partitions",), "not all topics are as asked for")


@topics.command()
@kafka_option
@gateway_option
@config_option
@json_option
def check(kafka: str | None, file: Path | None, gateway: bool, as_json: bool) -> None:
    """Compare the topics with what they ought to be; exit 1 when a worker would not start.

    A fault keeps a worker from starting; a warning does not. Both say what to do, on stderr.

    \b
    Examples:
      geomon topics check
      geomon topics check --kafka kafka-1:9092 --json
    """
    settings, _ = load({"kafka": kafka}, file=file)
    forms = wanted(settings, gateway=gateway)
    found = asyncio.run(_look(settings.kafka, forms))
    differ = differences(forms, found)
    _show(forms, found, differ, frozenset(), as_json=as_json)
    _judge(differ, (), "a worker would not start")


async def _look(kafka: str, forms: Sequence[TopicForm]) -> FoundTopics:
    from geomon.cluster import Cluster  # noqa: PLC0415  (aiokafka, only where it is needed)

    async with Cluster(kafka) as cluster:
        return await cluster.look(form.name for form in forms)


async def _create(kafka: str, forms: Sequence[TopicForm]) -> tuple[frozenset[str], FoundTopics]:
    """Make what is missing; give the names of what was made, and what there is then."""
    from geomon.cluster import Cluster  # noqa: PLC0415

    names = [form.name for form in forms]
    async with Cluster(kafka) as cluster:
        found = await cluster.look(names)
        new = missing(forms, found)
        most = max((form.replication for form in new), default=0)
        if most > found.brokers:
            raise UnavailableError(
                f"Kafka at {kafka} has {found.brokers} of the {most} brokers that are to keep each "
                f"topic: start the others, or ask for less with --replication {found.brokers}"
            )
        await cluster.make(new)
        return frozenset(form.name for form in new), await cluster.look(names)


def _show(
    forms: Sequence[TopicForm],
    found: FoundTopics,
    differ: Sequence[Difference],
    made: frozenset[str],
    *,
    as_json: bool,
) -> None:
    print_rows(_rows(forms, found, differ, made), as_json=as_json, columns=COLUMNS)
    for difference in differ:
        talk.print(f"{difference.verdict}: {difference.advice}", markup=False, soft_wrap=True)


def _rows(
    forms: Sequence[TopicForm],
    found: FoundTopics,
    differ: Sequence[Difference],
    made: frozenset[str],
) -> Iterator[Mapping[str, Any]]:
    for form in forms:
        topic = found.topics.get(form.name)
        head = {
            "topic": form.name,
            "partitions": topic.partitions if topic else None,
            "replication": topic.replication if topic else None,
        }
        of_topic = [difference for difference in differ if difference.topic == form.name]
        if form.name in made or not of_topic:
            verdict = "made" if form.name in made else "ok"
            rest = dict.fromkeys(("what", "found", "wanted", "advice"))
            yield {**head, "verdict": verdict, **rest}
        for difference in of_topic:
            yield {
                **head,
                "verdict": difference.verdict,
                "what": difference.what,
                "found": difference.found,
                "wanted": difference.wanted,
                "advice": difference.advice,
            }


def _judge(differ: Sequence[Difference], grave: Sequence[str], so: str) -> None:
    wrong = sum(d.verdict == "fault" or d.what in grave for d in differ)
    if wrong:
        raise UnavailableError(f"{so}: {wrong} of {len(differ)} differences must be mended")
