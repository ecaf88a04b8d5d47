"""Talks of JT/T 808 between the gateway and a terminal whose code it knows."""

from __future__ import annotations

from datetime import datetime, timezone

import terminal808
from terminal808 import write

from geomon.gateway.jt808 import Jt808Talk
from geomon.gateway.registry import Device, NotAdmitted
from geomon.gateway.reports import Report

NOW_S = 1_700_000_000.0
NOON = datetime(2024, 2, 13, 4, 0, tzinfo=timezone.utc)
NUMBER, CODE = "13912344329", "open-sesame"


def known(number: str = NUMBER, model: str = "", code: str | None = CODE) -> dict[str, Device]:
    return {
        number: Device(
            device_id=number,
            supervisee_id="SZ-0001",
            device="wristband",
            datum="gcj02",
            model=model,
            auth_code=code,
        )
    }


def talk_of(devices: dict[str, Device], *, registration: bool = True) -> Jt808Talk:
    def find(device_id: str) -> Device:
        if device_id not in devices:
            raise NotAdmitted("unknown_device")
        return devices[device_id]

    return Jt808Talk(find, registration=registration)


def signed_in(number: str = NUMBER, *, edition: int = 2013, model: str = "") -> Jt808Talk:
    """A talk with a terminal that has shown its code."""
    talk = talk_of(known(number, model))
    shown = CODE.encode()
    if edition == 2019:
        shown = bytes([len(shown)]) + shown + bytes(35)
    (turn,) = talk.receive(write(0x0102, shown, number=number, serial=1, edition=edition), NOW_S)
    assert terminal808.read(turn.answer).result == 0
    return talk


def report(wire: bytes, number: str, model: str = "") -> Report:
    """What the gateway makes of one message of a terminal that has proved who it is."""
    (turn,) = signed_in(number, model=model).receive(wire, NOW_S)
    assert turn.device is not None
    (found,) = turn.reports
    return found
