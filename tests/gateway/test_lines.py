"""Devices over TCP, against the listener itself: answers, their order, and back-pressure.

Kafka is here a `Pier`; the whole way to an alert is in test_bands.py, with a broker and a worker.
"""

from __future__ import annotations

import asyncio

import pytest
import terminal808
from harbour import HOST, NUMBER, Harbour, band, harbour, here_now, signed_in
from reception import eventually, run
from terminal808 import Terminal, batch
from test_gt06 import IMEI, crc_itu, write
from test_gt06 import LOGIN as GT06_LOGIN

from geomon.gateway.lines import Line
from geomon.gateway.r16h import R16hTalk

# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", [2013, 2019])
def test_a_terminal_registers_proves_itself_reports_and_signs_off(edition: int) -> None:
    async def main() -> None:
        async with harbour() as here:
            terminal = Terminal(NUMBER, edition)
            await terminal.sign_in(HOST, here.port)
            assert terminal.code == f"code-{NUMBER}"
            assert (await terminal.ask(0x0002)).result == 0
            assert (await terminal.ask(0x0200, here_now())).result == 0
            many = batch([here_now()] * 3, stored=True)
            assert (await terminal.ask(0x0704, many)).result == 0
            assert (await terminal.ask(0x0003)).result == 0
            await terminal.disconnect()
            fixes = [len(event["fixes"]) for event in here.pier.landed]
            assert fixes == [0, 1, 3, 0]
            assert here.pier.landed[2]["stored"]
            assert {event["protocol"] for event in here.pier.landed} == {"jt808"}
            assert {event["device_id"] for event in here.pier.landed} == {NUMBER}
            assert here.counted("accepted") == 4

    run(main)


def test_nothing_is_answered_before_it_has_landed_and_all_in_order() -> None:
    async def main() -> None:
        async with harbour() as here, signed_in(here) as terminal:
            pier = here.pier
            pier.holds = True
            serials = []
            for message_id, body in ((0x0200, here_now()), (0x0002, b""), (0x0200, here_now())):
                serial, wire = terminal.message(message_id, body)
                serials.append(serial)
                await terminal.send(wire)
            await eventually(lambda: len(pier.waiting), lambda waiting: waiting == 3)
            pier.let(2)
            pier.let(1)
            await eventually(lambda: len(pier.landed), lambda landed: landed == 2)
            with pytest.raises(asyncio.TimeoutError):
                await terminal.answer(within_s=0.2)
            pier.let(0)
            assert [(await terminal.answer()).answers for _ in serials] == serials

    run(main)


def test_messages_that_come_in_pieces_or_all_at_once() -> None:
    async def main() -> None:
        async with harbour() as here, signed_in(here) as terminal:
            serials, stream = [], b"\x00garbage"
            for _ in range(40):
                serial, wire = terminal.message(0x0200, here_now())
                serials.append(serial)
                stream += wire + b"\xff"
            await terminal.send(stream)
            assert [(await terminal.answer()).answers for _ in serials] == serials
            serial, wire = terminal.message(0x0200, here_now())
            for byte in wire:
                await terminal.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await terminal.answer()).answers == serial
            assert len(here.pier.landed) == 41

    run(main)


# -- back-pressure ---------------------------------------------------------------------------------


def test_a_line_is_not_read_while_too_much_of_it_waits() -> None:
    async def main() -> None:
        async with (
            harbour(gateway_line_messages=4, gateway_device_rate=0.0) as here,
            signed_in(here) as terminal,
        ):
            here.pier.holds = True
            many = 5_000
            serials = [terminal.message(0x0002) for _ in range(many)]
            waited = [0]

            async def let_them_land() -> None:
                await eventually(lambda: len(here.pier.waiting), lambda waiting: waiting >= 4)
                while len(here.pier.landed) < many:
                    waited.append(len(here.pier.waiting))
                    if here.pier.waiting:
                        here.pier.let(0)
                    await asyncio.sleep(0)

            await asyncio.gather(
                terminal.send(b"".join(wire for _, wire in serials)), let_them_land()
            )
            answers = [(await terminal.answer()).answers for _ in serials]
            assert answers == [serial for serial, _ in serials]
            # Four, and what one piece of 256 bytes can hold besides.
            assert max(waited) <= 4 + 256 // len(serials[0][1]) + 1

    run(main)


def test_while_kafka_is_away_nothing_is_said_and_nothing_is_lost() -> None:
    async def main() -> None:
        async with harbour() as here, signed_in(here) as terminal:
            here.pier.is_away = True
            serial, wire = terminal.message(0x0200, here_now())
            await terminal.send(wire)
            await eventually(lambda: here.pier.tries, lambda tries: tries >= 2)
            assert here.pier.landed == []
            here.pier.is_away = False
            answer = await terminal.answer()
            assert (answer.answers, answer.result) == (serial, 0)
            assert len(here.pier.landed) == 1
            assert (here.counted("busy") or 0) >= 2

    run(main)


