"""Which device may speak for which person, and how a gateway comes to know it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace
from reception import (
    BAND,
    KEY,
    PHONE,
    TOKEN,
    TOPICS,
    device,
    eventually,
    hashed,
    reception,
    roll,
    run,
)

from geomon import decoding, events
from geomon.embedded.broker import EmbeddedBroker
from geomon.errors import Refusal, SettingsError
from geomon.gateway.credentials import basic, has_token, is_signed, signature_of
from geomon.gateway.house import Gateway
from geomon.gateway.registry import Device, NotAdmitted, NotReady, Registry, device_of
from geomon.gateway.rolls import read_devices
from geomon.intake import Intake, Raw
from geomon.settings import Settings
from geomon.topics import DEVICES
from geomon.zones.index import ZoneIndex

NOW_S = 1_707_796_800.0  # 2024-02-13T04:00:00Z


def announced(**fields: Any) -> Device:
    return device_of(json.dumps(device(**fields)).encode())


def reason_of(registry: Registry, device_id: str, now_s: float = NOW_S) -> str:
    with pytest.raises(NotAdmitted) as verdict:
        registry.find(device_id, now_s)
    return verdict.value.reason


def registry_of(*devices: Device) -> Registry:
    registry = Registry()
    registry.expect("file")
    registry.replace("file", {one.device_id: one for one in devices})
    registry.complete("file")
    return registry


# -- events ---------------------------------------------------------------------------------------


def test_a_device_is_announced_by_an_event_of_the_contract() -> None:
    found = announced(model="a phone", auth_code="1234")
    assert (found.device_id, found.supervisee_id, found.device) == ("phone-3", "SZ-0001", "phone")
    assert (found.datum, found.model, found.auth_code) == ("wgs84", "a phone", "1234")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"secrets": ["a plain token"]}, "bad_secret"),
        ({"secrets": ["sha256:" + "0" * 63]}, "bad_secret"),
        ({"secrets": ["hmac:c2hvcnQ="]}, "bad_secret"),
        ({"secrets": [hashed(TOKEN)] * 5}, "bad_secret"),
        ({"secrets": [hashed(TOKEN), hashed("")]}, "bad_secret"),
        ({"auth_code": ""}, "bad_value"),
        ({"auth_code": " "}, "bad_value"),
        ({"auth_code": "1742\n"}, "bad_value"),
        ({"auth_code": "\0"}, "bad_value"),
        ({"auth_code": "\U0001f600"}, "bad_value"),
        ({"auth_code": "深" * 128}, "bad_value"),
        ({"datum": "mars"}, "bad_value"),
        ({"device": "car"}, "bad_value"),
        ({"device_id": "a b"}, "bad_id"),
        ({"supervisee_id": "geomon-canary-1"}, "reserved_id"),
        ({"from": "2024-02-13"}, "bad_time"),
        ({"until": "9999-12-31T24:00:00+08:00"}, "impossible_time"),
        (
            {"from": "2024-02-13T00:00:00Z", "until": "2024-02-12T00:00:00Z"},
            "ends_before_it_begins",
        ),
        ({"type": "clock"}, "bad_value"),
    ],
)
def test_an_announcement_that_is_none_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        announced(**fields)
    assert refusal.value.reason == reason


def test_judging_does_not_heed_devices(zones: ZoneIndex) -> None:
    raw = Raw(json.dumps(PHONE).encode(), "a file:1")
    assert Intake(zones).take([raw]) == ([], [])
    assert isinstance(decoding.decode(raw.data)[0], events.Device)


# -- who may speak --------------------------------------------------------------------------------


def test_who_is_not_announced_or_no_longer_or_not_yet_may_not_speak() -> None:
    registry = registry_of(
        announced(),
        announced(device_id="gone", status="withdrawn"),
        announced(device_id="later", **{"from": "2024-03-01T00:00:00+08:00"}),
        announced(device_id="past", until="2024-02-01T00:00:00+08:00"),
    )
    assert registry.find("phone-3", NOW_S).supervisee_id == "SZ-0001"
    assert reason_of(registry, "another") == "unknown_device"
    assert reason_of(registry, "gone") == "withdrawn"
    assert reason_of(registry, "later") == "not_active"
    assert reason_of(registry, "past") == "not_active"
    assert len(registry) == 3


def test_dates_hold_from_and_until_their_very_moment() -> None:
    registry = registry_of(
        announced(**{"from": "2024-02-13T04:00:00Z", "until": "2024-02-13T05:00:00Z"})
    )
    assert reason_of(registry, "phone-3", NOW_S - 1) == "not_active"
    assert registry.find("phone-3", NOW_S)
    assert registry.find("phone-3", NOW_S + 3_599)
    assert reason_of(registry, "phone-3", NOW_S + 3_600) == "not_active"


def test_nobody_is_unknown_before_all_is_read() -> None:
    registry = Registry()
    registry.expect("topic")
    registry.expect("file")
    registry.complete("file")
    with pytest.raises(NotReady):
        registry.find("phone-3", NOW_S)
    registry.complete("topic")
    assert reason_of(registry, "phone-3") == "unknown_device"


def test_of_two_rolls_the_first_counts() -> None:
    registry = Registry()
    for name in ("topic", "file"):
        registry.expect(name)
        registry.complete(name)
    registry.announce("file", announced(supervisee_id="SZ-0009"))
    assert registry.find("phone-3", NOW_S).supervisee_id == "SZ-0009"
    registry.announce("topic", announced(status="withdrawn"))
    assert reason_of(registry, "phone-3") == "withdrawn"
    registry.forget("topic", "phone-3")
    assert registry.find("phone-3", NOW_S).supervisee_id == "SZ-0009"


# -- secrets --------------------------------------------------------------------------------------


def test_while_a_secret_is_changed_both_are_good() -> None:
    both = announced(secrets=[hashed("old"), hashed("new")])
    assert both.knows_token("old")
    assert both.knows_token("new")
    assert not both.knows_token("newer")
    assert not announced(secrets=[hashed("new")]).knows_token("old")


def test_a_device_without_secrets_proves_nothing() -> None:
    bare = announced(secrets=[])
    assert not bare.knows_token("")
    assert not bare.knows_signature(b"", bytes(32))
    assert not bare.knows_auth_code("")


def test_an_empty_secret_is_none_even_were_it_in_the_registry() -> None:
    empty = bytes.fromhex(hashed("").partition(":")[2])
    careless = replace(announced(), token_hashes=(empty,), auth_code="")
    assert not careless.knows_token("")
    assert not careless.knows_auth_code("")


def test_the_longest_code_and_one_in_chinese() -> None:
    for code in ("x" * 255, "深" * 127, "设备 17"):
        assert announced(auth_code=code).knows_auth_code(code)


def test_a_token_that_is_not_unicode_is_wrong_and_no_error() -> None:
    assert not announced().knows_token("\udcff\ud800")


def test_the_authentication_code_of_a_band() -> None:
    band = announced(auth_code="17-0042")
    assert band.knows_auth_code("17-0042")
    assert not band.knows_auth_code("17-0043")
    assert not band.knows_auth_code("\udcff")


def test_a_signature_is_of_time_and_body_and_is_good_for_a_while() -> None:
    signer = announced(secrets=[f"hmac:{base64.b64encode(KEY).decode()}"])
    headers = signature_of(KEY, 1_707_796_800, b"{}")
    assert is_signed(headers, b"{}", signer, NOW_S + 299, 300.0) is True
    assert is_signed(headers, b"{ }", signer, NOW_S, 300.0) is False
    other_time = {**headers, "X-Geomon-Time": "1707796801"}
    assert is_signed(other_time, b"{}", signer, NOW_S, 300.0) is False
    assert is_signed({}, b"{}", signer, NOW_S, 300.0) is None
    for ahead_s in (-301, 301):
        with pytest.raises(NotAdmitted, match="too far from now"):
            is_signed(headers, b"{}", signer, NOW_S + ahead_s, 300.0)


@pytest.mark.parametrize(
    ("time", "signature"),
    [
        ("", "00"),
        ("noon", "00"),
        ("1" * 40, "00"),
        ("１", "00"),
        ("1", "not hex"),
        ("1", "sha1=zz"),
    ],
)
def test_a_signature_of_no_known_form(time: str, signature: str) -> None:
    headers = {"X-Geomon-Time": time, "X-Geomon-Signature": signature}
    with pytest.raises(NotAdmitted, match="no secret"):
        is_signed(headers, b"", announced(), NOW_S, 300.0)


@pytest.mark.parametrize(
    "value", ["", "Basic", "Basic %%%", "Basic YWJj", "Bearer x", "Basic /w==", "Basic é"]
)
def test_basic_authentication_that_is_none(value: str) -> None:
    with pytest.raises(NotAdmitted, match="no secret"):
        basic({"Authorization": value})


def test_a_token_may_be_in_the_url_a_bearers_or_a_password() -> None:
    phone = announced()
    password = base64.b64encode(f"phone-3:{TOKEN}".encode()).decode()
    assert has_token({}, phone, TOKEN)
    assert has_token({"Authorization": f"bearer {TOKEN}"}, phone)
    assert has_token({"Authorization": f"Basic {password}"}, phone)
    with pytest.raises(NotAdmitted, match="no secret"):
        has_token({}, phone)


# -- a file ---------------------------------------------------------------------------------------


def test_a_line_that_is_wrong_is_named_and_nothing_of_the_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "devices.ndjson"
    path.write_text(json.dumps(PHONE) + "\n\n" + json.dumps({**PHONE, "datum": "x"}) + "\n")
    with pytest.raises(SettingsError, match=r"devices\.ndjson:3: bad_value"):
        read_devices(path)


def test_a_device_that_a_file_gives_to_two_people_is_a_mistake(tmp_path: Path) -> None:
    theirs = device(supervisee_id="SZ-0002")
    path = roll(tmp_path / "devices.ndjson", PHONE, BAND, theirs)
    with pytest.raises(SettingsError, match=r"devices\.ndjson:3: .* to another person"):
        read_devices(path)
    # Announced anew for the same person, and taken from one before it is given to another.
    roll(path, PHONE, {**PHONE, "datum": "gcj02"})
    assert read_devices(path)["phone-3"].datum == "gcj02"
    roll(path, PHONE, device(status="withdrawn"), theirs)
    assert read_devices(path)["phone-3"].supervisee_id == "SZ-0002"


def test_a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with reception(tmp_path, [PHONE]) as here:
            registry, metrics = here.gateway.registry, here.gateway.metrics
            path = Path(here.gateway.settings.gateway_devices)
            roll(path, PHONE, BAND)
            await eventually(lambda: len(registry), lambda number: number == 2)
            path.with_suffix(".bad").write_text("{")
            path.with_suffix(".bad").replace(path)
            unread = "geomon_gateway_registry_unread_total"
            await eventually(lambda: metrics.value(unread), lambda number: number == 1)
            assert len(registry) == 2
            roll(path, BAND)
            await eventually(lambda: len(registry), lambda number: number == 1)

    run(main)


def test_a_gateway_of_a_file_that_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    missing = changed(
        Settings(), gateway_registry="file", gateway_devices=str(tmp_path / "none.ndjson")
    )
    with pytest.raises(SettingsError, match="No such file"):
        Gateway(missing)
    with pytest.raises(SettingsError, match="needs gateway_devices"):
        Gateway(changed(missing, gateway_devices=""))


# -- the topic ------------------------------------------------------------------------------------


def test_devices_are_announced_moved_and_struck_off_while_the_gateway_runs(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
            await producer.start()
            try:

                async def announce(event: dict[str, Any] | None, key: str = "phone-3") -> None:
                    value = None if event is None else json.dumps(event).encode()
                    await producer.send_and_wait(DEVICES, value, key=key.encode())

                await announce(device(supervisee_id="SZ-0009"))
                await announce(PHONE)
                await announce({**BAND, "device_id": "band-18"}, key="band-17")
                async with reception(
                    tmp_path, kafka=broker.bootstrap, gateway_registry="topic"
                ) as here:
                    registry, gateway = here.gateway.registry, here.gateway

                    def whose() -> str:
                        try:
                            return registry.find("phone-3", NOW_S).supervisee_id
                        except NotAdmitted as verdict:
                            return verdict.reason
                        except NotReady:
                            return "not ready"

                    await eventually(whose, lambda now: now == "SZ-0001")
                    assert reason_of(registry, "band-18") == "unknown_device"
                    unread = gateway.metrics.value("geomon_gateway_registry_unread_total")
                    assert unread == 1
                    await announce(device(supervisee_id="SZ-0002"))
                    await eventually(whose, lambda now: now == "SZ-0002")
                    await announce(device(status="withdrawn"))
                    await eventually(whose, lambda now: now == "withdrawn")
                    await announce(None)
                    await eventually(whose, lambda now: now == "unknown_device")
                    age_s = gateway.metrics.value("geomon_gateway_registry_age_seconds")
                    assert age_s is not None
            finally:
                await producer.stop()

    run(main)


def test_one_announcement_that_nobody_thought_of_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(raw: bytes) -> Device:
        if b"band-17" in raw:
            raise OverflowError("a defect")
        return device_of(raw)

    monkeypatch.setattr("geomon.gateway.rolls.device_of", read)

    async def main() -> None:
        with EmbeddedBroker(TOPICS) as broker:
            producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
            await producer.start()
            try:
                for event in (BAND, PHONE):
                    value, key = json.dumps(event).encode(), event["device_id"].encode()
                    await producer.send_and_wait(DEVICES, value, key=key)
                settings: dict[str, Any] = {"kafka": broker.bootstrap, "gateway_registry": "topic"}
                async with reception(tmp_path, **settings) as here:
                    registry, value_of = here.gateway.registry, here.gateway.metrics.value
                    await eventually(lambda: len(registry), lambda number: number == 1)
                    assert registry.find("phone-3", NOW_S).supervisee_id == "SZ-0001"
                    assert value_of("geomon_gateway_registry_unread_total") == 1
                    # Nor does it end the following of what comes later.
                    await producer.send_and_wait(DEVICES, b"band-17", key=b"band-17")
                    await producer.send_and_wait(DEVICES, None, key=b"phone-3")
                    await eventually(lambda: len(registry), lambda number: number == 0)
            finally:
                await producer.stop()

    run(main)


def test_until_the_topic_is_read_the_gateway_says_come_again(tmp_path: Path) -> None:
    async def main() -> None:
        nowhere = changed(Settings(), kafka="127.0.0.1:1", gateway_http="127.0.0.1:0")
        gateway = Gateway(nowhere)
        async with gateway.running():
            checks = {check.check: check for check in await gateway.checks()}
            assert not checks["registry"].ok
            assert checks["registry"].why == "not read to its end: topic"
            assert not checks["kafka"].ok
            assert checks["http"].ok
            with pytest.raises(NotReady):
                gateway.door.device("phone-3")

    run(main)
