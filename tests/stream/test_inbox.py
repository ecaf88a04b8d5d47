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


def large(*sizes_bytes: int) -> list[Raw]:
    """Messages of one partition, numbered, with so many bytes each."""
    return [Raw(bytes(size), "", b"", 0, 0, offset) for offset, size in enumerate(sizes_bytes)]


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


def test_a_batch_ends_with_the_message_that_makes_it_large_enough() -> None:
    """Wristbands after an outage: a thousand fixes in each message, 115 kB."""

    async def main() -> None:
        inbox = Inbox(100, room_bytes=1_000)
        await inbox.put(large(30, 30, 60, 30, 200, 0, 5))
        taken = [offsets((await inbox.take(3, most_bytes=100))[1]) for _ in range(3)]
        assert taken == [[0, 1, 2], [3, 4], [5, 6]]
        # Likewise when what was fetched lies there in pieces.
        for size in (60, 60, 60):
            await inbox.put(large(size))
        assert [len((await inbox.take(9, most_bytes=100))[1]) for _ in range(2)] == [2, 1]

    run(main)


def test_a_thousand_large_messages_are_no_batch() -> None:
    async def main() -> None:
        inbox = Inbox(8_000)
        await inbox.put(large(*[115_000] * 1_000))
        _, taken = await inbox.take(2_000)
        assert 4 << 20 <= sum(len(raw.data) for raw in taken) < (4 << 20) + 115_000

    run(main)


def test_an_inbox_full_of_bytes_makes_the_consumer_wait() -> None:
    async def main() -> None:
        inbox = Inbox(100, room_bytes=200)
        assert await inbox.put(large(150))
        assert await inbox.put(large(150))
        putting = asyncio.create_task(inbox.put(large(1)))
        await let_others_run()
        assert not putting.done(), "300 bytes are in it"
        await inbox.take(1)
        assert await putting
        await inbox.clear()
        assert await inbox.put(large(150)), "what was thrown away takes no room"
        assert await inbox.put(large(150))

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
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=7), max_size=20),
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 99))),
    st.integers(1, 12),
    st.integers(1, 99),
)
def test_nothing_is_lost_or_doubled_however_it_is_cut(
    fetches: list[list[int]], takes: list[tuple[int, int]], room: int, room_bytes: int
) -> None:
    messages_in_all = sum(map(len, fetches))
    held: list[int] = []  # bytes of what is in the inbox

    async def main() -> None:
        inbox = Inbox(room, room_bytes)

        async def consume() -> None:
            at = 0
            for sizes in fetches:
                put = [Raw(bytes(n), "", b"", 0, 0, at + i) for i, n in enumerate(sizes)]
                assert await inbox.put(put)
                assert len(inbox) < room + len(sizes)
                held.extend(sizes)
                assert sum(held) < room_bytes + max(sum(sizes), 1)
                at += len(sizes)

        consuming = asyncio.create_task(consume())
        taken: list[int] = []
        wanted = iter(takes)
        while len(taken) < messages_in_all:
            most, most_bytes = next(wanted, (5, 50))
            _, batch = await inbox.take(most, most_bytes)
            del held[: len(batch)]
            assert 0 < len(batch) <= most
            assert sum(len(raw.data) for raw in batch[:-1]) < most_bytes
            taken += offsets(batch)
        await consuming
        assert taken == list(range(messages_in_all))

    run(main)
