"""Messages between consumer and desk: their order, their room, and what a clearing makes void."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from geomon.intake import Raw
from geomon.stream.inbox import Inbox

PATIENCE_S = 30.0


def messages(*offsets: int, partition: int = 0) -> list[Raw]:
    return [Raw(b"", "", b"", 0, partition, offset) for offset in offsets]


def offsets(taken: list[Raw]) -> list[int]:
    return [raw.offset for raw in taken]


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), PATIENCE_S))


async def let_others_run() -> None:
    """Give every task that can go on the time to come to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_messages_come_out_in_the_order_in_which_they_came_in() -> None:
    async def main() -> None:
        inbox = Inbox(100)
        assert await inbox.put(messages(1, 2, 3))
        assert await inbox.put(messages(1, 2, partition=1))
        assert await inbox.put(messages(4, 5))
        assert len(inbox) == 7
        _, taken = await inbox.take(100)
        assert [(raw.partition, raw.offset) for raw in taken] == [
            *((0, 1), (0, 2), (0, 3)),
            *((1, 1), (1, 2)),
            *((0, 4), (0, 5)),
        ]
        assert len(inbox) == 0

    run(main)


def test_a_fetch_is_cut_where_as_much_is_taken_as_asked_for() -> None:
    async def main() -> None:
        inbox = Inbox(100)
        await inbox.put(messages(1, 2, 3, 4, 5))
        assert [offsets((await inbox.take(2))[1]) for _ in range(3)] == [[1, 2], [3, 4], [5]]

    run(main)


def test_who_takes_from_an_empty_inbox_waits_for_messages() -> None:
    async def main() -> None:
        inbox = Inbox(100)
        taking = asyncio.create_task(inbox.take(10))
        await let_others_run()
        assert not taking.done()
        await inbox.put(messages(1))
        assert offsets((await taking)[1]) == [1]

    run(main)


def test_a_full_inbox_makes_the_consumer_wait() -> None:
    async def main() -> None:
        inbox = Inbox(4)
        # One fetch of any size is let in: it cannot be given back.
        assert await inbox.put(messages(1, 2, 3, 4, 5, 6))
        putting = asyncio.create_task(inbox.put(messages(7)))
        await let_others_run()
        assert not putting.done()
        await inbox.take(2)
        await let_others_run()
        assert not putting.done(), "there are four left"
        await inbox.take(1)
        assert await putting
        assert offsets((await inbox.take(10))[1]) == [4, 5, 6, 7]

    run(main)


def test_what_waits_for_room_is_void_when_the_inbox_is_cleared() -> None:
    async def main() -> None:
        inbox = Inbox(1)
        await inbox.put(messages(1))
        putting = [asyncio.create_task(inbox.put(messages(number))) for number in (2, 3)]
        await let_others_run()
        await inbox.clear()
        assert [await one for one in putting] == [False, False]
        assert len(inbox) == 0
        # What is fetched afterwards gets in.
        assert await inbox.put(messages(1))
        assert offsets((await inbox.take(10))[1]) == [1]

    run(main)


def test_what_was_taken_before_a_clearing_is_of_an_earlier_epoch() -> None:
    async def main() -> None:
        inbox = Inbox(10)
        await inbox.put(messages(1, 2))
        epoch, taken = await inbox.take(1)
        assert (epoch, offsets(taken)) == (inbox.epoch, [1])
        await inbox.clear()
        assert epoch < inbox.epoch
        await inbox.put(messages(1))
        again, taken = await inbox.take(10)
        assert (again, offsets(taken)) == (inbox.epoch, [1])

    run(main)


def test_a_clearing_counts_at_once_though_somebody_holds_the_inbox() -> None:
    """Whoever has begun to judge asks for the epoch without waiting for the end of the clearing."""

    async def main() -> None:
        inbox = Inbox(10)
        await inbox.put(messages(1))
        before = inbox.epoch
        async with inbox._changed:
            clearing = asyncio.create_task(inbox.clear())
            await let_others_run()
            assert not clearing.done()
            assert inbox.epoch > before
        await clearing

    run(main)


def test_messages_that_wait_behind_the_clearing_itself_are_void() -> None:
    """`clear` and `put` begin at the same moment: what was fetched before it must not get in."""

    async def main() -> None:
        inbox = Inbox(10)
        async with inbox._changed:
            putting = asyncio.create_task(inbox.put(messages(1)))
            await let_others_run()
            clearing = asyncio.create_task(inbox.clear())
            await let_others_run()
        assert await putting is False
        await clearing
        assert len(inbox) == 0

    run(main)


def test_who_waits_to_take_goes_on_waiting_through_a_clearing() -> None:
    async def main() -> None:
        inbox = Inbox(10)
        taking = asyncio.create_task(inbox.take(10))
        await let_others_run()
        await inbox.clear()
        await let_others_run()
        assert not taking.done()
        await inbox.put(messages(7))
        epoch, taken = await taking
        assert (epoch, offsets(taken)) == (inbox.epoch, [7])

    run(main)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 7), max_size=20), st.lists(st.integers(1, 9)), st.integers(1, 12))
def test_nothing_is_lost_or_doubled_however_it_is_cut(
    fetches: list[int], takes: list[int], room: int
) -> None:
    async def main() -> None:
        inbox = Inbox(room)

        async def consume() -> None:
            at = 0
            for size in fetches:
                assert await inbox.put(messages(*range(at, at + size)))
                assert len(inbox) < room + size
                at += size

        consuming = asyncio.create_task(consume())
        taken: list[int] = []
        sizes = iter(takes)
        while len(taken) < sum(fetches):
            most = next(sizes, 5)
            _, batch = await inbox.take(most)
            assert 0 < len(batch) <= most
            taken += offsets(batch)
        await consuming
        assert taken == list(range(sum(fetches)))

    run(main)
