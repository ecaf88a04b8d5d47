"""One TCP connection of a device: bytes to its `Talk`, reports to the door, answers back in order.

**No answer before Kafka has it.** An answer waits for the report that it acknowledges, and for the
answers before it. While Kafka is away the report is tried again for as long as the connection is
open; nothing is said meanwhile, and the device keeps what it has.

**Memory stays bounded.** A line takes nothing more while `most` of its messages are under way, nor
while its device does not take the answers. A read is at most 8 KiB, into a buffer that all lines
share, and is taken in small pieces, of which the rest is kept when the line has to wait; what is
kept of half a message is bounded by its protocol. An idle line has no task and no timer of its own:
`sweep` is called for all of them now and then.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections import deque
from typing import Any, Protocol, cast

from geomon.gateway.door import Door
from geomon.gateway.publisher import Busy
from geomon.gateway.registry import BLAMED, Device
from geomon.gateway.talk import Talk, Turn

__all__ = ["Line", "Lines"]

#: After so many pieces of garbage in a row with no message between them a line is closed.
_MOST_GARBAGE = 20
#: Bytes of answers that a device may leave unread before nothing more is read from it.
_MOST_UNSENT = 4_096
#: Bytes that are taken at a time: a few messages, so that few more than `most` are under way.
_PIECE = 256
_AGAIN_S, _LONGEST_AGAIN_S = 0.5, 5.0
#: So many lines of devices that hung up, and will not send again what was read, may still wait.
_MOST_LINGERING = 256
#: Half-open connections are found by the kernel, too: after 5 minutes, four probes 30 s apart.
_KEEPALIVE = {"TCP_KEEPIDLE": 300, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 4}
_log = logging.getLogger("geomon.gateway")


class Lines(Protocol):
    """What a line knows of the listener it belongs to. Times are of the loop, in s."""

    protocol: str
    door: Door
    buffer: memoryview
    most: int
    idle_s: float
    login_s: float
    busy: set[Line]
    lingering: int  # lines of which something waits though they are gone

    def opened(self, line: Line) -> bool:
        """Take a line in; say whether it may stay."""
        ...

    def closed(self, line: Line) -> None:
        """Forget a line."""
        ...

    def met(self, line: Line) -> None:
        """Note that a line's device has said who it is."""
        ...


