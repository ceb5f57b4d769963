from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from waha.client import WahaClient
from waha.errors import WahaRejected, WahaUnreadable

Answer = Callable[..., None]
CHAT = "4915123456789@c.us"


@pytest.mark.parametrize("host", ["http://localhost:3000", "https://waha.example", "http://10.0.0.1/proxied"])
async def test_a_file_is_taken_from_the_configured_server_whatever_its_url_says(
    waha: WahaClient, answer: Answer, asked: list[Any], host: str
) -> None:
    answer(200, b"\xff\xd8\xff", content_type="image/jpeg")

    content = await waha.download(f"{host}/api/files/acme-1/false_1@c.us_A.jpeg?x=1", max_bytes=10)

    assert content == b"\xff\xd8\xff"
    assert asked[-1].path == "/api/files/acme-1/false_1@c.us_A.jpeg"
    assert asked[-1].headers["X-Api-Key"] == "the-right-key"


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket.s3.example/acme-1/a.jpeg?X-Amz-Signature=1",
        "http://localhost:3000/api/files/",
        "http://localhost:3000/api/files/../server/environment",
        "file:///etc/passwd",
        "",
    ],
)
async def test_a_file_elsewhere_is_not_asked_for(waha: WahaClient, asked: list[Any], url: str) -> None:
    with pytest.raises(WahaRejected):
        await waha.download(url, max_bytes=10)

    assert asked == []


async def test_a_file_that_is_too_long_is_given_up(waha: WahaClient, answer: Answer) -> None:
    answer(200, b"x" * 100_000)

    with pytest.raises(WahaUnreadable):
        await waha.download("http://h/api/files/a", max_bytes=99_999)


async def test_a_file_that_waha_deleted_is_rejected(waha: WahaClient, answer: Answer) -> None:
    answer(404, {"error": {"code": 404, "key": "FILE_NOT_FOUND", "message": "File not found", "details": "x"}})

    with pytest.raises(WahaRejected, match="File not found"):
        await waha.download("http://h/api/files/a", max_bytes=10)


@pytest.mark.parametrize(
    ("mimetype", "path"),
    [("image/png", "/api/sendImage"), ("image/webp", "/api/sendFile"), ("application/pdf", "/api/sendFile")],
)
async def test_a_picture_is_sent_as_one_and_the_rest_as_documents(
    waha: WahaClient, answer: Answer, asked: list[Any], mimetype: str, path: str
) -> None:
    answer(201, {"key": {"remoteJid": CHAT, "fromMe": True, "id": "3EB0AA"}, "status": "PENDING"})

    sent = await waha.send_file("acme-1", CHAT, b"abc", filename="a.bin", mimetype=mimetype, caption="See")

    assert sent.waha_message_id == "3EB0AA"
    assert asked[-1].path == path
    assert asked[-1].body == {
        "session": "acme-1",
        "chatId": CHAT,
        "file": {"mimetype": mimetype, "filename": "a.bin", "data": base64.b64encode(b"abc").decode()},
        "caption": "See",
    }
