"""Which device may speak for which person: nothing is taken from a device that is not in here.

The registry is made of the contract's `device` events, one a device: from the topic
`geomon.devices`, from a file, or from both (`geomon.gateway.rolls`). Until these were read to their
end it is not ready, and the gateway refuses nobody for being unknown: it asks to come again.

A device has up to four secrets at a time, so that a new one can be given out before the old one is
taken back:

    sha256:<64 hex digits>   the SHA-256 of a token; the token itself is nowhere but in the device
    hmac:<base64>            a key, with which the device signs what it sends

An empty token or code is none: it is refused where it is announced, and known to nobody.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timezone

import msgspec

from geomon import decoding, events
from geomon.errors import GeomonError, Refusal

__all__ = ["ADMISSION", "BLAMED", "Device", "NotAdmitted", "NotReady", "Registry", "device_of"]

#: Why somebody who asks to come in is turned away. Code: (English, 中文).
ADMISSION: Mapping[str, tuple[str, str]] = {
    "unknown_device": ("no such device is announced", "设备未登记"),
    "withdrawn": ("the device was withdrawn", "设备已停用"),
    "not_active": ("the device may not speak yet, or no longer", "不在设备有效期内"),
    "no_secret": ("no secret, or none of a known form, came with it", "未提供凭证"),
    "wrong_secret": ("the secret is not this device's", "凭证错误"),
    "stale_signature": ("the signature's time is too far from now", "签名已过期"),
    "another_person": ("the upload names another person than the device's", "人员与设备不符"),
    "another_device": ("the upload names another device than the one asking", "设备标识不符"),
    "too_many_requests": ("more requests than are allowed", "请求过于频繁"),
    "too_large": ("the upload is larger than is allowed", "上传内容过大"),
    "retained": (
        "an MQTT broker kept it from before: nobody knows when it was sent",
        "代理留存的旧消息",
    ),
}


#: Who is turned away for one of these may have been guessing, ids or secrets.
BLAMED = frozenset(("unknown_device", "wrong_secret"))


class NotAdmitted(GeomonError):  # noqa: N818  (a verdict on who asks, not an error of the program)
    """Somebody is turned away; `reason` is a code of `ADMISSION`.

    It may be told to whoever has `proven` who it is; to others it would say which ids there are.
    """

    def __init__(self, reason: str, *, proven: bool = False) -> None:
        super().__init__(ADMISSION[reason][0])
        self.reason = reason
        self.proven = proven


class NotReady(GeomonError):  # noqa: N818  (likewise)
    """The registry has not been read to its end: nobody can be admitted or refused yet."""


#: The SHA-256 of an empty token, as a script writes it whose variable was not set.
_OF_NOTHING = hashlib.sha256(b"").digest()
#: Of JT/T 808-2019 one byte says how long a code is; a terminal gets it in GBK.
_LONGEST_CODE = 255


class Device(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A device as it was announced; times are POSIX seconds."""

    device_id: str
    supervisee_id: str
    device: events.DeviceName
    datum: events.DatumName | None = None  # of its positions, unless it declares another itself
    model: str = ""
    token_hashes: tuple[bytes, ...] = ()
    keys: tuple[bytes, ...] = ()
    auth_code: str | None = None  # of JT/T 808
    from_s: float = float("-inf")
    until_s: float = float("inf")
    withdrawn: bool = False

    def knows_token(self, token: str) -> bool:
        """Say whether a token is one of the device's; in the same time for any token."""
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = False
        for own in self.token_hashes:
            known |= hmac.compare_digest(own, given)
        return known and given != _OF_NOTHING

    def knows_signature(self, signed: bytes, signature: bytes) -> bool:
        """Say whether a signature (HMAC-SHA-256, 32 bytes) was made with one of its keys."""
        known = False
        for key in self.keys:
            known |= hmac.compare_digest(hmac.digest(key, signed, "sha256"), signature)
        return known

    def knows_auth_code(self, code: str) -> bool:
        """Say whether this is the device's authentication code (JT/T 808)."""
        own = self.auth_code
        return bool(own) and hmac.compare_digest(
            (own or "").encode(), code.encode("utf-8", "surrogatepass")
        )

    def barred(self, now_s: float) -> str:
        """Say why the device may not speak now: a code of `ADMISSION`; empty when it may."""
        if self.withdrawn:
            return "withdrawn"
        return "" if self.from_s <= now_s < self.until_s else "not_active"


