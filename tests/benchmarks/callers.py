"""Phones and terminals that call a gateway, in a process of their own, and how long answers took.

    python callers.py native|osmand|jt808 HOST:PORT [--devices N] [--rate R] [--seconds S]
    python callers.py newcomers HOST:PORT [--devices N] [--rate R]
    python callers.py idle HOST:PORT [--devices N]

A device has one connection and waits for each answer; one on each connection comes before anything
is measured. Without a rate it sends the next upload at once; at a rate (of all together) uploads
are due at fixed times, and an answer's time counts from when its upload was due, however late it
could be sent. What is found is written to standard output as JSON.

`newcomers` are phones of which each connects, so many a second, sends one upload, and hangs up:
their times count from when they began to connect. No phone waits for the one before it.

`idle` are terminals that sign in and stay: it writes a line when all are in, one when each has sent
a position after "ask" came on standard input, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import uvloop

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "gateway"))

from terminal808 import position, read, write  # noqa: E402

__all__ = ["Caller", "devices_of", "raise_limit"]

_PATIENCE_S = 60.0
_TOGETHER = 200  # that connect at the same time: fewer than any backlog
_FRAMES = 16  # made beforehand of each terminal, and sent round and round


# -- who calls ------------------------------------------------------------------------------------


def phone_id(number: int) -> str:
    return f"phone-{number}"


def token_of(number: int) -> str:
    return f"the-secret-of-phone-{number}-is-32-bytes"


def terminal_number(number: int) -> str:
    return str(13_900_000_000 + number)


def code_of(number: int) -> str:
    return f"C{number:06d}"


def devices_of(phones: int, terminals: int) -> Iterator[dict[str, Any]]:
    """Give the `device` events of so many phones and terminals, each of another person."""
    for number in range(phones):
        secret = f"sha256:{sha256(token_of(number).encode()).hexdigest()}"
        device = {"device_id": phone_id(number), "device": "phone", "datum": "wgs84"}
        yield {"type": "device", **device, "supervisee_id": f"P-{number:06d}", "secrets": [secret]}
    for number in range(terminals):
        device = {"device_id": terminal_number(number), "device": "wristband", "datum": "gcj02"}
        code = code_of(number)
        yield {"type": "device", **device, "supervisee_id": f"T-{number:06d}", "auth_code": code}


def native_requests(number: int) -> Callable[[], bytes]:
    """Give the maker of a phone's requests in geomon's own JSON."""
    head = (
        f"POST /v1/uploads HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token_of(number)}"
        f"\r\nX-Geomon-Device: {phone_id(number)}\r\nContent-Type: application/json\r\n"
        "Content-Length: "
    ).encode()
    seq = 0

    def make() -> bytes:
        nonlocal seq
        seq += 1
        body = (
            b'{"device_id":"%s","seq":%d,"battery_pct":77,"charging":false,"fixes":[{"time":"%s",'
            b'"lon":114.0579%02d,"lat":22.5431%02d,"accuracy_m":12.5,"source":"gnss",'
            b'"speed_mps":1.2,"altitude_m":31}]}'
        ) % (phone_id(number).encode(), seq, _now(), seq % 90, seq % 70)
        return b"%s%d\r\n\r\n%s" % (head, len(body), body)

    return make


def osmand_requests(number: int) -> Callable[[], bytes]:
    """Give the maker of a phone's requests as Traccar Client sends them."""
    query = f"/?id={phone_id(number)}&token={token_of(number)}&timestamp="
    rest = (
        "&speed=2.3&bearing=45.0&altitude=31.0&accuracy=12.5&batt=77.0 HTTP/1.1\r\n"
        "Host: gateway\r\nUser-Agent: okhttp/4\r\nContent-Length: 0\r\n\r\n"
    )
    seq = 0

    def make() -> bytes:
        nonlocal seq
        seq += 1
        place = f"{int(time.time())}&lat=22.5431{seq % 70:02d}&lon=114.0579{seq % 90:02d}"
        return f"POST {query}{place}{rest}".encode()

    return make


def positions(number: int) -> Callable[[], bytes]:
    """Give a terminal's positions, made beforehand: their order is all that is told apart."""
    now = datetime.now(timezone.utc)
    items = ((0x01, b"\0\0\x30\x39"), (0x30, b"\x1f"), (0x31, b"\x0b"))
    frames = [
        write(
            0x0200,
            position(now, 114.0579 + n * 1e-5, 22.5431, kmh=4.0, items=items),
            number=terminal_number(number),
            serial=n,
        )
        for n in range(1, _FRAMES + 1)
    ]
    sent = 0

    def make() -> bytes:
        nonlocal sent
        sent += 1
        return frames[sent % _FRAMES]

    return make


_written_s, _written = 0, b""


def _now() -> bytes:
    global _written_s, _written  # noqa: PLW0603  (made once a second, not with every upload)
    now_s = int(time.time())
    if now_s != _written_s:
        _written_s = now_s
        _written = datetime.fromtimestamp(now_s, timezone.utc).isoformat().encode()
    return _written


