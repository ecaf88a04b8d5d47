"""What a worker says of itself while Kafka says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from mainjob import run

from geomon.operations.health import Check
from geomon.settings import Settings
from geomon.stream import vitals
from geomon.stream.worker import Worker
from geomon.zones.index import ZoneIndex


@pytest.fixture
def silent_brokers() -> Iterator[str]:
    """Three addresses that take connections and never answer, as behind a network that is cut."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        yield ",".join(f"127.0.0.1:{server.getsockname()[1]}" for server in found)


async def topics(worker: Worker) -> Check:
    return next(check for check in await worker.vitals.checks() if check.check == "topics")


def test_brokers_that_never_answer_hold_nobody_up(
    silent_brokers: str, zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "_TOPICS_WAIT_S", 1.0)

    async def main() -> None:
        worker = Worker(Settings(kafka=silent_brokers, redis="redis://127.0.0.1:1/0"), zones)
        try:
            found = await topics(worker)
            assert (found.ok, found.why) == (False, "Kafka has not answered within 1 s")
            look = worker.vitals._look
            assert look is not None
            assert not look.done(), "it goes on, for whoever asks next"
            assert (await topics(worker)).why == found.why
            assert worker.vitals._look is look, "and there is one at a time"
        finally:
            await worker.close()
        assert look.cancelled()

    run(main)


def test_a_page_of_metrics_takes_what_the_last_look_found(
    silent_brokers: str, zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        worker = Worker(Settings(kafka=silent_brokers, redis="redis://127.0.0.1:1/0"), zones)
        # Whoever waits, waits for as long as Kafka does not answer.
        monkeypatch.setattr(vitals, "_TOPICS_WAIT_S", None)
        monkeypatch.setattr(vitals, "_TOPICS_HOLD_S", -1.0)
        try:
            body, _ = await worker.vitals.page("")
            assert b'geomon_check_ok{check="redis"} 0.0' in body
            assert b'geomon_check_ok{check="topics"}' not in body, "nobody knows yet"
            worker.vitals._topics = 0.0, Check("topics", True, "as they must be")
            body, _ = await worker.vitals.page("")
            assert b'geomon_check_ok{check="topics"} 1.0' in body
            assert worker.vitals._look
            assert not worker.vitals._look.done()
        finally:
            await worker.close()

    run(main)
