"""Devices over TCP that Kafka is too slow for: what waits keeps its place, and what is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from harbour import HOST, Harbour, Pier, band, harbour
from reception import eventually, run

from geomon.gateway.publisher import Busy

IMEI = "356823031235028"
BAND = band(IMEI, auth_code=None)


def place(minute: int, strap: str = "L") -> bytes:
    """What a wristband says of a minute past noon in China."""
    time = f"20240213,04{minute:02}00"
    return f"@GPSD,{IMEI},S,{time},22.54310,N,114.05790,E,0,0,9,71,{strap},$".encode()


@asynccontextmanager
async def line_to(here: Harbour) -> AsyncIterator[asyncio.StreamWriter]:
    _, writer = await asyncio.open_connection(HOST, here.port)
    try:
        yield writer
    finally:
        writer.close()
        await writer.wait_closed()


def straps(here: Harbour) -> list[str]:
    return [event["strap"] for event in here.pier.landed]


def test_a_strap_that_was_opened_is_not_told_as_closed_since_kafka_was_busy_once() -> None:
    class Hesitant(Pier):
        """Has no room for the first, and then has for what comes right after it."""

        async def put(self, key: str, value: bytes, *, topic: str = "geomon.events") -> None:
            self.tries += 1
            if self.tries == 1:
                raise Busy("once")
            await super().put(key, value, topic=topic)

    async def main() -> None:
        async with harbour("r16h", [BAND]) as here, line_to(here) as band:
            here.door.publisher = here.pier = Hesitant()  # type: ignore[assignment]
            band.write(place(0, "L"))
            await eventually(lambda: here.pier.tries, lambda tries: tries >= 1)
            band.write(place(1, "R") + place(2, "R"))
            await eventually(lambda: len(here.pier.landed), lambda landed: landed == 3)
            assert straps(here) == ["closed", "open", "open"]

    run(main)


def test_while_kafka_is_away_all_that_waits_stays_in_order() -> None:
    async def main() -> None:
        settings: dict[str, Any] = {"gateway_line_messages": 16}
        async with harbour("r16h", [BAND], **settings) as here, line_to(here) as band:
            here.pier.is_away = True
            band.write(b"".join(place(minute) for minute in range(10)))
            await eventually(lambda: here.pier.tries, lambda tries: tries >= 3)
            here.pier.is_away = False
            await eventually(lambda: len(here.pier.landed), lambda landed: landed == 10)
            minutes = [event["fixes"][0]["time"][14:16] for event in here.pier.landed]
            assert minutes == [f"{minute:02}" for minute in range(10)]

    run(main)


def test_what_a_band_without_answers_has_sent_is_taken_after_it_hung_up() -> None:
    """It was never told that something was not taken, and will not send it again."""

    async def main() -> None:
        settings: dict[str, Any] = {"gateway_device_rate": 20.0, "gateway_device_burst": 2.0}
        async with harbour("r16h", [BAND], **settings) as here:
            async with line_to(here) as band:
                band.write(b"".join(place(minute) for minute in range(12)))
                await eventually(lambda: len(here.pier.landed), lambda landed: landed >= 2)
                here.pier.is_away = True
            await here.all_gone()
            here.pier.is_away = False
            await eventually(lambda: len(here.pier.landed), lambda landed: landed == 12)
            assert len({event["fixes"][0]["time"] for event in here.pier.landed}) == 12
            await eventually(lambda: here.listener.lingering, lambda lines: lines == 0)

    run(main)


def test_lines_that_are_gone_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomon.gateway.lines._MOST_LINGERING", 2)

    async def main() -> None:
        async with harbour("r16h", [BAND]) as here:
            here.pier.is_away = True
            for minute in range(4):
                tries = here.pier.tries
                async with line_to(here) as band:
                    band.write(place(minute))
                    await eventually(lambda: here.pier.tries, lambda now: now > tries)  # noqa: B023
            await here.all_gone()
            # Two wait on; of the other two it is counted that they were put off for good.
            await eventually(lambda: len(here.listener.busy), lambda busy: busy == 2)
            assert here.listener.lingering == 2
            here.pier.is_away = False
            await eventually(lambda: len(here.listener.busy), lambda busy: busy == 0)
            assert len(here.pier.landed) == 2
            assert here.listener.lingering == 0

    run(main)


def test_before_the_registry_is_read_a_band_without_answers_is_not_read() -> None:
    async def main() -> None:
        async with harbour("r16h", [BAND]) as here:
            here.registry.expect("another roll")
            async with line_to(here) as band:
                band.write(b"".join(place(minute) for minute in range(5)))
                received = "geomon_gateway_received_bytes_total"
                await eventually(lambda: here.metrics.value(received, "r16h"), bool)
                (line,) = here.listener.carriers()
                line.sweep(asyncio.get_running_loop().time() + 60)  # when it should long have said
                assert here.connections() == 1
                assert here.counted("busy") == 0
                here.registry.complete("another roll")
                await eventually(lambda: len(here.pier.landed), lambda landed: landed == 5)

    run(main)
