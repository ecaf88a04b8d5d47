"""`geomon gateway`, as it is typed: a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import ClientSession
from click.testing import CliRunner
from reception import (
    BAND,
    PATIENCE_S,
    PHONE,
    TOKEN,
    TOPICS,
    device,
    eventually,
    now_text,
    records_of,
    roll,
    run,
)

from geomon.cli import cli
from geomon.embedded.broker import EmbeddedBroker
from geomon.gateway.registry import device_of
from geomon.topics import DEVICES, EVENTS

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def upload() -> dict[str, Any]:
    return {
        "device_id": "phone-3",
        "fixes": [{"time": now_text(), "lon": 114.0579, "lat": 22.5431}],
    }


class Running:
    """`geomon gateway run` as a process, by what its log says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def until(self, words: str) -> re.Match[str]:
        """Give the words as a line of its log has them: one that was read before, or one to come.

        What a gateway does at its start goes side by side, so lines have no order of their own.
        """
        stderr = self.process.stderr
        assert stderr is not None
        seen = 0
        while True:
            for line in self.lines[seen:]:
                if found := re.search(words, line["message"]):
                    return found
            seen = len(self.lines)
            try:
                text = await asyncio.wait_for(stderr.readline(), PATIENCE_S)
            except asyncio.TimeoutError:
                pytest.fail(f"it has not said {words!r} within {PATIENCE_S:g} s: {self.lines}")
            if not text:
                pytest.fail(f"it ended without saying {words!r}: {self.lines}")
            self.lines.append(msgspec.json.decode(text))


