"""Devices over TCP that are let go, many of them, and the end of the listener."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from harbour import HOST, NUMBER, band, harbour, here_now, signed_in
from reception import PATIENCE_S, eventually, run
from terminal808 import Terminal

from geomon.errors import UnavailableError
from geomon.gateway.tcp import TcpListener
from geomon.settings import Settings

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
