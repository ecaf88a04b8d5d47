"""What HTTP itself asks of a server, beside what is in the requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from reception import PATIENCE_S, TOKEN, Reception, now_text, reception, run

BODY = json.dumps(
    {"device_id": "phone-3", "fixes": [{"time": now_text(), "lon": 114.0579, "lat": 22.5431}]}
).encode()


def head(size: int, *lines: str) -> bytes:
    """The head of an upload of so many bytes."""
    usual = ("Host: gateway", f"Authorization: Bearer {TOKEN}", f"Content-Length: {size}")
    return "\r\n".join(("POST /v1/uploads HTTP/1.1", *usual, *lines, "", "")).encode()


async def connected(here: Reception) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(here.url.rpartition(":")[2]))


async def status(reader: asyncio.StreamReader) -> int:
    """Read an answer with its body; give its status."""
    text = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
    size = [line for line in text.lower().splitlines() if line.startswith(b"content-length: ")]
    await reader.readexactly(int(size[0].split()[1]) if size else 0)
    return int(text.split()[1])


def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(tmp_path: Path) -> None:
    """As curl does before a large one; otherwise it waits a second for nothing."""

    async def main() -> None:
        async with reception(tmp_path) as here:
            reader, writer = await connected(here)
            for _ in range(2):  # on one connection
                writer.write(head(len(BODY), "Expect: 100-continue"))
                assert await status(reader) == 100
                writer.write(BODY)
                assert await status(reader) == 200
            writer.close()
            await writer.wait_closed()
            assert len(await here.events()) == 2

    run(main)


def test_one_whose_body_is_too_large_is_told_so_before_it_sends_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path, gateway_upload_bytes=10_000) as here:
            reader, writer = await connected(here)
            writer.write(head(10_001, "Expect: 100-continue"))
            assert await status(reader) == 413
            writer.close()
            await writer.wait_closed()

    run(main)


def test_where_only_a_post_is_taken_the_answer_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            for path in ("/v1/uploads", "/owntracks"):
                async with here.client.get(here.url + path) as answer:
                    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            async with here.client.head(f"{here.url}/osmand?id=phone-3") as answer:
                assert answer.status == 401
            async with here.client.post(f"{here.url}/v1/uploads/") as answer:
                assert answer.status == 404

    run(main)


def test_requests_that_are_sent_without_waiting_are_answered_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            reader, writer = await connected(here)
            torn = b"{torn"
            writer.write(head(len(BODY)) + BODY + head(len(torn)) + torn + head(len(BODY)) + BODY)
            assert [await status(reader) for _ in range(3)] == [200, 401, 200]
            writer.close()
            await writer.wait_closed()

    run(main)
