"""Real clients, each to an alert: gateway and worker are processes, Kafka and Redis real servers.

In each test somebody is at home in Shenzhen, leaves the city, and is told of in Redis' log. The
clients are curl, as the documents of Traccar Client and OwnTracks have it; Mosquitto's own client
through a Mosquitto; a JT/T 808 terminal written from the standard; and frames of GT06 and R16H.

    https://www.traccar.org/osmand/               https://owntracks.org/booklet/tech/http/
    https://owntracks.org/booklet/tech/json/      https://owntracks.org/booklet/tech/mqtt/
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
import pytest
import redis
from faults.gateway import GatewayProcess, free_ports
from faults.process import WorkerProcess
from mosquitto import Mosquitto
from realkafka import forget_topics
from reception import device, hashed, roll
from terminal808 import Terminal, batch, position
from test_gt06 import IMEI, place, write
from test_gt06 import LOGIN as GT06_LOGIN

from geomon.embedded.kafka import KafkaCluster
from geomon.embedded.redis import EmbeddedRedis

PATIENCE_S = 60.0
HOST = "127.0.0.1"
SHENZHEN, DONGGUAN = (114.0579, 22.5431), (113.7520, 23.0205)
TOKEN = "one-of-their-own"  # noqa: S105
TERMINALS = {2013: "13912345678", 2019: "13987654321"}
R16H = "356823031235028"
#: Who has which device. Phones and trackers are of WGS-84; terminals as sold in China of GCJ-02.
DEVICES = {
    "SZ-0001": device("70201", secrets=[hashed(TOKEN)]),
    "SZ-0002": device("48241179", secrets=[hashed(TOKEN)]),
    "SZ-0003": device("li-phone", secrets=[hashed(TOKEN)]),
    "SZ-0004": device("jane:phone", secrets=[]),
    "SZ-2013": device(TERMINALS[2013], datum="gcj02", secrets=[], auth_code="code-13"),
    "SZ-2019": device(TERMINALS[2019], datum="gcj02", secrets=[], auth_code="code-19"),
    "SZ-0006": device(IMEI, secrets=[], model="GT06N"),
    "SZ-0016": device(R16H, secrets=[], model="R16H"),
}
BANDS = ("SZ-2013", "SZ-2019", "SZ-0006", "SZ-0016")
Fix = tuple[datetime, float, float]


@dataclass(frozen=True)
class Town:
    """What runs: where the gateway takes each protocol, and what is told in Redis."""

    ports: dict[str, int]
    log: Any  # a client of Redis
    broker: Mosquitto | None
    folder: Path

    @property
    def http(self) -> str:
        return f"http://{HOST}:{self.ports['http']}"

    def away(self) -> list[Fix]:
        """An hour at home, and then, to this moment, a quarter of an hour in Dongguan."""
        now = datetime.now(timezone.utc).replace(microsecond=0)
        return [
            (now - timedelta(minutes=ago), *(SHENZHEN if ago > 20 else DONGGUAN))
            for ago in (80, 60, 40, 15, 10, 5, 0)
        ]

    def tells_that(self, person: str, kind: str = "leave_city") -> None:
        """Wait until the log in Redis has an alert of this kind about the person."""
        end = time.monotonic() + PATIENCE_S
        while True:
            entries = self.log.xrange("geomon:alerts:log")
            alerts = [msgspec.json.decode(fields[b"event"]) for _, fields in entries]
            told = [a["data"] for a in alerts if a["subject"] == person]
            found = [data for data in told if data["kind"] == kind]
            if found:
                assert found[0]["place"] == "441900"  # Dongguan
                assert found[0]["reason"] == "outside_without_leave"
                return
            if time.monotonic() > end:
                pytest.fail(f"nothing of the kind is told of {person}, but {told}: {self.logs()}")
            time.sleep(0.05)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*/output")))

    def until_ready(self) -> None:
        """Wait until the gateway says that it is: Kafka, the registry, every listener."""
        end = time.monotonic() + PATIENCE_S
        why = ""
        while True:
            try:
                with urlopen(f"http://{HOST}:{self.ports['web']}/readyz", timeout=5.0):
                    return
            except HTTPError as error:
                why = error.read().decode()
            except URLError as error:
                why = str(error.reason)
            assert time.monotonic() < end, (why, self.logs())
            time.sleep(0.05)


def geomon(settings: dict[str, Any], *words: str) -> None:
    """Type a command."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GEOMON_")}
    environment |= {f"GEOMON_{name.upper()}": str(value) for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "geomon", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def town(kafka: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    asyncio.run(forget_topics(kafka.bootstrap))
    everybody = [
        {**told, "supervisee_id": person, "device": "wristband" if person in BANDS else "phone"}
        for person, told in DEVICES.items()
    ]
    with ExitStack() as stack:
        stack.callback(lambda: asyncio.run(forget_topics(kafka.bootstrap)))
        server = stack.enter_context(EmbeddedRedis())
        settings = {
            "kafka": kafka.bootstrap,
            "app_id": f"town-{os.getpid()}",
            "partitions": 4,
            "replication": 1,
        }
        geomon(settings, "topics", "create", "--gateway")
        devices = roll(folder / "devices.ndjson", *everybody)
        geomon(settings, "gateway", "devices", "announce", str(devices))
        judging = {"redis": server.url, "clock": "wall", "clock_slack_s": 0, "settle_s": 1}
        judging |= {"session_timeout_s": 6, "web": "", "canary_s": 0}
        worker = WorkerProcess("worker", folder, settings | judging)
        stack.callback(worker.kill)
        broker = _mosquitto(folder)
        if broker is not None:
            broker.start()
            stack.callback(broker.stop)
        ports = dict(zip(("http", "jt808", "gt06", "r16h", "web"), free_ports(5), strict=True))
        listening = {f"gateway_{name}": f"{HOST}:{port}" for name, port in ports.items()}
        listening |= {"gateway_mqtt": broker.url if broker else "", "gateway_mqtt_client": "town"}
        gateway = GatewayProcess("gateway", folder, settings | listening)
        stack.callback(gateway.kill)
        log = stack.enter_context(redis.Redis.from_url(server.url))
        running = Town(ports, log, broker, folder)
        gateway.until_running()
        running.until_ready()
        worker.until_running()
        yield running
        assert gateway.alive
        assert worker.alive


def _mosquitto(folder: Path) -> Mosquitto | None:
    """Give a broker, or none where there is no Mosquitto: then its test alone is skipped."""
    try:
        return Mosquitto(folder / "mosquitto")
    except pytest.skip.Exception:
        return None


def curl(*words: str) -> str:
    """Run curl; give the body of the answer, whose status is 200."""
    program = shutil.which("curl")
    if program is None:
        assert os.environ.get("CI") != "true", "in CI these tests run: curl is missing"
        pytest.skip("curl is missing")
    done = subprocess.run(
        [program, "--silent", "--show-error", "--write-out", "\n%{http_code}", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    assert status == "200", body
    return body


def test_traccar_client_by_its_query(town: Town) -> None:
    for at, lon, lat in town.away():
        query = {
            "id": "70201",
            "token": TOKEN,
            "timestamp": int(at.timestamp()),
            "lat": lat,
            "lon": lon,
            "speed": "0.0",
            "bearing": "0.0",
            "altitude": "31.0",
            "accuracy": "12.5",
            "batt": "77.0",
        }
        assert curl("-X", "POST", f"{town.http}/?{urlencode(query)}") == ""
    town.tells_that("SZ-0001")


def test_traccar_client_by_its_json(town: Town) -> None:
    for at, lon, lat in town.away():
        location = {
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "coords": {
                "latitude": lat,
                "longitude": lon,
                "accuracy": 12.5,
                "speed": 0.2,
                "heading": 45.1,
                "altitude": 31.0,
            },
            "is_moving": False,
            "odometer": 0,
            "event": "motionchange",
            "battery": {"level": 0.77, "is_charging": False},
            "activity": {"type": "still"},
            "extras": {},
        }
        body = json.dumps({"location": location, "device_id": "48241179"})
        url = f"{town.http}/osmand?token={TOKEN}"
        assert curl("-H", "Content-Type: application/json", "-d", body, url) == ""
    town.tells_that("SZ-0002")


def owntracks(fix: Fix) -> str:
    at, lon, lat = fix
    place = {"_type": "location", "tid": "li", "tst": int(at.timestamp()), "lat": lat, "lon": lon}
    return json.dumps({**place, "acc": 12, "alt": 31, "batt": 77, "bs": 1, "conn": "m", "vel": 0})


def test_owntracks_over_http(town: Town) -> None:
    for fix in town.away():
        said = curl(
            *("--user", f"li-phone:{TOKEN}"),
            *("-H", "X-Limit-U: li", "-H", "X-Limit-D: phone"),
            *("-H", "Content-Type: application/json", "--data", owntracks(fix)),
            f"{town.http}/owntracks",
        )
        assert json.loads(said) == []
    town.tells_that("SZ-0003")


def test_owntracks_over_mqtt(town: Town) -> None:
    if town.broker is None:
        pytest.skip("mosquitto is missing")
    # From here on the broker keeps what the gateway has not taken.
    town.broker.until(lambda: town.broker is None or "SUBACK to town" in town.broker.log)
    town.broker.publish("owntracks/jane/phone", *map(owntracks, town.away()))
    town.tells_that("SZ-0004")


@pytest.mark.parametrize("edition", [2013, 2019])
def test_a_jt808_terminal(edition: int, town: Town) -> None:
    async def main() -> None:
        terminal = Terminal(TERMINALS[edition], edition=edition)
        await terminal.sign_in(HOST, town.ports["jt808"])
        fixes = [position(at, lon, lat, kmh=1.8) for at, lon, lat in town.away()]
        # It was out of coverage for the first half of the way.
        kept = await terminal.ask(0x0704, batch(fixes[:4], stored=True))
        assert kept.result == 0
        for fix in fixes[4:]:
            assert (await terminal.ask(0x0200, fix)).result == 0
        assert (await terminal.ask(0x0002)).result == 0
        await terminal.disconnect()

    asyncio.run(main())
    town.tells_that(f"SZ-{edition}")


def test_a_gt06_tracker(town: Town) -> None:
    with (
        socket.create_connection((HOST, town.ports["gt06"]), PATIENCE_S) as line,
        line.makefile("rb") as answers,
    ):
        line.sendall(GT06_LOGIN)
        assert answers.read(10) == write(0x01, b"", 1)
        for serial, (at, lon, lat) in enumerate(town.away(), 2):
            line.sendall(write(0x22, place(at, lon, lat), serial))
            assert answers.read(10) == write(0x22, b"", serial)
    town.tells_that("SZ-0006")


def test_an_r16h_wristband(town: Town) -> None:
    with socket.create_connection((HOST, town.ports["r16h"]), PATIENCE_S) as line:
        line.sendall(f"@LINK,{R16H}$".encode())
        for at, lon, lat in town.away():
            head = f"@GPSD,{R16H},R,{at:%Y%m%d,%H%M%S}"
            line.sendall(f"{head},{lat:.5f},N,{lon:.5f},E,0,111,36,72,L,$".encode())
    town.tells_that("SZ-0016")