def test_what_is_on_its_way_when_a_device_hangs_up_still_lands() -> None:
    async def main() -> None:
        async with harbour() as here:
            async with signed_in(here) as terminal:
                here.pier.holds = True
                await terminal.send(terminal.message(0x0200, here_now())[1])
                await eventually(lambda: len(here.pier.waiting), lambda waiting: waiting == 1)
            await here.all_gone()
            here.pier.let_all()
            await eventually(lambda: len(here.pier.landed), lambda landed: landed == 1)
            await eventually(lambda: len(here.listener.busy), lambda busy: busy == 0)

    run(main)


def test_a_device_that_takes_no_answers_is_not_read() -> None:
    """Of the transport only what a line calls; a kernel's buffers are too large to fill here."""

    class Transport(asyncio.Transport):
        reads, unsent = True, 0

        def pause_reading(self) -> None:
            self.reads = False

        def resume_reading(self) -> None:
            self.reads = True

        def get_write_buffer_size(self) -> int:
            return self.unsent

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
            pass

        def is_closing(self) -> bool:
            return False

    async def main() -> None:
        here = Harbour("r16h", [], None)
        line, transport = Line(here.listener, R16hTalk(here.door.device)), Transport()
        line.connection_made(transport)
        transport.unsent = 1_000_000
        line.pause_writing()
        assert not transport.reads
        line.resume_writing()
        assert not transport.reads
        transport.unsent = 0
        line.resume_writing()
        assert transport.reads

    run(main)


def test_who_sends_too_much_is_slowed_down_and_not_refused() -> None:
    async def main() -> None:
        async with (
            harbour(gateway_device_rate=100.0, gateway_device_burst=5.0) as here,
            signed_in(here) as terminal,
        ):
            serials = []
            for _ in range(20):
                serial, wire = terminal.message(0x0002)
                serials.append(serial)
                await terminal.send(wire)
            assert [(await terminal.answer()).answers for _ in serials] == serials
            assert here.refused("too_many_requests") == 0
            assert len(here.pier.landed) == 20

    run(main)


# -- the other protocols ---------------------------------------------------------------------------


def test_a_gt06_terminal_is_answered_when_it_has_landed() -> None:
    async def main() -> None:
        devices = [band(IMEI, auth_code=None)]
        async with harbour("gt06", devices) as here:
            reader, writer = await asyncio.open_connection(HOST, here.port)
            writer.write(GT06_LOGIN)
            assert await reader.readexactly(10) == write(0x01, b"", 1)
            here.pier.holds = True
            writer.write(bytes.fromhex("78780a134004040001000fdcee0d0a"))
            await eventually(lambda: len(here.pier.waiting), lambda waiting: waiting == 1)
            here.pier.let_all()
            answer = await reader.readexactly(10)
            assert answer == write(0x13, b"", 15)
            assert crc_itu(answer[2:6]).to_bytes(2, "big") == answer[6:8]
            writer.close()
            await writer.wait_closed()
            assert here.pier.landed[0]["battery_pct"] == 55

    run(main)


def test_an_r16h_band_is_read_and_never_answered() -> None:
    async def main() -> None:
        imei = "356823031235028"
        async with harbour("r16h", [band(imei, auth_code=None)]) as here:
            reader, writer = await asyncio.open_connection(HOST, here.port)
            writer.write(
                f"@LINK,{imei}$@GPSD,{imei},S,20240213,040000,22.54310,N,114.05790,E,0,0,9,71,R,ULK$"
                f"@LBSD,{imei},R,20240213,040100,460-0-75f8-61c3715:-111,,,21,L,$".encode()
            )
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            await eventually(lambda: len(here.pier.landed), lambda landed: landed == 3)
            _, place, cell = here.pier.landed
            assert (place["stored"], place["strap"], len(place["fixes"])) == (True, "open", 1)
            assert (cell["fixes"], cell["cells"][0]["cell"]) == ([], 0x61C3715)

    run(main)


def test_what_a_terminal_reads_is_sound() -> None:
    """The terminal's own reader is strict: what it lets pass in these tests is the standard's."""
    wire = terminal808.write(0x8001, bytes(5), number=NUMBER, serial=1)
    assert terminal808.read(wire).result == 0
    with pytest.raises(AssertionError):
        terminal808.read(terminal808.write(0x8001, bytes(5), number=NUMBER, serial=1, spoil=1))
