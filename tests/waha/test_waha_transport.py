"""What a call to WAHA becomes when the wire fails, on sockets that really do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from waha.client import Timeouts, WahaClient
from waha.errors import WahaError, WahaNotSent, WahaUncertain

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHAT = "4915123456789@c.us"
IMPATIENT = Timeouts(send=0.5)


@asynccontextmanager
async def listening(behave: Behaviour) -> AsyncIterator[str]:
    """The address of a server that does `behave` with each connection and then closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def send(url: str, timeouts: Timeouts | None = None) -> WahaError:
    async with WahaClient(url, "key", timeouts=timeouts) as waha:
        with pytest.raises(WahaError) as raised:
            await waha.send_text("acme-1", CHAT, "one")
    return raised.value


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


async def test_a_refused_connection_was_not_sent() -> None:
    error = await send(f"http://127.0.0.1:{free_port()}")

    assert type(error) is WahaNotSent
    assert error.may_send_again == "yes"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:3000",
        "ftp://h",
        "http://",
        "http://a..b",
        f"http://{'a' * 70}.com",
        "http://h:99999",
        "http://h:x",
    ],
)
def test_an_address_that_can_be_no_servers_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a WAHA server"):
        WahaClient(url, "key")


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that accepts no connection: its queue is full, so that the kernel drops what knocks."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])


async def test_a_connection_that_is_not_made_in_time_was_not_sent() -> None:
    with full_backlog() as port:
        error = await send(f"http://127.0.0.1:{port}", Timeouts(connect=0.2))

    assert type(error) is WahaNotSent


async def test_a_server_that_speaks_no_tls_was_sent_nothing() -> None:
    async def answer_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(answer_plainly) as url:
        error = await send(url.replace("http:", "https:"), Timeouts(connect=10))

    assert type(error) is WahaNotSent


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await reader.read()


async def close_after_reading(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def close_without_reading(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def reset_after_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def stop_in_the_status_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 20")
    await writer.drain()


async def stop_in_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 90\r\n\r\n{"key":')
    await writer.drain()


async def stop_in_a_chunk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"key":')
    await writer.drain()


async def speak_something_else(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()


async def answer_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\n{"key":')
    await writer.drain()


async def answer_broken_compression(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
    await writer.drain()


@pytest.mark.parametrize(
    "behave",
    [
        hang,
        close_after_reading,
        close_without_reading,
        reset_after_reading,
        stop_in_the_status_line,
        stop_in_the_body,
        stop_in_a_chunk,
        speak_something_else,
        answer_nonsense,
        answer_broken_compression,
    ],
)
async def test_what_fails_after_the_connection_was_made_is_uncertain(behave: Behaviour) -> None:
    async with listening(behave) as url:
        error = await send(url, IMPATIENT)

    assert isinstance(error, WahaUncertain)
    assert error.may_send_again == "look_up"


async def test_an_answer_that_trickles_in_is_cut_off_by_the_time_of_the_whole_call() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), 0.05)

    started = time.monotonic()
    async with listening(trickle) as url:
        error = await send(url, IMPATIENT)

    assert type(error) is WahaUncertain
    assert time.monotonic() - started < 5


async def test_a_post_is_written_once_also_on_a_kept_connection_that_died() -> None:
    requests: list[bytes] = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        requests.append(await read_request(reader))

    async with listening(answer_once) as url, WahaClient(url, "key") as waha:
        await waha.send_text("acme-1", CHAT, "one")
        with pytest.raises(WahaUncertain):
            await waha.send_text("acme-1", CHAT, "two")

    assert len(requests) == 2


async def test_many_calls_at_once_do_not_wait_for_each_others_connection() -> None:
    together = asyncio.Barrier(150)

    async def answer_when_all_are_there(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await together.wait()
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()

    async with listening(answer_when_all_are_there) as url, WahaClient(url, "key") as waha:
        sent = await asyncio.gather(*(waha.send_text("acme-1", CHAT, "one") for _ in range(150)))

    assert len(sent) == 150


async def test_a_failure_tells_neither_key_nor_text() -> None:
    async with listening(close_after_reading) as url, WahaClient(url, "the-key") as waha:
        with pytest.raises(WahaUncertain) as raised:
            await waha.send_text("acme-1", CHAT, "my secret text")

    assert "the-key" not in repr(raised.value)
    assert "my secret text" not in f"{raised.value!r} {raised.value.__cause__!r}"
