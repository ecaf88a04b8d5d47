"""Where connections come in: as many as come at a time, also while all others are busy."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import cast

import pytest
import uvloop

from geomon.errors import SettingsError, UnavailableError
from geomon.gateway.entrance import Entrance

HOST = "127.0.0.1"


class Guest(asyncio.Protocol):
    """Somebody who came in."""

    came: list[Guest]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.came.append(self)


def port_of(entrance: Entrance) -> int:
    return int(entrance.where("tcp", "tls").rpartition(":")[2])


def test_newcomers_are_taken_in_together_and_not_one_in_each_round_of_the_loop() -> None:
    async def main() -> int:
        Guest.came = []
        entrance = Entrance(f"{HOST}:0", "gateway_http", None)
        await entrance.open(Guest)
        try:
            with ExitStack() as stack:
                for _ in range(64):
                    stack.enter_context(socket.create_connection((HOST, port_of(entrance))))
                rounds = 0
                while len(Guest.came) < 64 and rounds < 100:
                    rounds += 1
                    await asyncio.sleep(0)
                return rounds
        finally:
            entrance.close()
            for guest in Guest.came:
                guest.transport.abort()
            await entrance.closed(1.0)

    loop = uvloop.new_event_loop()
    try:
        assert loop.run_until_complete(asyncio.wait_for(main(), 20.0)) < 10
    finally:
        loop.close()


@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_after_it_is_closed_nobody_comes_in_and_the_address_is_free(loops: object) -> None:
    async def main() -> None:
        Guest.came = []
        entrance = Entrance(f"{HOST}:0", "gateway_gt06", None)
        assert (entrance.is_open,) == (False,)
        await entrance.open(Guest)
        port = port_of(entrance)
        another = Entrance(f"{HOST}:{port}", "gateway_r16h", None)
        with pytest.raises(UnavailableError, match="gateway_r16h"):
            await another.open(Guest)
        assert (entrance.is_open, another.is_open) == (True, False)
        entrance.close()
        await entrance.closed(1.0)
        assert (entrance.is_open,) == (False,)
        await another.open(Guest)
        assert port_of(another) == port
        another.close()
        await another.closed(1.0)
        assert Guest.came == []

    assert callable(loops)
    loop = loops()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_what_is_no_address_is_refused_with_its_setting() -> None:
    with pytest.raises(SettingsError, match="gateway_gt06: 'here'"):
        Entrance("here", "gateway_gt06", None)
