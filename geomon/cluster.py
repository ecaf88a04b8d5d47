"""A Kafka cluster asked for its topics, and told to make some. What they ought to be: `topics.py`.

aiokafka's requests, run against Kafka 3.9.2 and 4.4.0: the newest it has are Metadata 5,
CreateTopics 3 and DescribeConfigs 2, and both brokers take them. Not its admin client: that asks a
broker chosen at random, and fails when it is the one that just died. Here the others are asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

from geomon.errors import UnavailableError
from geomon.topics import FoundTopic, FoundTopics, TopicForm

__all__ = ["Cluster"]

#: A broker that hangs holds us up for so long before the next one is asked.
_REQUEST_MS = 10_000
#: How often all brokers are asked in turn before none is said to answer.
_ROUNDS, _PAUSE_S = 3, 0.5
#: Topics that were made are not known to every broker at once.
_KNOWN_AFTER_S, _LOOK_S = 30.0, 0.1

_TROUBLE = (KafkaError, OSError, asyncio.TimeoutError)


class Cluster:
    """The brokers at `kafka` (`host:port,…`), connected while the context lasts.

        async with Cluster(settings.kafka) as cluster:
            found = await cluster.look(names)

    Every method raises `UnavailableError`, in one line, when Kafka does not answer or refuses.
    """

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._client: Any = None

    async def __aenter__(self) -> Cluster:
        try:
            self._client = AIOKafkaClient(
                bootstrap_servers=self._kafka, request_timeout_ms=_REQUEST_MS
            )
            await self._client.bootstrap()
        except (*_TROUBLE, ValueError) as error:
            await self._close()
            raise self._unavailable(error) from None
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def look(self, names: Iterable[str]) -> FoundTopics:
        """Give the brokers' number, and of these topics those that there are."""
        # All topics: asking for one that is not there may make it.
        every = (await self._ask(_every_topic())).to_object()
        shapes = {topic["topic"]: topic["partitions"] for topic in every["topics"]}
        there = [name for name in names if shapes.get(name)]
        configs = await self._configs(there)
        topics = {
            name: FoundTopic(
                name,
                len(shapes[name]),
                min(len(partition["replicas"]) for partition in shapes[name]),
                configs.get(name),
            )
            for name in there
        }
        return FoundTopics(len(every["brokers"]), topics)

    async def make(self, forms: Sequence[TopicForm]) -> None:
        """Make topics and wait until they can be used; one that is there stays as it is."""
        if not forms:
            return
        new: list[Any] = [
            (form.name, form.partitions, form.replication, [], list(form.config.items()))
            for form in forms
        ]
        request = CreateTopicsRequest(new, _REQUEST_MS, validate_only=False)
        try:
            # KRaft's brokers hand it on to the controller; before KRaft it had to be asked itself.
            answer = await self._ask(request, (await self._ask(_every_topic())).controller_id)
        except IncompatibleBrokerVersion:  # the embedded broker
            raise UnavailableError(f"Kafka at {self._kafka} cannot make topics") from None
        for name, code, message in answer.topic_errors:
            if for_code(code) not in (NoError, TopicAlreadyExistsError):
                text = message or for_code(code).message
                raise UnavailableError(f"Kafka at {self._kafka} does not make {name}: {text}")
        await self._until_known({form.name for form in forms})

    async def _until_known(self, names: set[str]) -> None:
        """Wait until every broker knows them and who leads them: one may be behind another."""
        end_s = asyncio.get_running_loop().time() + _KNOWN_AFTER_S
        while True:
            late = set[str]()
            for node in self._nodes():
                late |= names - await self._led_at(node, names)
            if not late:
                return
            if asyncio.get_running_loop().time() > end_s:
                which = ", ".join(sorted(late))
                raise UnavailableError(f"Kafka at {self._kafka}: no broker leads {which} yet")
            await asyncio.sleep(_LOOK_S)

    async def _led_at(self, node: int, names: set[str]) -> set[str]:
        """Give which topics can be used by whoever asks this broker."""
        try:
            answer = await self._client.send(node, _every_topic())
        except _TROUBLE:
            return names  # one that does not answer misleads nobody
        return {
            topic["topic"]
            for topic in answer.to_object()["topics"]
            if topic["partitions"] and all(p["leader"] >= 0 for p in topic["partitions"])
        }

    async def _configs(self, names: Sequence[str]) -> Mapping[str, dict[str, str]]:
        """Give the configurations in force, brokers' defaults included, of those that are told."""
        if not names:
            return {}
        request = DescribeConfigsRequest([(ConfigResourceType.TOPIC, name, None) for name in names])
        try:
            answer = await self._ask(request)
        except IncompatibleBrokerVersion:
            return {}  # the embedded broker knows no such question
        return {
            name: {entry[0]: entry[1] for entry in entries if entry[1] is not None}
            for code, _, _, name, entries in answer.resources
            if not code  # we are not allowed to see it, or it went away this moment
        }

    async def _ask(self, request: Any, first: int = -1) -> Any:
        """Ask one broker after another, `first` before the others, until one answers."""
        trouble: BaseException | None = None
        for _ in range(_ROUNDS):
            for node in sorted(self._nodes(), key=lambda node: node != first):
                try:
                    return await self._client.send(node, request)
                except IncompatibleBrokerVersion:
                    raise
                except _TROUBLE as error:
                    trouble = error
            await asyncio.sleep(_PAUSE_S)
        raise self._unavailable(trouble) from None

    def _nodes(self) -> list[int]:
        return [broker.nodeId for broker in self._client.cluster.brokers()]

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _unavailable(self, error: BaseException | None) -> UnavailableError:
        text = " ".join(str(error).split()) if error else "no broker answers"
        return UnavailableError(f"Kafka at {self._kafka}: {text or type(error).__name__}")


def _every_topic() -> MetadataRequest:
    return MetadataRequest(None, allow_auto_topic_creation=False)