class Registry:
    """The devices, by their ids. `owed` are the rolls that were not read to their end yet."""

    def __init__(self) -> None:
        self._devices: dict[str, dict[str, Device]] = {}  # roll -> id -> device
        self._owed: set[str] = set()
        self._order: list[str] = []

    def expect(self, roll: str) -> None:
        """Wait for a roll; of two that name the same device the one expected first counts."""
        self._devices[roll] = {}
        self._order.append(roll)
        self._owed.add(roll)

    def complete(self, roll: str) -> None:
        """Note that a roll was read to its end."""
        self._owed.discard(roll)

    @property
    def is_ready(self) -> bool:
        """Say whether every roll was read to its end."""
        return not self._owed and bool(self._order)

    @property
    def owed(self) -> frozenset[str]:
        """The rolls that are still waited for."""
        return frozenset(self._owed)

    def __len__(self) -> int:
        """Give how many devices may speak, whatever their dates."""
        ids = {key for devices in self._devices.values() for key in devices}
        return sum(not self._find(key).withdrawn for key in ids)

    def announce(self, roll: str, device: Device) -> None:
        """Take a device in, or anew."""
        self._devices[roll][device.device_id] = device

    def forget(self, roll: str, device_id: str) -> None:
        """Strike a device from a roll."""
        self._devices[roll].pop(device_id, None)

    def replace(self, roll: str, devices: Mapping[str, Device]) -> None:
        """Take these devices in place of all that the roll had."""
        self._devices[roll] = dict(devices)

    def find(self, device_id: str, now_s: float) -> Device:
        """Give a device that may speak now.

        Raises `NotAdmitted` (unknown_device, withdrawn, not_active), or `NotReady`.
        """
        device = self.announced(device_id)
        reason = device.barred(now_s)
        if reason:
            raise NotAdmitted(reason)
        return device

    def announced(self, device_id: str) -> Device:
        """Give a device, whether it may speak now or not.

        Raises `NotAdmitted` (unknown_device), or `NotReady`.
        """
        if not self.is_ready:
            raise NotReady
        return self._find(device_id)

    def _find(self, device_id: str) -> Device:
        for roll in self._order:
            device = self._devices[roll].get(device_id)
            if device is not None:
                return device
        raise NotAdmitted("unknown_device")


def device_of(raw: bytes) -> Device:
    """Read a `device` event. Raises `Refusal` when it is none, or not a whole one."""
    event, _ = decoding.decode(raw)
    if not isinstance(event, events.Device):
        raise Refusal("bad_value", "type: not a device")
    hashes, keys = [], []
    for secret in event.secrets:
        form, _, value = secret.partition(":")
        if form == "sha256":
            hashes.append(bytes.fromhex(value))
        else:
            keys.append(_key(value))
    if _OF_NOTHING in hashes:
        raise Refusal("bad_secret", "of an empty token")
    if event.auth_code is not None:
        _check_code(event.auth_code)
    return Device(
        device_id=event.device_id,
        supervisee_id=event.supervisee_id,
        device=event.device,
        datum=event.datum,
        model=event.model,
        token_hashes=tuple(hashes),
        keys=tuple(keys),
        auth_code=event.auth_code,
        from_s=_posix_s(event.from_, float("-inf")),
        until_s=_posix_s(event.until, float("inf")),
        withdrawn=event.status == "withdrawn",
    )


def _key(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise Refusal("bad_secret", "not base64") from None


def _check_code(code: str) -> None:
    """Refuse a code that a terminal could not be given, or that is none."""
    try:
        size = len(code.encode("gbk"))
    except UnicodeEncodeError:
        raise Refusal("bad_value", "auth_code: not to be written in GBK") from None
    if not 0 < size <= _LONGEST_CODE:
        raise Refusal("bad_value", f"auth_code: of {size} bytes")
    if not code.isprintable() or code != code.strip():
        raise Refusal("bad_value", "auth_code: with spaces about it, or what cannot be seen")


def _posix_s(time: str | None, otherwise: float) -> float:
    if time is None:
        return otherwise
    return decoding.parse_time(time).astimezone(timezone.utc).timestamp()