@asynccontextmanager
async def running(folder: Path, *words: str, **environment: str) -> AsyncIterator[Running]:
    settings = {
        "GEOMON_GATEWAY_HTTP": "127.0.0.1:0",
        "GEOMON_GATEWAY_WEB": "127.0.0.1:0",
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "geomon", "gateway", "run", *words),
        cwd=folder,
        env={**os.environ, **settings},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def ended(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`geomon gateway run` without Kafka, with a mistake that ends it."""
    return subprocess.run(
        [sys.executable, "-m", "geomon", "gateway", "run", "--kafka", "127.0.0.1:1"],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_it_serves_is_ready_counts_and_sigterm_ends_it_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        devices = str(roll(tmp_path / "devices.ndjson", PHONE))
        with EmbeddedBroker(TOPICS) as broker:
            words = ("--kafka", broker.bootstrap, "--registry", "file", "--devices", devices)
            async with running(tmp_path, *words) as gateway, ClientSession() as client:
                web = (await gateway.until(r"serving (http://[\d.:]+)/healthz"))[1]
                url = (await gateway.until(r"taking http at (http://[\d.:]+)"))[1]
                await gateway.until("the gateway is running")

                async def ready() -> int:
                    async with client.get(f"{web}/readyz") as answer:
                        return answer.status

                await eventually(ready, lambda status: status == 200)
                # An upload that is under way when the gateway is told to stop is answered.
                broker.set_round_trip_ms(500)
                sent = asyncio.create_task(
                    client.post(f"{url}/v1/uploads", json=upload(), headers=BEARER)
                )

                async def in_flight() -> str:
                    async with client.get(f"{web}/metrics") as answer:
                        return await answer.text()

                flying = r"geomon_gateway_in_flight_bytes [1-9]"
                await eventually(in_flight, lambda page: re.search(flying, page) is not None)
                gateway.process.send_signal(signal.SIGTERM)
                assert (await sent).status == 200
                await gateway.until("the gateway has stopped")
                assert await asyncio.wait_for(gateway.process.wait(), PATIENCE_S) == 0
            broker.set_round_trip_ms(0)
            assert len(await records_of(broker.bootstrap, EVENTS)) == 1
            text = json.dumps(gateway.lines)
            assert "SZ-0001" not in text
            assert "phone-3" not in text

    run(main)


def test_killed_in_the_middle_it_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    async def main() -> None:
        devices = str(roll(tmp_path / "devices.ndjson", PHONE))
        acknowledged: set[int] = set()
        with EmbeddedBroker(TOPICS) as broker:
            words = ("--kafka", broker.bootstrap, "--registry", "file", "--devices", devices)
            async with running(tmp_path, *words) as gateway, ClientSession() as client:
                url = (await gateway.until(r"taking http at (http://[\d.:]+)"))[1]
                await gateway.until("connected to Kafka")

                async def phone(first: int) -> None:
                    """Sends one upload after another, until nobody answers any more."""
                    for seq in range(first, first + 10_000):
                        body = {**upload(), "seq": seq}
                        async with client.post(
                            f"{url}/v1/uploads", json=body, headers=BEARER
                        ) as answer:
                            if answer.status == 200:
                                acknowledged.add(seq)

                phones = [asyncio.create_task(phone(n * 10_000)) for n in range(8)]
                await eventually(lambda: len(acknowledged), lambda number: number >= 200)
                gateway.process.kill()
                ended = await asyncio.gather(*phones, return_exceptions=True)
                assert all(isinstance(end, aiohttp.ClientError) for end in ended)
            kept = {
                msgspec.json.decode(value)["seq"]
                for _, value in await records_of(broker.bootstrap, EVENTS)
            }
            assert len(acknowledged) >= 200
            assert acknowledged <= kept

    run(main)


def test_without_kafka_it_says_so_once_and_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            running(tmp_path, "--kafka", "127.0.0.1:1") as gateway,
            ClientSession() as client,
        ):
            url = (await gateway.until(r"taking http at (http://[\d.:]+)"))[1]
            async with client.post(f"{url}/v1/uploads", json=upload(), headers=BEARER) as answer:
                assert answer.status == 503
                assert answer.headers["Retry-After"]
            gateway.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(gateway.process.wait(), PATIENCE_S) == 0

    run(main)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GEOMON_GATEWAY_HTTP": ""}, "the gateway listens nowhere"),
        ({"GEOMON_GATEWAY_HTTP": "here"}, "gateway_http: 'here' is not host:port"),
        ({"GEOMON_GATEWAY_WEB": "here"}, "'here' is not host:port"),
        ({"GEOMON_GATEWAY_REGISTRY": "file"}, "needs gateway_devices"),
        ({"GEOMON_GATEWAY_TLS_CERT": "none.pem"}, "gateway_tls_cert none.pem: No such file"),
        ({"GEOMON_GATEWAY_TLS_KEY": "key.pem"}, "gateway_tls_key needs gateway_tls_cert"),
        ({"GEOMON_GATEWAY_LOCATOR": "none.csv"}, "none.csv"),
    ],
)
def test_a_mistake_is_one_line_and_exit_1(
    environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = ended(tmp_path, **environment)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert said in line


@pytest.mark.parametrize("address", ["1:2:3", "192.0.2.1:6070"])
def test_an_address_that_cannot_be_had_ends_it_though_kafka_is_away(
    address: str, tmp_path: Path
) -> None:
    """Whoever looks for Kafka is at that very moment closing a client, which is no time to hang."""
    done = ended(tmp_path, GEOMON_GATEWAY_HTTP=address, GEOMON_GATEWAY_WEB="")
    assert done.returncode == 1
    assert f"{address} cannot be served" in done.stderr.splitlines()[-1]


def certificate(folder: Path) -> ssl.SSLContext:
    """Write a new certificate and its key where the gateway looks; give the trust in it alone."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


def test_over_tls_with_the_gateways_certificate_and_then_with_a_renewed_one(tmp_path: Path) -> None:
    first = certificate(tmp_path)

    async def main() -> None:
        devices = str(roll(tmp_path / "devices.ndjson", PHONE))
        with EmbeddedBroker(TOPICS) as broker:
            words = ("--kafka", broker.bootstrap, "--registry", "file", "--devices", devices)
            tls = {"GEOMON_GATEWAY_TLS_CERT": "cert.pem", "GEOMON_GATEWAY_TLS_KEY": "key.pem"}
            async with running(tmp_path, *words, **tls) as gateway:
                url = (await gateway.until(r"taking http at (https://[\d.:]+)"))[1]
                await gateway.until("connected to Kafka")

                async def status(url: str, trust: ssl.SSLContext | bool = True) -> int:
                    async with (
                        ClientSession() as client,
                        client.post(
                            f"{url}/v1/uploads", json=upload(), headers=BEARER, ssl=trust
                        ) as answer,
                    ):
                        return answer.status

                assert await status(url, first) == 200
                with pytest.raises(aiohttp.ClientError):
                    await status(url.replace("https", "http"))
                # A key that does not fit changes nothing, until the certificate to it is there.
                (tmp_path / "cert.pem").rename(tmp_path / "old.pem")
                second = certificate(tmp_path)
                (tmp_path / "cert.pem").rename(tmp_path / "new.pem")
                (tmp_path / "old.pem").rename(tmp_path / "cert.pem")
                await gateway.until("the certificate stays as it was")
                assert await status(url, first) == 200
                (tmp_path / "new.pem").rename(tmp_path / "cert.pem")
                await gateway.until("the certificate was read again")
                assert await status(url, second) == 200
                with pytest.raises(aiohttp.ClientError):
                    await status(url, first)

    run(main)


# -- secrets and devices --------------------------------------------------------------------------


def geomon(*words: str) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_token_is_shown_once_and_its_hash_is_for_the_registry() -> None:
    made = msgspec.json.decode(geomon("gateway", "token", "--json"))
    token, entry = made["for_the_device"], made["for_the_registry"]
    assert entry == f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    assert len(token) >= 40
    found = device_of(json.dumps(device(secrets=[entry])).encode())
    assert found.knows_token(token)
    assert msgspec.json.decode(geomon("gateway", "token", "--json")) != made
    assert geomon("gateway", "token").count("\n") == 2


def test_a_key_to_sign_with() -> None:
    made = msgspec.json.decode(geomon("gateway", "token", "--hmac", "--json"))
    found = device_of(json.dumps(device(secrets=[made["for_the_registry"]])).encode())
    assert len(found.keys[0]) == 32


def test_devices_are_checked_as_a_gateway_reads_them_and_no_secret_is_shown(tmp_path: Path) -> None:
    gone = device("old", status="withdrawn", datum=None)
    bare = device("bare", datum=None, secrets=[], auth_code="1742")
    path = roll(tmp_path / "devices.ndjson", PHONE, BAND, gone, bare)
    done = CliRunner().invoke(cli, ["gateway", "devices", "check", "--json", str(path)])
    assert done.exit_code == 0
    rows = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert [(row["device_id"], row["tokens"], row["state"]) for row in rows] == [
        ("phone-3", 1, "active"),
        ("band-17", 1, "active"),
        ("old", 1, "withdrawn"),
        ("bare", 0, "active"),
    ]
    assert "bare: without datum" in done.stderr
    assert "without a secret" not in done.stderr
    assert "1742" not in done.output
    assert PHONE["secrets"][0] not in done.output
    roll(path, device("jane:phone", secrets=[]))
    done = CliRunner().invoke(cli, ["gateway", "devices", "check", str(path)])
    assert "jane:phone: without a secret, whoever" in done.stderr
    path.write_text("{}\n")
    done = CliRunner().invoke(cli, ["gateway", "devices", "check", str(path)])
    assert "devices.ndjson:1: missing_field: type" in str(done.exception)


def test_devices_that_are_announced_are_known_to_a_running_gateway(tmp_path: Path) -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            async with (
                running(tmp_path, "--kafka", broker.bootstrap) as gateway,
                ClientSession() as client,
            ):
                url = (await gateway.until(r"taking http at (http://[\d.:]+)"))[1]
                await gateway.until("0 devices read from geomon.devices")

                async def status() -> int:
                    async with client.post(
                        f"{url}/v1/uploads", json=upload(), headers=BEARER
                    ) as answer:
                        return answer.status

                assert await eventually(status, lambda found: found != 503) == 401
                path = roll(tmp_path / "devices.ndjson", PHONE, BAND)
                words = ("gateway", "devices", "announce", str(path), "--kafka", broker.bootstrap)
                await asyncio.to_thread(geomon, *words)
                await eventually(status, lambda found: found == 200)
                keys = {key for key, _ in await records_of(broker.bootstrap, DEVICES)}
                assert keys == {b"phone-3", b"band-17"}

    run(main)


def test_nothing_that_judges_is_imported_by_a_gateway() -> None:
    program = (
        "import sys, geomon.gateway.house, geomon.gateway.web\n"
        "heavy = {'faust', 'numpy', 'shapely', 'pyproj'} & set(sys.modules)\n"
        "ours = {m for m in sys.modules if m.startswith(('geomon.stream', 'geomon.zones'))}\n"
        "sys.exit(str(heavy | ours) if heavy | ours else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
