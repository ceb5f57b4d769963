"""Somebody who begins to post and never ends."""

from __future__ import annotations

import asyncio


async def begin_to_post(host: str, port: int, path: str, content_type: str) -> int:
    """Promise a hundred bytes and send one; returns the status of the answer."""
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b"a")
    try:
        async with asyncio.timeout(15):
            answer = await reader.readline()
    finally:
        writer.close()
    return int(answer.split()[1])
