"""Coverage-guided fuzzing of the TCP protocols: any bytes, cut anywhere, and any sound message.

    make fuzz                     each protocol for FUZZ_S seconds (60 if not said otherwise)
    make -j3 fuzz FUZZ_S=1800     the three at once, for half an hour
    make fuzz-gt06                one of them
    python tests/fuzz/fuzz_tcp.py jt808 -max_total_time=60 CORPUS

Needs atheris (Python 3.11 to 3.13), which `make fuzz` puts into a venv of its own; what comes after
the protocol is for libFuzzer. It stops at the first input that raises, makes the gateway keep more
bytes than it may, makes an event that the contract refuses, or hides a sound message that follows;
libFuzzer itself watches for hangs (-timeout) and for memory that grows (-rss_limit_mb).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from hashlib import sha1
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

with atheris.instrument_imports(include=["geomon.gateway"]):
    from geomon.gateway.gt06 import Gt06Talk
    from geomon.gateway.gt06 import frames as gt06
    from geomon.gateway.jt808 import Jt808Talk
    from geomon.gateway.jt808 import frames as jt808
    from geomon.gateway.r16h import LONGEST as R16H_LONGEST
    from geomon.gateway.r16h import R16hTalk
    from geomon.gateway.registry import Device, NotAdmitted
    from geomon.gateway.reports import events_of
    from geomon.gateway.talk import Talk, Turn

from geomon import decoding  # noqa: E402  (what is fuzzed has to be imported first)

NOW_S = 1_707_796_800.0
NOON = datetime.fromtimestamp(NOW_S, timezone.utc)
IMEI, NUMBER, CODE = "356823031235028", "13912344329", "open-sesame"
#: The longest piece that one byte of an input can announce.
_PIECE = 1 + 8 * 0x7F
TERMINALS = {2013: bytes.fromhex("013912344329"), 2019: bytes.fromhex("00000000013912344329")}


def find(device_id: str) -> Device:
    """Give the one device that there is, by any of its numbers."""
    if device_id not in {IMEI, NUMBER}:
        raise NotAdmitted("unknown_device")
    return Device(
        device_id=device_id,
        supervisee_id="SZ-0001",
        device="wristband",
        datum="wgs84",
        model="fuzzed strap=17 utc+8",
        auth_code=CODE if device_id == NUMBER else None,
    )


def _jt808_message(edition: int, message_id: int, body: bytes) -> bytes:
    to = jt808.Frame(0, 0, TERMINALS[edition], edition, b"", b"")  # type: ignore[arg-type]
    return jt808.encode(message_id, body[:1023], to, 7)


def _jt808_sound(kind: int, body: bytes) -> bytes:
    """Wrap bytes as a sound message; half of all kinds are of the editions' own messages."""
    ids = (0x0200, 0x0704, 0x0102, 0x0100, 0x0201, 0x0002, 0x0003, 0x0900)
    edition = 2019 if kind & 0x80 else 2013
    if kind & 0x40 and len(body) >= 4:
        # A part of many: the properties say so, and four bytes of the body say which.
        message = _jt808_message(edition, 0x0704, b"")
        plain = bytearray(message[1:-2].replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d"))
        plain[2:4] = ((edition == 2019) * 0x4000 | 0x2000 | min(len(body) - 4, 1023)).to_bytes(
            2, "big"
        )
        plain += body[: 4 + 1023]
        plain += bytes((jt808.checksum(bytes(plain)),))
        wire = bytes(plain).replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")
        return b"\x7e" + wire + b"\x7e"
    return _jt808_message(edition, ids[kind & 7], body)


def _gt06_sound(kind: int, body: bytes) -> bytes:
    return gt06.encode(kind, body[:250], 7)


def _r16h_sound(kind: int, body: bytes) -> bytes:
    word = (b"GPSD", b"LBSD", b"LINK", b"BOOT")[kind & 3]
    return b"@" + word + b"," + IMEI.encode() + b"," + body[:900].replace(b"$", b"") + b"$"


#: How to begin, what a sound message is, what must be found after anything, the most that is kept.
_Made = tuple[Callable[[], Talk], bytes, Callable[[int, bytes], bytes], bytes, int]
TARGETS: dict[str, _Made] = {
    "jt808": (
        lambda: Jt808Talk(find),
        _jt808_message(2013, 0x0102, CODE.encode()),
        _jt808_sound,
        b"\x7e" + _jt808_message(2013, 0x0102, CODE.encode()),
        jt808.LONGEST,
    ),
    "gt06": (
        lambda: Gt06Talk(find),
        gt06.encode(1, bytes.fromhex("0" + IMEI), 1),
        _gt06_sound,
        gt06.encode(1, bytes.fromhex("0" + IMEI), 9),
        gt06.LONGEST,
    ),
    "r16h": (
        lambda: R16hTalk(find),
        f"@LINK,{IMEI}$".encode(),
        _r16h_sound,
        f"@LINK,{IMEI}$".encode(),
        R16H_LONGEST,
    ),
}


#: What to begin with, besides all messages of public documents that the tests have.
SEEDS: dict[str, list[bytes]] = {
    "jt808": [
        bytes.fromhex(
            "7e02004026010000000001391234432900000000006f0000001601dc9a0707456246007b004200032501292233"
            "440202006401040000000c417e"
        ),
        bytes.fromhex(
            "7e0704403f01000000000139123443290000000200001c000000010000000101d907f2073d336c029a00210059"
            "241029213903001c000000010000000101d907f3073d336d03090043005a241029213903f87e"
        ),
        bytes.fromhex("7e0002000001391234432900050c7e"),
    ],
    "gt06": [
        bytes.fromhex(
            "787822220f0c1d023305c9027ac8180c46586000140001cc00287d001f71000001000820860d0a"
        ),
        bytes.fromhex(
            "787825260f0c1d030b26c9027ac8180c4658600004000901cc00287d001f718004041302000c472a0d0a"
        ),
        bytes.fromhex("78780a134004040001000fdcee0d0a"),
    ],
    "r16h": [
        f"@GPSD,{IMEI},R,20260520,000133,01.34587,N,103.71993,E,0,111,36,72,L,$".encode(),
        f"@LBSD,{IMEI},R,20260616,092110,302-490-75f8-61c3715:-111,,,21,L,$".encode(),
        f"@GPSD,{IMEI},S,20260520,000133,01.34587,S,103.71993,W,0,111,-36,7,R,ULK$".encode(),
    ],
}


def _documented(protocol: str) -> Iterator[bytes]:
    """Give the messages that stand in a protocol's tests, where their sources are named."""
    begins = {"jt808": ("7e",), "gt06": ("7878", "7979"), "r16h": ("@",)}[protocol]
    source = ROOT / "tests" / "gateway" / f"test_{protocol}.py"
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        text = node.value if isinstance(node, ast.Constant) else None
        if not isinstance(text, str) or not text.startswith(begins):
            continue
        if protocol == "r16h" and text.endswith("$"):
            yield text.encode()
        elif protocol != "r16h" and re.fullmatch("(?:[0-9a-f]{2}){8,}", text):
            yield bytes.fromhex(text)


def _sow(protocol: str, corpus: Path) -> None:
    """Put the seeds into a corpus, as they are and as contents of sound messages."""
    for message in {*SEEDS[protocol], *_documented(protocol)}:
        name = sha1(message, usedforsecurity=False).hexdigest()[:12]
        pieces = [message[at : at + _PIECE] for at in range(0, len(message), _PIECE)]
        as_it_is = b"".join(bytes((_size(p), 0)) + p for p in pieces)
        (corpus / f"seed-{name}").write_bytes(b"\xff" + as_it_is)
        body = message[13:-2] if protocol == "jt808" else message[4:-6]
        body = message[22:-1] if protocol == "r16h" else body
        for kind in (0, 1, 0x16, 0x22, 0x26, 0x2C, 0xC1):
            wrapped = bytes((0x80 | _size(body[:_PIECE]), kind)) + body[:_PIECE]
            (corpus / f"sound-{name}-{kind}").write_bytes(b"\xff" + wrapped)


def _size(piece: bytes) -> int:
    """Give what announces a piece, or a few bytes more than it has."""
    return (len(piece) + 6) // 8


def _look_at(turn: Turn, raw_most: int) -> None:
    assert turn.device or turn.away or turn.unreadable or turn.answer or turn.later, turn
    assert len(turn.raw) <= raw_most
    for report in turn.reports:
        assert turn.device is not None
        for event in events_of(report, turn.device, NOON, protocol="fuzzed"):
            _, refused = decoding.decode(event)
            assert refused == [], refused


def target(protocol: str) -> Callable[[bytes], None]:
    """Give what is fuzzed: one conversation.

    Of each piece the first byte says how it is sent: as it is, or wrapped as a sound message, of a
    kind that the second byte says.
    """
    make, begin, sound, after, most = TARGETS[protocol]

    def one(data: bytes) -> None:
        talk = make()
        now_s = NOW_S
        if data[:1] > b"\x20":
            talk.receive(begin, now_s)
        at = 1
        while at < len(data):
            how, size = data[at], data[at + 1 : at + 2]
            kind = size[0] if size else 0
            length = 1 + (how & 0x7F) * 8
            piece = data[at + 2 : at + 2 + length]
            at += 2 + length
            if how & 0x80:
                piece = sound(kind, piece)
            now_s += 0.5
            for turn in (*talk.receive(piece, now_s), *talk.tick(now_s)):
                _look_at(turn, 1 << 20)
            assert len(talk._framer._rest) <= most  # type: ignore[attr-defined]
        # Whatever it was: the next sound message is understood.
        turns = talk.receive(after, now_s)
        assert any(turn.device for turn in turns) or turns[-1].away == "another_device", turns

    return one


def main() -> None:
    """Fuzz the protocol that is named first."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz_tcp.py {'|'.join(TARGETS)} [libFuzzer's options]")
    protocol = sys.argv.pop(1)
    for corpus in filter(Path.is_dir, map(Path, sys.argv[1:])):
        _sow(protocol, corpus)
    atheris.Setup(sys.argv, target(protocol))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
