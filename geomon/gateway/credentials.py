"""How a device proves over HTTP that it is the one it says it is.

    Authorization: Bearer TOKEN      or, where no header can be set, `?token=TOKEN`
    Authorization: Basic ...         user = device, password = TOKEN (OwnTracks)
    X-Geomon-Time: 1707792605        and
    X-Geomon-Signature: sha256=HEX   HMAC-SHA-256, by the device's key, of the time, "\\n", the body

A signature is good for a few minutes about its time. Who sends it again within these sends the same
positions again, which changes nothing but that the device seems to have been heard from once more.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping

from geomon.gateway.registry import Device, NotAdmitted

__all__ = ["basic", "has_token", "is_signed", "signature_of"]

_LONGEST_TIME = len("253402300799")


def has_token(headers: Mapping[str, str], device: Device, token: str = "") -> bool:
    """Say whether the token given, or else the one in the headers, is the device's.

    Raises `NotAdmitted` (no_secret) when there is none.
    """
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if not token and scheme.lower() == "bearer":
        token = value.strip()
    elif not token and scheme.lower() == "basic":
        token = basic(headers)[1]
    if not token:
        raise NotAdmitted("no_secret")
    return device.knows_token(token)


def basic(headers: Mapping[str, str]) -> tuple[str, str]:
    """Give user and password of basic authentication. Raises `NotAdmitted` (no_secret)."""
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise NotAdmitted("no_secret")
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # neither base64, nor UTF-8, nor even ASCII
        raise NotAdmitted("no_secret") from None
    if not colon:
        raise NotAdmitted("no_secret")
    return user, password


def is_signed(
    headers: Mapping[str, str], body: bytes, device: Device, now_s: float, freshness_s: float
) -> bool | None:
    """Say whether a body is signed by the device; None when it is not signed at all.

    Raises `NotAdmitted`: no_secret when the signature is of no known form, stale_signature when it
    is the device's but of another time than now.
    """
    given = headers.get("X-Geomon-Signature")
    if given is None:
        return None
    time = headers.get("X-Geomon-Time", "")
    if not (time.isascii() and time.isdigit() and len(time) <= _LONGEST_TIME):
        raise NotAdmitted("no_secret")
    try:
        signature = bytes.fromhex(given.strip().removeprefix("sha256="))
    except ValueError:
        raise NotAdmitted("no_secret") from None
    if not device.knows_signature(_signed(time, body), signature):
        return False
    # Only who has the key learns that its clock is wrong.
    if abs(int(time) - now_s) > freshness_s:
        raise NotAdmitted("stale_signature")
    return True


def signature_of(key: bytes, posix_s: int, body: bytes) -> dict[str, str]:
    """Give the headers that sign a body, as a device makes them."""
    time = str(posix_s)
    digest = hmac.digest(key, _signed(time, body), "sha256").hex()
    return {"X-Geomon-Time": time, "X-Geomon-Signature": f"sha256={digest}"}


def _signed(time: str, body: bytes) -> bytes:
    return time.encode() + b"\n" + body