class Line(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = (
        *("_bad", "_draining", "_ending", "_flying", "_heard_s", "_held", "_last", "_lines"),
        *("_lingers", "_met", "_paused", "_talk", "_transport", "_waiting", "address", "worker"),
    )

    def __init__(self, lines: Lines, talk: Talk) -> None:
        self._lines = lines
        self._talk = talk
        self._transport: asyncio.Transport | None = None
        self._flying: deque[tuple[Turn, asyncio.Task[bool] | None]] | None = None
        self._heard_s = 0.0  # when something of sense was heard last
        self._last: asyncio.Task[bool] | None = None  # brings the last of them
        self._waiting = 0  # how many of them wait for their next try
        self._lingers = False  # some of them wait though it is gone
        self._held = b""  # read, and not taken yet
        self._bad = 0
        self._met = False  # its device has said who it is
        self._paused = False
        self._draining = False  # nothing more is read
        self._ending = False  # nothing more is taken
        self.worker: asyncio.Task[None] | None = None
        self.address = ""

    # -- what the loop calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._heard_s = asyncio.get_running_loop().time()
        peer: Any = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if not self._lines.opened(self):
            self._ending = True
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=_MOST_UNSENT)
        _keep_alive(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Give where to read into: what is there is used up before anybody else reads."""
        return self._lines.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        lines = self._lines
        lines.door.metrics.add(
            "geomon_gateway_received_bytes_total", lines.protocol, by=float(nbytes)
        )
        if not self._ending:
            self._held += lines.buffer[:nbytes]
            self._go_through()

    def pause_writing(self) -> None:
        """The device does not take its answers: read no further."""
        self._pause()

    def resume_writing(self) -> None:
        """It takes them again."""
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End. What is on its way to Kafka goes on; what Kafka had no room for is given up."""
        if self._transport is not None:
            # Python 3.10 takes one of TLS for unclosed when it was the device that hung up.
            self._transport.close()
        self._transport = None
        self._ending = True
        self._lines.closed(self)

    # -- what the listener calls ------------------------------------------------------------------

    def sweep(self, now_s: float) -> None:
        """Look for what has been waited for too long; `now_s` is the loop's time."""
        if self._is_early():
            return
        self._go_on()
        silent_s = now_s - self._heard_s
        if self._talk.device is None and silent_s > self._lines.login_s:
            self._lines.door.turn_away("no_secret", self._lines.protocol)
            self.abort()
        elif silent_s > self._lines.idle_s and not self._flying:
            self.abort()
        elif not self._ending and self._talk.due_s <= (posix_s := self._lines.door.now()):
            self._take(self._talk.tick(posix_s))

    def drain(self) -> None:
        """Read nothing more; what was read is still taken and answered."""
        self._draining = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def abort(self) -> None:
        """Close at once."""
        self._ending = True
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when what has been said is sent."""
        self._ending = True
        if self._transport is not None:
            self._transport.close()

    @property
    def device(self) -> Device | None:
        """Who is at its other end, as far as proved."""
        return None if self._ending else self._talk.device

    def ask(self, interval_s: int, for_s: int) -> bool:
        """Ask the device to report so often for so long; False where its protocol cannot."""
        request = self._talk.ask(interval_s, for_s)
        self._say(Turn(answer=request))
        return bool(request)

    def give_up(self) -> list[asyncio.Task[Any]]:
        """Wait for Kafka no longer; give what still has to end."""
        tasks: list[asyncio.Task[Any]] = [landing for _, landing in self._flying or () if landing]
        if self.worker is not None:
            tasks.append(self.worker)
        for task in tasks:
            task.cancel()
        return tasks

    # -- messages ---------------------------------------------------------------------------------

    def _go_through(self) -> None:
        """Take what was read, until the line has to wait."""
        if self._is_early():
            self._pause()
            return
        held, at, now_s = self._held, 0, self._lines.door.now()
        while at < len(held) and not self._paused and not self._ending:
            self._take(self._talk.receive(held[at : at + _PIECE], now_s))
            at += _PIECE
        self._held = b"" if self._ending else held[at:]
        if self._met != (self.device is not None):
            self._met = not self._met
            if self._met:
                self._lines.met(self)

    def _is_early(self) -> bool:
        """Say whether nobody can be known yet, on a line whose device sends nothing twice.

        Then nothing is read on, and it keeps what its own buffers hold.
        """
        return not (self._talk.answers or self._lines.door.registry.is_ready)

    def _take(self, turns: list[Turn]) -> None:
        flying = self._flying
        for turn in turns:
            self._count(turn)
            landing = None
            if turn.reports:
                landing = self._last = asyncio.create_task(self._land(turn, self._last))
            if landing is not None or flying:
                if flying is None:
                    flying = self._flying = deque()
                flying.append((turn, landing))
            else:
                self._say(turn)
            if turn.close or self._bad > _MOST_GARBAGE:
                self._ending = True
                if not flying:
                    self.close()
                break
        if not flying:
            return
        if len(flying) >= self._lines.most or self._ending:
            self._pause()
        if self.worker is None:
            self.worker = asyncio.create_task(self._answer(flying))
            self._lines.busy.add(self)

    def _count(self, turn: Turn) -> None:
        door, protocol = self._lines.door, self._lines.protocol
        if turn.unreadable:
            self._bad += 1
            door.throw_away(turn.unreadable, protocol)
        elif turn.away:
            door.turn_away(turn.away, protocol)
            if turn.away in BLAMED:
                door.limits.blame(self.address, door.now())
        elif turn.later:
            door.put_off(protocol)
        elif turn.device is not None:
            # Of nobody known it does not count: who only registers again and again is let go.
            self._bad = 0
            self._heard_s = asyncio.get_running_loop().time()

    async def _land(self, turn: Turn, before: asyncio.Task[bool] | None) -> bool:
        """Bring a turn's reports into Kafka; give up, and say so, only when the line is gone.

        `before` brings the turn before it. As long as nothing has to wait they go together, and
        Kafka has them in order; what has to wait is not overtaken by what came after it.
        """
        device, door = turn.device, self._lines.door
        assert device is not None  # noqa: S101  (there are no reports of nobody)
        if self._waiting:
            await _end_of(before)
        again_s, allowed = _AGAIN_S, False
        while True:
            wait_s = 0.0
            if not allowed:
                # Who sends too much is not refused but slowed down: it is not read meanwhile.
                wait_s = door.limits.device(device.device_id, door.now(), len(turn.reports))
                allowed = not wait_s
            if allowed:
                try:
                    await door.admit(
                        device, turn.reports, protocol=self._lines.protocol, raw=turn.raw
                    )
                except Busy:
                    wait_s = again_s * random.uniform(0.75, 1.25)  # noqa: S311
                    again_s = min(2 * again_s, _LONGEST_AGAIN_S)
                else:
                    return True
            if not await self._wait(wait_s, turn, before):
                return False

    async def _wait(self, for_s: float, turn: Turn, before: asyncio.Task[bool] | None) -> bool:
        """Wait for a next try; False where the line is gone and the device will send it again.

        A device that gets no answer does not know that it was not taken, and never will.
        """
        if self._transport is None and (turn.answer or not self._lingering()):
            self._lines.door.put_off(self._lines.protocol)
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(for_s)
            await _end_of(before)
        finally:
            self._waiting -= 1
        return True

    def _lingering(self) -> bool:
        """Say whether what was read may still wait though the line is gone."""
        if not self._lingers and self._lines.lingering < _MOST_LINGERING:
            self._lingers = True
            self._lines.lingering += 1
        return self._lingers

    async def _answer(self, flying: deque[tuple[Turn, asyncio.Task[bool] | None]]) -> None:
        """Say what is to be said, in the order of what it answers, each when Kafka has it."""
        try:
            while flying:
                turn, landing = flying[0]
                if landing is None or await landing:
                    self._say(turn)
                flying.popleft()
                if len(flying) <= self._lines.most // 2:
                    self._go_on()
            if self._ending or self._draining:
                self.close()
        except Exception:
            _log.exception("a line of %s is closed", self._lines.protocol)
            self.abort()
        finally:
            self.worker = None
            self._flying = self._last = None
            if self._lingers:
                self._lingers = False
                self._lines.lingering -= 1
            self._lines.busy.discard(self)

    def _say(self, turn: Turn) -> None:
        if turn.answer and self._transport is not None and not self._transport.is_closing():
            self._transport.write(turn.answer)

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Read again, if nothing stands against it any more."""
        transport = self._transport
        if not self._paused or self._ending or transport is None or transport.is_closing():
            return
        unsent = transport.get_write_buffer_size()
        if unsent <= _MOST_UNSENT and len(self._flying or ()) < self._lines.most:
            self._paused = False
            self._go_through()
            if not (self._paused or self._ending or self._draining):
                transport.resume_reading()


async def _end_of(task: asyncio.Task[bool] | None) -> None:
    if task is not None and not task.done():
        await asyncio.wait({task})


def _keep_alive(endpoint: socket.socket | None) -> None:
    if endpoint is None:
        return
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            endpoint.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