# -- one connection -------------------------------------------------------------------------------


def is_http_answer(data: bytes) -> tuple[bool, bool]:
    """Say of what was received whether it is a whole answer, and a good one."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False, False
    at = data.find(b"Content-Length: ", 0, end)
    size = int(data[at + 16 : data.find(b"\r\n", at)]) if at >= 0 else 0
    return len(data) >= end + 4 + size, data[9:12] == b"200"


def is_jt808_answer(data: bytes) -> tuple[bool, bool]:
    """Say likewise of a message to a terminal; good is a general answer of success."""
    if len(data) < 2 or data[-1] != 0x7E:
        return False, False
    return True, data[1:3] == b"\x80\x01" and read(data).result == 0


class Caller(asyncio.Protocol):
    """One device: sends, waits for the answer, and notes how long it took."""

    def __init__(
        self,
        make: Callable[[], bytes],
        is_answer: Callable[[bytes], tuple[bool, bool]],
        took_s: list[tuple[float, float]],
        bad: list[bytes],
    ) -> None:
        self.request, self._is_answer = make, is_answer
        self._took_s, self._bad = took_s, bad
        self._held = b""
        self._due_s = 0.0
        self._every_s: float | None = None
        self._waiting = False
        self._stopped = True
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.answered: asyncio.Future[bytes] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(exc or EOFError("it hung up"))

    def begin(self, at_s: float, every_s: float) -> None:
        """Send from a time on (`time.perf_counter`), every so many seconds; 0: without a pause."""
        self._stopped, self._due_s, self._every_s = False, at_s, every_s
        self._arm()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    async def ask(self, wire: bytes) -> bytes:
        """Send something and give the answer."""
        assert self._transport is not None
        self.answered = asyncio.get_running_loop().create_future()
        self._transport.write(wire)
        try:
            return await asyncio.wait_for(self.answered, _PATIENCE_S)
        finally:
            self.answered = None

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is owed."""
        return self._waiting and not self.lost

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._held = data = self._held + data if self._held else data
        whole, good = self._is_answer(data)
        if not whole:
            return
        self._held = b""
        if self.answered is not None:
            self.answered.set_result(data)
            return
        now_s = time.perf_counter()
        self._waiting = False
        if good:
            self._took_s.append((now_s, now_s - self._due_s))
        else:
            self._bad.append(data)
        if not self._stopped:
            self._due_s = self._due_s + self._every_s if self._every_s else now_s
            self._arm()

    def _arm(self) -> None:
        ahead_s = self._due_s - time.perf_counter()
        if ahead_s > 0:
            self._timer = asyncio.get_running_loop().call_later(ahead_s, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if not self._stopped and self._transport is not None and not self.lost:
            self._waiting = True
            self._transport.write(self.request())


# -- all of them ----------------------------------------------------------------------------------

_KINDS: dict[str, tuple[Callable[[int], Callable[[], bytes]], Any]] = {
    "native": (native_requests, is_http_answer),
    "osmand": (osmand_requests, is_http_answer),
    "jt808": (positions, is_jt808_answer),
    "newcomers": (native_requests, is_http_answer),
    "idle": (positions, is_jt808_answer),
}


class Crowd:
    """So many devices of a kind, connected; terminals have shown their codes."""

    def __init__(self, kind: str, address: str, devices: int, first: int = 0) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._kind = kind
        self._numbers = range(first, first + devices)
        self.took_s: list[tuple[float, float]] = []
        self.bad: list[bytes] = []
        self.callers: list[Caller] = []

    async def connect(self) -> None:
        """Connect all of them."""
        for at in range(0, len(self._numbers), _TOGETHER):
            some = self._numbers[at : at + _TOGETHER]
            self.callers += await asyncio.gather(*map(self._connect, some))

    async def call(self, rate: float, warm_s: float, seconds: float) -> dict[str, Any]:
        """Let them call, and give what is found after the first `warm_s`."""
        begun_s = time.perf_counter()
        every_s = len(self.callers) / rate if rate else 0.0
        for number, caller in enumerate(self.callers):
            caller.begin(begun_s + every_s * number / len(self.callers), every_s)
        await asyncio.sleep(warm_s)
        begin, from_s = time.time(), time.perf_counter()
        cpu_s = time.process_time()
        await asyncio.sleep(seconds)
        end, until_s = time.time(), time.perf_counter()
        cpu_s = time.process_time() - cpu_s
        for caller in self.callers:
            caller.stop()
        await self.all_answered()
        took = np.array([took for at, took in self.took_s if from_s <= at < until_s])
        found = {
            "begin": begin,
            "end": end,
            "done": len(took),
            "acknowledged": len(self.took_s),
            "lost": sum(caller.lost for caller in self.callers),
            "bad": [data[:60].decode("latin-1") for data in self.bad[:3]],
            "refused": len(self.bad),
            "cpu_s": cpu_s,
        }
        if len(took):
            ms = [round(float(q) * 1e3, 2) for q in np.percentile(took, [50, 99, 100])]
            found |= dict(zip(("p50_ms", "p99_ms", "worst_ms"), ms, strict=True))
        return found

    async def drop_in(self, rate: float) -> dict[str, Any]:
        """Let them come, so many a second, each for one upload; give how long each was there."""
        begun_s = time.perf_counter()
        connected_s, took_s = [], []

        async def visit(place: int, number: int) -> bool:
            await asyncio.sleep(max(0.0, begun_s + place / rate - time.perf_counter()))
            came_s = time.perf_counter()
            make, is_answer = _KINDS[self._kind]
            caller = await self._open(number)
            self.callers.append(caller)
            connected_s.append(time.perf_counter() - came_s)
            answer = await caller.ask(make(number)())
            took_s.append(time.perf_counter() - came_s)
            caller.close()
            return bool(is_answer(answer)[1])

        visits = [visit(place, number) for place, number in enumerate(self._numbers)]
        good = await asyncio.gather(*visits, return_exceptions=True)
        found: dict[str, Any] = {"came": len(good), "answered": good.count(True)}
        if took_s:
            ms = [round(float(q) * 1e3, 2) for q in np.percentile(took_s, [50, 99, 100])]
            found |= dict(zip(("p50_ms", "p99_ms", "worst_ms"), ms, strict=True))
            found["connected_p99_ms"] = round(float(np.percentile(connected_s, 99)) * 1e3, 2)
        return found

    async def ask_all(self) -> dict[str, Any]:
        """Let each send one upload, 200 at a time; give how many were answered well, and p99."""
        took_s, good = [], 0
        for at in range(0, len(self.callers), _TOGETHER):
            some = self.callers[at : at + _TOGETHER]
            begun_s = time.perf_counter()

            async def ask(caller: Caller, begun_s: float = begun_s) -> bool:
                answer = await caller.ask(caller.request())
                took_s.append(time.perf_counter() - begun_s)
                return is_jt808_answer(answer)[1]

            good += sum(await asyncio.gather(*map(ask, some)))
        p50, p99 = (round(float(q) * 1e3, 2) for q in np.percentile(took_s, [50, 99]))
        return {"answered": good, "p50_ms": p50, "p99_ms": p99}

    async def all_answered(self) -> None:
        """Wait for the last answers."""
        end = time.perf_counter() + _PATIENCE_S
        while any(caller.is_waiting for caller in self.callers) and time.perf_counter() < end:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        for caller in self.callers:
            caller.close()

    async def _open(self, number: int) -> Caller:
        make, is_answer = _KINDS[self._kind]
        _, caller = await asyncio.get_running_loop().create_connection(
            lambda: Caller(make(number), is_answer, self.took_s, self.bad), self._host, self._port
        )
        return caller

    async def _connect(self, number: int) -> Caller:
        caller = await self._open(number)
        is_answer = _KINDS[self._kind][1]
        if is_answer is is_jt808_answer:
            code = code_of(number).encode()
            shown = write(0x0102, code, number=terminal_number(number), serial=0)
            answer = await caller.ask(shown)
            if is_jt808_answer(answer) != (True, True):
                raise ConnectionError(f"terminal {number} is not let in: {answer.hex()}")
        else:
            # How a server that is busy takes new connections is measured elsewhere (`drop_in`): it
            # has taken this one when it has answered once.
            answer = await caller.ask(caller.request())
            if is_answer(answer)[1]:
                self.took_s.append((time.perf_counter(), 0.0))
            else:
                self.bad.append(answer)
        return caller


def raise_limit() -> int:
    """Let this process and its children have as many files open as may be; give how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


async def _main(options: argparse.Namespace) -> None:
    crowd = Crowd(options.kind, options.address, options.devices, options.first)
    if options.kind == "newcomers":
        _tell(await crowd.drop_in(options.rate or 50.0))
        return
    begun_s = time.perf_counter()
    await crowd.connect()
    if options.kind != "idle":
        _tell(await crowd.call(options.rate, options.warm, options.seconds))
        crowd.close()
        return
    _tell({"in": len(crowd.callers), "took_s": round(time.perf_counter() - begun_s, 2)})
    while await asyncio.to_thread(sys.stdin.readline):
        lost = sum(caller.lost for caller in crowd.callers)
        _tell({"lost": lost} | (await crowd.ask_all() if not lost else {}))
    crowd.close()


def _tell(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kind", choices=list(_KINDS))
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--devices", type=int, default=64)
    parser.add_argument("--first", type=int, default=0, help="number of the first device")
    parser.add_argument("--rate", type=float, default=0, help="uploads a second; 0: full speed")
    parser.add_argument("--warm", type=float, default=1.0, help="seconds before it counts")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    raise_limit()
    uvloop.install()
    asyncio.run(_main(options))


if __name__ == "__main__":
    main()
