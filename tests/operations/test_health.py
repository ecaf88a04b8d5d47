"""The web server of a worker, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from geomon.errors import SettingsError, UnavailableError
from geomon.operations.health import Check, HealthServer
from geomon.operations.metrics import Metrics


class Told:
    """A condition that says what a test tells it to."""

    def __init__(self) -> None:
        self.failed = ""
        self.found = [Check("redis", True, "answers"), Check("lag", True, "0 events wait")]
        self.metrics = Metrics()

    def failure(self) -> str:
        return self.failed

    async def checks(self) -> list[Check]:
        return self.found

    async def page(self, accept: str) -> tuple[bytes, str]:
        return self.metrics.page(accept)


class Client:
    """Asks one server; gives status, content type and body."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def ask(self, path: str, accept: str = "*/*") -> tuple[int, str, str]:
        async with self._session.get(self._url + path, headers={"Accept": accept}) as answer:
            return answer.status, answer.headers["Content-Type"], await answer.text()


@asynccontextmanager
async def served(told: Told) -> AsyncIterator[Client]:
    server = HealthServer("127.0.0.1:0", told)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(server.url, session)
    finally:
        await server.stop()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_worker_is_alive_until_it_has_failed() -> None:
    async def main() -> None:
        told = Told()
        async with served(told) as client:
            status, kind, text = await client.ask("/healthz")
            assert (status, kind) == (200, "application/json")
            assert text == '{"ok":true,"why":"running"}\n'
            told.failed = "Kafka refuses a write"
            status, _, text = await client.ask("/healthz")
            assert status == 503
            assert text == '{"ok":false,"why":"Kafka refuses a write"}\n'

    run(main)


def test_one_check_that_fails_makes_a_worker_unready_and_says_why() -> None:
    async def main() -> None:
        told = Told()
        async with served(told) as client:
            assert (await client.ask("/readyz"))[0] == 200
            told.found[1] = Check("lag", False, "31,000 events wait")
            status, _, text = await client.ask("/readyz")
            assert status == 503
            assert '{"check":"lag","ok":false,"why":"31,000 events wait"}' in text
            assert '{"check":"redis","ok":true,"why":"answers"}' in text

    run(main)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", "application/openmetrics-text"),
    ],
)
def test_metrics_come_in_the_form_that_prometheus_asks_for(accept: str, kind: str) -> None:
    async def main() -> None:
        told = Told()
        told.metrics.add("geomon_alerts_total", "leave_city", "opened", by=3)
        async with served(told) as client:
            status, content_type, text = await client.ask("/metrics", accept)
        assert status == 200
        assert content_type.startswith(kind)
        assert 'geomon_alerts_total{kind="leave_city",phase="opened"} 3.0\n' in text
        if "openmetrics" not in kind:
            families = {family.name for family in text_string_to_metric_families(text)}
            assert {"geomon_alerts", "geomon_people", "process_cpu_seconds"} <= families

    run(main)


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    async def main() -> None:
        first = HealthServer("127.0.0.1:0", Told())
        await first.start()
        try:
            second = HealthServer(first.url.removeprefix("http://"), Told())
            with pytest.raises(UnavailableError, match="cannot be served") as error:
                await second.start()
            await second.stop()
            assert "\n" not in str(error.value)
            assert "setting web" in str(error.value)
        finally:
            await first.stop()

    run(main)


@pytest.mark.parametrize("address", ["6066", ":6066", "localhost:", "localhost:web", "a:65536"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="not host:port"):
        HealthServer(address, Told())


def test_it_answers_at_an_address_of_the_newer_kind() -> None:
    async def main() -> None:
        server = HealthServer("[::1]:0", Told())
        try:
            await server.start()
        except UnavailableError as error:
            pytest.skip(f"no IPv6 here: {error}")
        try:
            assert server.url.startswith("http://[::1]:")
            async with aiohttp.ClientSession() as session:
                assert (await Client(server.url, session).ask("/healthz"))[0] == 200
        finally:
            await server.stop()

    run(main)
