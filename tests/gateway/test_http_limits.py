"""The gateway over HTTP: who may, how much, and what happens while Kafka is away."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from reception import (
    BAND,
    PHONE,
    TOKEN,
    Reception,
    device,
    eventually,
    hashed,
    reception,
    run,
)
from uploads import BEARER, own, post, upload

from geomon.errors import UnavailableError
from geomon.gateway.web import HttpListener


def test_a_device_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    async def main() -> None:
        other = device("phone-4", supervisee_id="SZ-0004", secrets=[hashed("other")])
        limits: dict[str, Any] = {"gateway_device_rate": 0.5, "gateway_device_burst": 3.0}
        async with reception(tmp_path, [PHONE, other], **limits) as here:
            statuses = [(await own(here, upload()))[0] for _ in range(5)]
            assert statuses == [200, 200, 200, 429, 429]
            bearer = {"Authorization": "Bearer other"}
            assert (await own(here, {**upload(), "device_id": "phone-4"}, bearer))[0] == 200
            assert here.refused("too_many_requests") == 2

    run(main)


def test_an_address_that_asks_too_often_is_not_even_read(tmp_path: Path) -> None:
    async def main() -> None:
        limits: dict[str, Any] = {"gateway_address_rate": 0.001, "gateway_address_burst": 14.0}
        async with reception(tmp_path, **limits) as here:
            wrong = {"Authorization": "Bearer wrong"}
            assert (await own(here, upload(), wrong))[0] == 401  # which costs eleven
            statuses = [(await own(here, upload()))[0] for _ in range(4)]
            assert statuses == [200, 200, 200, 429]

    run(main)


def test_what_is_too_large_is_refused_however_it_is_packed(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path, gateway_upload_bytes=4_096) as here:
            large = b" " * 5_000
            assert (await post(here, "/v1/uploads", data=large, headers=BEARER))[0] == 413

            async def pieces() -> Any:
                for _ in range(5):
                    yield large[:1_000]

            assert (await post(here, "/v1/uploads", data=pieces(), headers=BEARER))[0] == 413
            packed = {**BEARER, "Content-Encoding": "gzip"}
            bomb = gzip.compress(b" " * 1_000_000)
            assert len(bomb) < 4_096
            assert (await post(here, "/v1/uploads", data=bomb, headers=packed))[0] == 413
            small = gzip.compress(json.dumps(upload()).encode())
            assert (await post(here, "/v1/uploads", data=small, headers=packed))[0] == 200
            whole = gzip.compress(json.dumps(upload()).encode())
            for torn in (whole[:-20], whole[:5], b"not packed", whole + whole):
                assert (await post(here, "/v1/uploads", data=torn, headers=packed))[0] == 400
            assert here.refused("too_large") == 3

    run(main)


AUTHORISED = f"Authorization: Bearer {TOKEN}\r\n"
ROOM: dict[str, Any] = {
    "gateway_receive_s": 2.0,
    "gateway_upload_bytes": 1 << 20,
    "gateway_in_flight_bytes": 8 << 20,
}
HEAD = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 20}\r\n"


async def slow(here: Reception, said: bytes, source: str = "127.0.0.1") -> bytes:
    """Send what is the beginning of a request, and give what comes of it until the end."""
    host, port = here.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    writer.write(said)
    try:
        return await reader.read()
    finally:
        writer.close()


def test_who_announces_much_and_sends_nothing_takes_no_room(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path, **ROOM) as here:
            slow_ones = [
                asyncio.create_task(slow(here, f"{HEAD}\r\n{{".encode())) for _ in range(64)
            ]
            value = here.gateway.metrics.value
            await eventually(lambda: value("geomon_gateway_connections", "http"), lambda n: n == 64)
            assert (await own(here, upload()))[0] == 200
            for answer in await asyncio.gather(*slow_ones):
                assert answer.startswith(b"HTTP/1.1 408 ")
            # Who sends half a head, or nothing, gets no answer and an end.
            for said in (b"", b"POST /v1/upl", b"POST / HTTP/1.1\r\nHost: x\r\nX-A: "):
                assert (await slow(here, said))[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.0 400")

    run(main)


def test_one_address_can_fill_its_own_share_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path, **ROOM | {"gateway_receive_s": 5.0}) as here:
            large = f"{HEAD}\r\n".encode() + b" " * ((1 << 20) - 10)
            slow_ones = [asyncio.create_task(slow(here, large)) for _ in range(2)]

            listener = here.gateway.listeners["http"]
            assert isinstance(listener, HttpListener)
            await eventually(lambda: listener._receiving.bytes, lambda held: held > 2_097_000)
            assert (await own(here, upload(*range(10))))[0] == 503
            small = json.dumps(upload()).encode()
            head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{AUTHORISED}"
            whole = f"{head}Content-Length: {len(small)}\r\n\r\n".encode() + small
            assert (await slow(here, whole, "127.0.0.2")).startswith(b"HTTP/1.1 200 ")
            answers = await asyncio.gather(*slow_ones)
            assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}
            assert (await own(here, upload()))[0] == 200

    run(main)


def test_guessing_ids_costs_as_much_as_guessing_secrets(tmp_path: Path) -> None:
    """Or how soon an address is told to wait would say which ids there are."""

    async def main() -> None:
        for named in ("phone-3", "phone-9"):
            limits: dict[str, Any] = {"gateway_address_rate": 0.1, "gateway_address_burst": 30.0}
            async with reception(tmp_path, **limits) as here:
                wrong = {"Authorization": "Bearer wrong"}
                asked = {**upload(), "device_id": named}
                statuses = [(await own(here, asked, wrong))[0] for _ in range(4)]
                assert statuses == [401, 401, 401, 429]

    run(main)


def test_connections_past_the_most_are_closed(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path, gateway_connections=2) as here:
            host, port = here.url.removeprefix("http://").split(":")
            held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
            reader, writer = await asyncio.open_connection(host, int(port))
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            for _, opened in held:
                opened.close()

            async def status() -> int:
                async with ClientSession() as client:
                    try:
                        answer = await client.post(
                            here.url + "/v1/uploads", json=upload(), headers=BEARER
                        )
                    except (OSError, ClientError):
                        return 0
                    return answer.status

            assert await eventually(status, lambda found: found == 200)

    run(main)


def test_what_is_no_http_is_refused_and_the_gateway_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            host, port = here.url.removeprefix("http://").split(":")
            for garbage in (b"\x7e\x00\x02\x00\x00\x7e", b"GET " + b"a" * 100_000, b"\x16\x03\x01"):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(garbage + b"\r\n\r\n")
                writer.write_eof()
                try:
                    answer = await reader.read()
                except ConnectionError:
                    answer = b""
                assert answer[9:12] in (b"400", b"")
                writer.close()
            assert (await own(here, upload()))[0] == 200
            async with here.client.get(here.url + "/v1/uploads") as response:
                assert response.status == 405
            async with here.client.post(here.url + "/elsewhere") as response:
                assert response.status == 404

    run(main)


def test_an_address_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            async with reception(tmp_path) as here:
                address = f"127.0.0.1:{taken.getsockname()[1]}"
                door, settings = here.gateway.door, here.gateway.settings
                with pytest.raises(UnavailableError, match="another address by the setting"):
                    await HttpListener(address, door, settings, None).start()

    run(main)


def test_the_band_of_the_registry_is_a_wristband(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path, [BAND]) as here:
            bearer = {"Authorization": "Bearer of-the-band"}
            band = {**upload(), "device_id": "band-17", "strap": "open", "device": "phone"}
            assert (await own(here, band, bearer))[0] == 200
            (event,) = await here.events()
            assert (event["device"], event["datum"], event["strap"]) == (
                *("wristband", "gcj02", "open"),
            )

    run(main)
