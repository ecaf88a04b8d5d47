"""Devices over TCP, against the listener itself: answers, order, back-pressure, and who is let go.

Kafka is here a `Pier` that says when something has landed; the whole way to an alert is in
test_bands.py, with a broker and a worker.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
import terminal808
from reception import PATIENCE_S, eventually, run
from terminal808 import Terminal, batch, position
from test_gt06 import IMEI, crc_itu, write
from test_gt06 import LOGIN as GT06_LOGIN

from geomon.errors import UnavailableError
from geomon.gateway.door import Door
from geomon.gateway.limits import Limits
from geomon.gateway.lines import Line
from geomon.gateway.metrics import Metrics
from geomon.gateway.publisher import Busy
from geomon.gateway.r16h import R16hTalk
from geomon.gateway.registry import Device, Registry
from geomon.gateway.tcp import TcpListener, listener
from geomon.settings import Settings

NUMBER = "13912344329"
PLACE = (114.0579, 22.5431)
HOST = "127.0.0.1"


class Pier:
    """Where events land: at once, when they are let, or not at all."""

    def __init__(self) -> None:
        self.landed: list[dict[str, Any]] = []
        self.waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self.holds = False
        self.is_away = False
        self.tries = 0

    async def put(self, key: str, value: bytes, *, topic: str = "geomon.events") -> None:
        event = msgspec.json.decode(value)
        assert topic != "geomon.events" or event["supervisee_id"] == key
        self.tries += 1
        if self.is_away:
            raise Busy("away")
        if self.holds:
            done = asyncio.get_running_loop().create_future()
            self.waiting.append((event, done))
            await done
        self.landed.append(event)

    def let(self, at: int) -> None:
        """Let one of those that wait land."""
        _, done = self.waiting.pop(at)
        if not done.done():
            done.set_result(None)

    def let_all(self) -> None:
        self.holds = False
        while self.waiting:
            self.let(0)


class Harbour:
    """A listener and what is behind it."""

    def __init__(self, protocol: str, devices: list[Device], tls: Any, **settings: Any) -> None:
        self.pier = Pier()
        self.metrics = Metrics()
        registry = Registry()
        registry.expect("here")
        for device in devices:
            registry.announce("here", device)
        registry.complete("here")
        self.registry = registry
        wanted = replace(Settings(), **settings)
        self.door = Door(
            registry,
            self.pier,  # type: ignore[arg-type]
            Limits(
                device_rate=wanted.gateway_device_rate,
                device_burst=wanted.gateway_device_burst,
                address_rate=wanted.gateway_address_rate,
                address_burst=wanted.gateway_address_burst,
            ),
            self.metrics,
        )
        self.listener = listener(protocol, f"{HOST}:0", self.door, wanted, tls)

    @property
    def port(self) -> int:
        return int(self.listener.where.rpartition(":")[2])

    def counted(self, outcome: str) -> float | None:
        protocol = self.listener.protocol
        return self.metrics.value("geomon_gateway_uploads_total", protocol, outcome)

    def refused(self, reason: str) -> float | None:
        return self.metrics.value("geomon_gateway_refusals_total", reason)

    def connections(self) -> float | None:
        return self.metrics.value("geomon_gateway_connections", self.listener.protocol)

    async def all_gone(self) -> None:
        await eventually(lambda: self.listener.lines, lambda lines: lines == 0)
        assert not self.connections()


def band(device_id: str = NUMBER, **fields: Any) -> Device:
    return Device(
        **{
            "device_id": device_id,
            "supervisee_id": f"SZ-{device_id[-4:]}",
            "device": "wristband",
            "datum": "wgs84",
            "auth_code": f"code-{device_id}",
            **fields,
        }
    )


@asynccontextmanager
async def harbour(
    protocol: str = "jt808",
    devices: list[Device] | None = None,
    tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[Harbour]:
    here = Harbour(protocol, [band()] if devices is None else devices, tls, **settings)
    await here.listener.start()
    try:
        yield here
    finally:
        await here.listener.stop(1.0)
        await here.all_gone()


def here_now() -> bytes:
    return position(datetime.now(timezone.utc), *PLACE)


@asynccontextmanager
async def signed_in(here: Harbour, number: str = NUMBER) -> AsyncIterator[Terminal]:
    terminal = Terminal(number)
    await terminal.sign_in(HOST, here.port)
    try:
        yield terminal
    finally:
        await terminal.disconnect()


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


# -- who is let go ---------------------------------------------------------------------------------


def test_who_is_refused_is_told_so_in_the_protocol_and_hung_up_on() -> None:
    async def main() -> None:
        async with harbour() as here:
            stranger = Terminal("13800000000")
            await stranger.connect(HOST, here.port)
            assert (await stranger.register()).result == 4
            assert await stranger.is_hung_up()
            await stranger.disconnect()
            assert here.refused("unknown_device") == 1
            impostor = Terminal(NUMBER)
            await impostor.connect(HOST, here.port)
            assert (await impostor.prove("code-of-another")).result == 1
            assert await impostor.is_hung_up()
            await impostor.disconnect()
            assert here.refused("wrong_secret") == 1
            forward = Terminal(NUMBER)
            await forward.connect(HOST, here.port)
            assert (await forward.ask(0x0200, here_now())).result == 1
            assert await forward.is_hung_up()
            await forward.disconnect()
            assert here.refused("no_secret") == 1
            assert here.pier.landed == []
            assert here.counted("refused") == 3

    run(main)


def test_an_address_that_guesses_codes_may_not_go_on_for_long() -> None:
    async def main() -> None:
        async with harbour(gateway_address_rate=0.001, gateway_address_burst=30.0) as here:
            for _ in range(5):
                impostor = Terminal(NUMBER)
                await impostor.connect(HOST, here.port)
                await asyncio.gather(impostor.prove("guess"), return_exceptions=True)
                assert await impostor.is_hung_up()
                await impostor.disconnect()
            await eventually(
                lambda: here.refused("too_many_requests"), lambda refused: (refused or 0) >= 1
            )
            assert here.refused("wrong_secret") == 3

    run(main)


def test_who_does_not_say_who_it_is_is_let_go() -> None:
    async def main() -> None:
        async with harbour(gateway_login_s=1.0) as here:
            silent, busy = Terminal(NUMBER), Terminal(NUMBER)
            await silent.connect(HOST, here.port)
            await busy.connect(HOST, here.port)
            assert await silent.is_hung_up()

            # To register again and again is not to say who one is.
            async def register_for_ever() -> None:
                while (await busy.register()).result == 0:
                    await asyncio.sleep(0.05)

            with pytest.raises((EOFError, ConnectionError)):
                await register_for_ever()
            await silent.disconnect()
            await busy.disconnect()
            await here.all_gone()

    run(main)


def test_a_line_on_which_nothing_comes_any_more_is_closed() -> None:
    async def main() -> None:
        async with harbour(gateway_idle_s=1.0) as here, signed_in(here) as terminal:
            assert await terminal.is_hung_up()
            assert here.counted("refused") == 0

    run(main)


def test_garbage_without_end_is_hung_up_on() -> None:
    async def main() -> None:
        async with harbour() as here, signed_in(here) as terminal:
            await terminal.send(b"\x7e\x01\x02" * 15 + terminal.message(0x0002)[1])
            assert (await terminal.answer()).result == 0
            await terminal.send(b"\x7e\x01\x02" * 100)
            assert await terminal.is_hung_up()
            assert here.metrics.value("geomon_gateway_rejections_total", "bad_length")

    run(main)


def test_more_connections_than_there_may_be_are_not_taken() -> None:
    async def main() -> None:
        async with harbour(gateway_connections=2) as here:
            async with signed_in(here), signed_in(here):
                third = Terminal(NUMBER)
                await third.connect(HOST, here.port)
                assert await third.is_hung_up()
                await third.disconnect()
                assert here.refused("too_many_requests") == 1
                assert "no more are taken" in here.listener.trouble()
            await here.all_gone()
            async with signed_in(here):
                assert here.listener.trouble() == ""

    run(main)


def test_while_the_registry_is_not_read_a_terminal_is_hung_up_on_and_told_nothing() -> None:
    async def main() -> None:
        async with harbour() as here:
            here.registry.expect("another roll")
            terminal = Terminal(NUMBER)
            await terminal.connect(HOST, here.port)
            with pytest.raises(EOFError):
                await terminal.register()
            await terminal.disconnect()
            assert here.counted("busy") == 1
            assert here.counted("refused") == 0

    run(main)


# -- many, and the end -----------------------------------------------------------------------------


def test_idle_lines_cost_no_tasks() -> None:
    async def main() -> None:
        devices = [band(str(13_900_000_000 + n)) for n in range(200)]
        async with harbour(devices=devices) as here:
            before = len(asyncio.all_tasks())
            terminals = [Terminal(device.device_id) for device in devices]
            for terminal in terminals:
                await terminal.sign_in(HOST, here.port)
            assert here.connections() == len(devices)
            assert len(asyncio.all_tasks()) == before
            assert here.listener.busy == set()
            assert (await terminals[77].ask(0x0002)).result == 0
            for terminal in terminals:
                await terminal.disconnect()
            await here.all_gone()

    run(main)


def test_a_listener_that_stops_answers_what_it_has_read() -> None:
    async def main() -> None:
        async with harbour() as here, signed_in(here) as terminal:
            here.pier.holds = True
            serial, wire = terminal.message(0x0200, here_now())
            await terminal.send(wire)
            await eventually(lambda: len(here.pier.waiting), lambda waiting: waiting == 1)
            stopping = asyncio.create_task(here.listener.stop(PATIENCE_S))
            await asyncio.sleep(0)
            here.pier.let_all()
            assert (await terminal.answer()).answers == serial
            await stopping
            assert await terminal.is_hung_up()
            assert here.listener.trouble() == "it does not listen"

    run(main)


def test_a_listener_stops_although_kafka_is_away() -> None:
    async def main() -> None:
        async with harbour() as here, signed_in(here) as terminal:
            here.pier.is_away = True
            await terminal.send(terminal.message(0x0200, here_now())[1])
            await eventually(lambda: here.pier.tries, lambda tries: tries >= 1)
            await here.listener.stop(0.1)
            assert here.listener.busy == set()
            assert here.listener.lines == 0
            with pytest.raises((EOFError, ConnectionError)):
                await terminal.answer()

    run(main)


def test_an_address_that_is_taken_is_said() -> None:
    async def main() -> None:
        async with harbour() as here:
            other = TcpListener("gt06", f"{HOST}:{here.port}", here.door, Settings())
            with pytest.raises(UnavailableError, match="gateway_gt06"):
                await other.start()

    run(main)


def test_over_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)

    async def main() -> None:
        async with harbour(tls=serving, gateway_line_messages=4) as here:
            assert here.listener.where.startswith("tls://")
            terminal = Terminal(NUMBER)
            trusting = ssl.create_default_context(cafile=str(certificate))
            await terminal.connect(HOST, here.port, ssl=trusting)
            assert (await terminal.register()).result == 0
            assert (await terminal.prove()).result == 0
            serials = [terminal.message(0x0200, here_now()) for _ in range(500)]
            await terminal.send(b"".join(wire for _, wire in serials))
            answers = [(await terminal.answer()).answers for _ in serials]
            assert answers == [serial for serial, _ in serials]
            await terminal.disconnect()

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
