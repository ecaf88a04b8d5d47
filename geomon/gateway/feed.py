"""Following a topic for as long as a gateway runs, whatever becomes of Kafka meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

__all__ = ["WAIT_MS", "follow", "stop"]

WAIT_MS = 500
_AGAIN_S = 1.0
_log = logging.getLogger("geomon.gateway")


async def follow(
    kafka: str, topic: str, what: str, read: Callable[[Any], Awaitable[None]], *, begin: str
) -> None:
    """Let `read` read a topic with a consumer of no group, and with a new one when it fails.

    `begin` is where a consumer begins that is not told otherwise: "earliest" or "latest". Why it
    failed is told once, until there is another reason; `what` is the name for it.
    """
    told = ""
    while True:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=kafka,
            client_id="geomon-gateway",
            enable_auto_commit=False,
            auto_offset_reset=begin,
            fetch_max_wait_ms=WAIT_MS,
        )
        try:
            await consumer.start()
            await read(consumer)
        except (KafkaError, OSError, ValueError, asyncio.TimeoutError) as error:
            why = str(error) or type(error).__name__
            if isinstance(error, UnknownTopicOrPartitionError):
                why = f"there is no topic {topic}: `geomon topics create --gateway` makes it"
            if why != told:
                _log.warning("%s from Kafka at %s: %s", what, kafka, why)
                told = why
        except Exception:
            # A mistake of ours, perhaps in one message: to follow no more, unsaid, would be worse.
            _log.exception("%s from Kafka at %s: begun anew", what, kafka)
        finally:
            with contextlib.suppress(KafkaError, OSError):
                await consumer.stop()
        await asyncio.sleep(_AGAIN_S)


async def stop(task: asyncio.Task[None] | None) -> None:
    """End a task, and wait for its end."""
    if task is None:
        return
    while not task.done():
        # Again and again: aiokafka keeps a cancellation to itself that comes while it closes.
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_S)
    with contextlib.suppress(asyncio.CancelledError):
        await task
