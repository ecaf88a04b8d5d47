"""`geomon gateway`: takes in what devices send, and puts it into Kafka."""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import secrets
from contextlib import AsyncExitStack
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import click
import msgspec

from geomon.cli.options import config_option
from geomon.cli.output import json_option, print_rows, talk
from geomon.cli.service import Service
from geomon.errors import UnavailableError
from geomon.settings import Settings, load

__all__ = ["gateway"]

COLUMNS = ("device_id", "device", "datum", "model", "tokens", "keys", "auth_code", "state")
_TOKEN_BYTES, _KEY_BYTES = 32, 32

kafka_option = click.option(
    "--kafka", metavar="HOST:PORT,...", help="Default: the setting `kafka`."
)


@click.group()
def gateway() -> None:
    """Take in what phones and wristbands send, and put it into Kafka."""


@gateway.command()
@kafka_option
@click.option("--http", metavar="HOST:PORT", help="Default: the setting `gateway_http`.")
@click.option("--devices", metavar="FILE", help="Default: the setting `gateway_devices`.")
@click.option(
    "--registry",
    type=click.Choice(["topic", "file", "both"]),
    help="Where devices are looked up. Default: the setting `gateway_registry`.",
)
@config_option
def run(
    kafka: str | None,
    http: str | None,
    devices: str | None,
    registry: str | None,
    file: Path | None,
) -> None:
    """Run a gateway; SIGTERM or Ctrl-C lets what is under way end, and stops it.

    What it listens for is said by the settings gateway_http, gateway_jt808, gateway_gt06,
    gateway_r16h and gateway_mqtt.

    \b
    Examples:
      geomon gateway run --kafka kafka-1:9092,kafka-2:9092 --http 0.0.0.0:8080
      geomon gateway run --registry file --devices devices.ndjson
    """
    flags = {
        "kafka": kafka,
        "gateway_http": http,
        "gateway_devices": devices,
        "gateway_registry": registry,
    }
    settings, _ = load(flags, file=file)
    _run(settings)


@gateway.command()
@click.option("--hmac", is_flag=True, help="A key to sign with, in place of a token.")
@json_option
def token(hmac: bool, as_json: bool) -> None:
    """Make a secret for a device, and what the registry has of it.

    The first is for the device and is shown only here; the second goes into `secrets` of its event.

    \b
    Examples:
      geomon gateway token
      geomon gateway token --hmac --json
    """
    if hmac:
        secret = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
        entry = f"hmac:{secret}"
    else:
        secret = secrets.token_urlsafe(_TOKEN_BYTES)
        entry = f"sha256:{sha256(secret.encode()).hexdigest()}"
    row = {"for_the_device": secret, "for_the_registry": entry}
    if as_json:
        print_rows([row], as_json=True)
        return
    # Not a table: it would be cut at the terminal's edge, and what is cut cannot be copied.
    for name, value in row.items():
        click.echo(f"{name}\t{value}")


@gateway.group()
def devices() -> None:
    """Devices, as `device` events in a file, one a line."""


@devices.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> None:
    """Read a file of devices as a gateway would; exit 1 at the first line that is wrong.

    Secrets are counted, not shown.

    \b
    Example:
      geomon gateway devices check devices.ndjson
    """
    from geomon.gateway.rolls import read_devices  # noqa: PLC0415
    from geomon.wallclock import now_s  # noqa: PLC0415

    found = read_devices(file)
    now = now_s()
    rows = [
        {
            "device_id": device.device_id,
            "supervisee_id": device.supervisee_id,
            "device": device.device,
            "datum": device.datum,
            "model": device.model,
            "tokens": len(device.token_hashes),
            "keys": len(device.keys),
            "auth_code": "yes" if device.auth_code else "no",
            "from": _time(device.from_s),
            "until": _time(device.until_s),
            "state": device.barred(now).replace("_", " ") or "active",
        }
        for device in found.values()
    ]
    print_rows(rows, as_json=as_json, columns=COLUMNS)
    for device in found.values():
        if device.barred(now):
            continue
        warnings = []
        if device.datum is None:
            warnings.append("without datum, positions are refused that declare none")
        if not (device.token_hashes or device.keys or device.auth_code):
            warnings.append(
                "without a secret, whoever knows its id can speak for it by GT06 and R16H, and by "
                "MQTT whom the broker lets"
            )
        for warning in warnings:
            talk.print(f"{device.device_id}: {warning}", markup=False)


@devices.command()
@click.argument("devices_file", metavar="FILE", type=click.Path(path_type=Path))
@kafka_option
@config_option
def announce(devices_file: Path, kafka: str | None, file: Path | None) -> None:
    """Send a file of devices to `geomon.devices`; gateways know them within a second.

    \b
    Example:
      geomon gateway devices announce devices.ndjson --kafka kafka-1:9092
    """
    settings, _ = load({"kafka": kafka}, file=file)
    number = asyncio.run(_announce(devices_file, settings.kafka))
    talk.print(f"{number:,} devices announced", markup=False)


async def _announce(path: Path, kafka: str) -> int:
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from geomon.gateway.rolls import read_devices  # noqa: PLC0415
    from geomon.topics import DEVICES  # noqa: PLC0415

    read_devices(path)  # all of it is sound, or nothing is sent
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
    sent = 0
    try:
        await producer.start()
        for line in path.read_bytes().splitlines():
            if line.strip():
                key = str(msgspec.json.decode(line)["device_id"]).encode()
                await producer.send_and_wait(DEVICES, line, key=key)
                sent += 1
    except (KafkaError, OSError, asyncio.TimeoutError) as error:
        raise UnavailableError(f"Kafka at {kafka}: {error or type(error).__name__}") from None
    finally:
        await producer.stop()
    return sent


def _time(posix_s: float) -> datetime | None:
    if abs(posix_s) == float("inf"):
        return None
    return datetime.fromtimestamp(posix_s, timezone.utc)


def _run(settings: Settings) -> None:
    from geomon.gateway.house import Gateway  # noqa: PLC0415

    service = Service("geomon.gateway")
    log = service.log

    async def serve() -> None:
        stop = service.told_to_stop()
        house = Gateway(settings)
        async with AsyncExitStack() as stack:
            await service.tell_health(stack, settings.gateway_web, house)
            await stack.enter_async_context(house.running())
            # What was imported stays: the collector need not look through it with every upload.
            gc.collect()
            gc.freeze()
            log.info("the gateway is running")
            await stop.wait()
            log.info("stopping: what is under way ends")
        log.info("the gateway has stopped")

    service.log_as(settings.log_format)
    # How Kafka is doing is said by us, once; aiokafka says it at every attempt.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    service.run(serve)
