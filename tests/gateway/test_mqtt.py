"""OwnTracks over MQTT, from Mosquitto's own client through a real Mosquitto into Kafka."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mosquitto import mosquitto
from reception import eventually, reception, run
from redis.asyncio import Redis
from subscribed import (
    GUANGZHOU,
    HOME,
    JANE,
    TOPIC,
    acknowledged,
    arrived,
    counted,
    gateway,
    location,
    mqtt_of,
    numbered,
)

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.errors import Refusal, SettingsError
from geomon.gateway.mqtt import device_of
from geomon.gateway.mqttlink import broker_of
from geomon.settings import Settings
from geomon.zones.index import ZoneIndex

# -- what is taken ---------------------------------------------------------------------------------


def test_a_phone_that_is_in_guangzhou_is_told_of_in_redis(zones: ZoneIndex, tmp_path: Path) -> None:
    async def main() -> None:
        settings = Settings(settle_s=1)
        with mosquitto(tmp_path) as broker:
            async with (
                embedded_parts(settings) as parts,
                embedded_worker(parts, zones),
                gateway(tmp_path, broker, kafka=parts.kafka),
                Redis.from_url(parts.redis) as redis,
            ):
                broker.publish(TOPIC, *[location(60 * n, GUANGZHOU) for n in range(30, -1, -1)])

                async def alerts() -> list[Any]:
                    entries: Any = await redis.xrange("geomon:alerts:log")
                    return [msgspec.json.decode(fields[b"event"])["data"] for _, fields in entries]

                def has_left(alerts: list[Any]) -> bool:
                    return "leave_city" in {alert["kind"] for alert in alerts}

                told = await eventually(alerts, has_left)
                assert {alert["episode"].partition("/")[0] for alert in told} == {"SZ-0001"}

    run(main)


def test_a_location_becomes_an_event_of_whom_the_registry_names(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                broker.publish(TOPIC, location(vel=36, SSID="home"))
                await counted(here, "accepted", 1)
                (event,) = await here.events()
                assert event["supervisee_id"] == "SZ-0001"
                assert event["device_id"] == "jane:phone"
                assert (event["datum"], event["protocol"]) == ("wgs84", "mqtt")
                assert event["fixes"][0]["speed_mps"] == 10.0
                assert event["device_signs"] == ["SSID=home"]
                assert not event.get("stored")

    run(main)


def test_what_has_waited_counts_as_from_the_devices_memory(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                broker.publish(TOPIC, location(ago_s=3_600))
                await counted(here, "accepted", 1)
                (event,) = await here.events()
                assert event["stored"] is True

    run(main)


def test_what_a_phone_says_below_its_topic_and_what_is_said_to_it(tmp_path: Path) -> None:
    async def main() -> None:
        transition = json.dumps(
            {"_type": "transition", "event": "leave", "tst": int(time.time())}
            | {"lon": HOME[0], "lat": HOME[1], "acc": 30, "wtst": 1, "desc": "home"}
        )
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                broker.publish(f"{TOPIC}/cmd", '{"_type":"cmd","action":"reportLocation"}')
                broker.publish(f"{TOPIC}/info", '{"_type":"card","name":"Jane"}')
                broker.publish(f"{TOPIC}/dump", '{"_type":"dump","configuration":{}}')
                broker.publish("owntracks/jane", location())
                broker.publish(f"{TOPIC}/event", transition)
                broker.publish(f"{TOPIC}/waypoint", '{"_type":"waypoint","desc":"home"}')
                await counted(here, "accepted", 2)
                events = await here.events()
                assert sorted(len(event["fixes"]) for event in events) == [0, 1]
                assert len(broker.sent_to("geomon-a")) == 2

    run(main)


def test_a_message_that_nobody_waits_for_an_answer_to(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                broker.publish(TOPIC, location(), options=("-q", "0"))
                await counted(here, "accepted", 1)
                assert len(await here.events()) == 1
                assert broker.acknowledged_by("geomon-a") == []

    run(main)


def test_a_lost_connection_is_told_by_the_broker_and_is_no_word_of_the_phone(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                broker.publish(TOPIC, json.dumps({"_type": "lwt", "tst": int(time.time())}))
                await acknowledged(broker, "geomon-a", 1)
                assert await here.events() == []

    run(main)


# -- what is not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ('{"_type": "location", "tst": 17', "broken_json"),
        ("no JSON", "broken_json"),
        ('{"_type": "encrypted", "data": "x"}', "not_of_protocol"),
        ('{"_type": "location", "tst": 1707796800}', "missing_field"),
        ("[" * 5_000, "too_deep"),
    ],
)
def test_poison_is_kept_with_its_reason_and_stops_nothing_behind_it(
    tmp_path: Path, payload: str, reason: str
) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                broker.publish(TOPIC, payload, location())
                await acknowledged(broker, "geomon-a", 2)
                (kept,) = await here.rejected()
                assert kept["reason"] == reason
                assert kept["supervisee_id"] == "SZ-0001"
                fixes = [fix for event in await here.events() for fix in event["fixes"]]
                assert len(fixes) == 1

    run(main)


def test_who_is_not_known_is_counted_and_leaves_nothing_in_kafka(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as here:
                broker.publish("owntracks/jane/tablet", location())
                broker.publish("owntracks/mallory/phone", location())
                await acknowledged(broker, "geomon-a", 2)
                assert here.refused("unknown_device") == 2
                assert here.counted("mqtt", "refused") == 2
                assert await here.events() == await here.rejected() == []

    run(main)


def test_a_colon_in_a_name_makes_nobody_somebody_else() -> None:
    assert device_of("owntracks/jane/phone:2") == "jane:phone:2"
    with pytest.raises(Refusal):
        device_of("owntracks/jane:phone/2")


@pytest.mark.parametrize(
    "topic", ["owntracks/jane", "owntracks//phone", "owntracks/jane/", "other/jane/phone", ""]
)
def test_a_topic_that_is_no_devices(topic: str) -> None:
    with pytest.raises(Refusal):
        device_of(topic)


def test_what_is_larger_than_is_taken_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker, gateway_upload_bytes=1_024) as here:
                broker.publish(TOPIC, location(note="x" * 1_024), location())
                await acknowledged(broker, "geomon-a", 2)
                assert here.refused("too_large") == 1
                assert len(await here.events()) == 1

    run(main)


def test_what_the_broker_kept_from_before_is_no_word_of_now(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            broker.publish(TOPIC, location(ago_s=90 * 86_400), options=("-q", "1", "-r"))
            async with gateway(tmp_path, broker) as here:
                # Live, though it is retained for others: as the apps do it.
                broker.publish(TOPIC, location(), options=("-q", "1", "-r"))
                await counted(here, "accepted", 1)
                (event,) = await here.events()
                assert not event.get("stored")
                # A broker that sends one all the same, and one that is deleted.
                listener = mqtt_of(here)
                await listener._take(TOPIC, location().encode(), retained=True)
                await listener._take(TOPIC, b"", retained=False)
                assert here.refused("retained") == 1
                assert len(await here.events()) == 1

    run(main)


# -- coming in -------------------------------------------------------------------------------------


def test_over_tls_with_a_password_and_no_more_rights_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = f"req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {certificate}"
    named = ["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *made.split(), *named], check=True, capture_output=True)
    passwords, rights = tmp_path / "passwords", tmp_path / "rights"
    passwords.touch(mode=0o600)
    for user, password in (("geomon", "p@ss/word"), ("jane", "hers")):
        subprocess.run(
            ["mosquitto_passwd", "-b", str(passwords), user, password],
            check=True,
            capture_output=True,
        )
    rights.write_text("user geomon\ntopic read owntracks/#\n\npattern write owntracks/%u/#\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    settings = [f"cafile {certificate}", f"certfile {certificate}", f"keyfile {key}"]
    settings += [f"password_file {passwords}", f"acl_file {rights}"]
    jane = ("-q", "1", "-u", "jane", "-P", "hers", "--cafile", str(certificate))

    async def main() -> None:
        with mosquitto(tmp_path, settings) as broker:
            url = broker.url.replace("mqtt://", "mqtts://geomon:{}@")
            async with gateway(tmp_path, broker, gateway_mqtt=url.format("p%40ss%2Fword")) as here:
                assert "word" not in mqtt_of(here).where
                broker.publish("owntracks/li/phone", location(), options=jane)
                broker.publish(TOPIC, *numbered(200), options=jane)
                kafka = here.gateway.settings.kafka
                await arrived(kafka, 200)
                # What she wrote as Li the broker has not let through.
                assert {event["supervisee_id"] for event in await here.events()} == {"SZ-0001"}
            (tmp_path / "b").mkdir()
            async with reception(
                tmp_path / "b", [JANE], gateway_mqtt=url.format("wrong"), gateway_mqtt_client="b"
            ) as here:
                trouble = await eventually(mqtt_of(here).trouble, lambda said: "refuses" in said)
                assert "wrong" not in trouble

    run(main)


def test_two_with_the_same_name_say_so_and_lose_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with gateway(tmp_path, broker) as one:
                kafka = one.gateway.settings.kafka
                async with gateway(tmp_path, broker, kafka=kafka) as two:
                    both = (mqtt_of(one), mqtt_of(two))
                    await eventually(
                        lambda: " ".join(listener.trouble() for listener in both),
                        lambda said: "is there another geomon-a?" in said,
                    )
                    broker.publish(TOPIC, *numbered(10))
                    await arrived(kafka, 10)

    run(main)


def test_gateways_that_share_nothing_each_take_all(tmp_path: Path) -> None:
    async def main() -> None:
        with mosquitto(tmp_path) as broker:
            async with (
                gateway(tmp_path, broker, "geomon-a") as one,
                gateway(tmp_path, broker, "geomon-b") as two,
            ):
                broker.publish(TOPIC, location())
                for here in (one, two):
                    await counted(here, "accepted", 1)

    run(main)


def test_a_group_that_mqtt_does_not_allow(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(SettingsError, match="gateway_mqtt_share"):
            async with reception(
                tmp_path, [JANE], gateway_mqtt="mqtt://host", gateway_mqtt_share="a/b"
            ):
                pass

    run(main)


@pytest.mark.parametrize(
    "url",
    ["host:1883", "http://host", "mqtt://", "mqtt://u:s3cret@host:x", "mqtt://u:s3cret@host/topic"],
)
def test_an_address_that_is_none_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as told:
        broker_of(url)
    assert "s3cret" not in str(told.value)


def test_the_ports_that_are_meant_when_none_is_said() -> None:
    assert broker_of("mqtt://host").port == 1883
    assert broker_of("mqtts://host").port == 8883
    assert str(broker_of("mqtts://u:s3cret@[::1]:99")) == "mqtts://[::1]:99"
