"""Files: the three steps of an upload, the share that comes later, and downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PICTURE = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(share_seconds=0.01) as running:
        yield running


@pytest.fixture
def client(slack: SandboxSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def get(url: str, token: str | None) -> tuple[int, str, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        return response.status, response.content_type, await response.read()


async def reserved(client: AsyncWebClient, content: bytes = PICTURE) -> Any:
    return await client.files_getUploadURLExternal(filename="qr.png", length=len(content), alt_txt="a QR code")


async def test_the_sdk_uploads_into_a_thread(slack: SandboxSlack, client: AsyncWebClient) -> None:
    root = slack.say("ana", "support", "where is it?")

    uploaded = await client.files_upload_v2(
        channel=slack.channel("support").id,
        thread_ts=root.ts,
        content=PICTURE,
        filename="qr.png",
        alt_txt="a QR code",
        initial_comment="here",
    )
    await slack.until(lambda: len(slack.thread("support", root.ts)) == 2)

    message = slack.thread("support", root.ts)[1]
    assert "ts" not in uploaded
    assert message.text == "here"
    assert [file.content for file in message.files] == [PICTURE]
    assert slack.file(uploaded["file"]["id"]).alt_txt == "a QR code"


async def test_the_share_is_found_through_the_file(slack: SandboxSlack, client: AsyncWebClient) -> None:
    support = slack.channel("support").id
    slot = await reserved(client)
    async with aiohttp.ClientSession() as session, session.post(slot["upload_url"], data=PICTURE) as response:
        assert (response.status, await response.text()) == (200, f"OK - {len(PICTURE)}")

    completed = await client.files_completeUploadExternal(files=[{"id": slot["file_id"]}], channel_id=support)
    at_once = await client.files_info(file=slot["file_id"])
    await slack.until(lambda: slack.messages("support"))
    later = await client.files_info(file=slot["file_id"])

    assert completed["files"][0]["mimetype"] == ""
    assert at_once["file"]["shares"] == {}
    [share] = later["file"]["shares"]["public"][support]
    assert share["ts"] == slack.messages("support")[0].ts
    assert later["file"]["mimetype"] == "image/png"


async def test_a_form_upload_is_understood_and_a_short_one_is_not(slack: SandboxSlack, client: AsyncWebClient) -> None:
    slot = await reserved(client)
    form = aiohttp.FormData()
    form.add_field("file", PICTURE, filename="qr.png")

    async with aiohttp.ClientSession() as session:
        async with session.post(slot["upload_url"], data=b"short") as short:
            assert short.status == 400
        async with session.post(slot["upload_url"], data=form) as whole:
            assert whole.status == 200

    assert slack.file(slot["file_id"]).content == PICTURE


async def test_a_file_without_bytes_cannot_be_completed(client: AsyncWebClient) -> None:
    slot = await reserved(client)

    with pytest.raises(SlackApiError) as refused:
        await client.files_completeUploadExternal(files=[{"id": slot["file_id"]}])

    assert refused.value.response["error"] == "file_not_found"


async def test_completing_twice_shows_the_file_once(slack: SandboxSlack, client: AsyncWebClient) -> None:
    support = slack.channel("support").id
    slot = await reserved(client)
    async with aiohttp.ClientSession() as session, session.post(slot["upload_url"], data=PICTURE):
        pass

    for _ in range(2):
        await client.files_completeUploadExternal(files=[{"id": slot["file_id"]}], channel_id=support)
    await slack.until(lambda: slack.messages("support"))
    await client.files_completeUploadExternal(files=[{"id": slot["file_id"]}], channel_id=support)
    await client.chat_postMessage(channel=support, text="after")

    assert [bool(message.files) for message in slack.messages("support")] == [True, False]


async def test_direct_messages_take_files_by_channel_and_not_by_user(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    ana = slack.person("ana").id
    direct = (await client.conversations_open(users=ana))["channel"]["id"]

    await client.files_upload_v2(channel=direct, content=PICTURE, filename="qr.png")
    await slack.until(lambda: slack.direct_messages("ana"))
    with pytest.raises(SlackApiError) as refused:
        await client.files_upload_v2(channel=ana, content=PICTURE, filename="qr.png")

    [file] = slack.direct_messages("ana")[0].files
    assert list(file.as_json()["shares"]) == ["private"]
    assert refused.value.response["error"] == "channel_not_found"


async def test_a_picture_in_a_message_has_to_be_processed(slack: SandboxSlack, client: AsyncWebClient) -> None:
    slot = await reserved(client)
    block = {"type": "image", "slack_file": {"id": slot["file_id"]}, "alt_text": "a QR code"}
    post: Any = {"channel": slack.channel("support").id, "text": "scan", "blocks": [block]}

    with pytest.raises(SlackApiError) as early:
        await client.chat_postMessage(**post)
    async with aiohttp.ClientSession() as session, session.post(slot["upload_url"], data=PICTURE):
        pass
    await client.files_completeUploadExternal(files=[{"id": slot["file_id"]}])
    with pytest.raises(SlackApiError) as unprocessed:
        await client.chat_postMessage(**post)
    await slack.until(lambda: slack.file(slot["file_id"]).processed)
    posted = await client.chat_postMessage(**post)

    assert early.value.response["error"] == unprocessed.value.response["error"] == "invalid_blocks"
    assert posted["ok"]
    assert (await client.files_info(file=slot["file_id"]))["file"]["mimetype"] == "image/png"


async def test_an_own_file_is_deleted_once_and_shown_nowhere_any_more(
    slack: SandboxSlack, client: AsyncWebClient
) -> None:
    uploaded = await client.files_upload_v2(
        channel=slack.channel("support").id, content=PICTURE, filename="qr.png", initial_comment="scan"
    )
    [message] = await slack.until(lambda: slack.messages("support"))
    theirs = slack.say("ana", "support", "look", files=[("photo.png", PICTURE)]).files[0]

    await client.files_delete(file=uploaded["file"]["id"])
    errors = []
    for file in (uploaded["file"]["id"], "F0NOTHING", theirs.id):
        with pytest.raises(SlackApiError) as refused:
            await client.files_delete(file=file)
        errors.append(refused.value.response["error"])

    assert errors == ["file_deleted", "file_not_found", "cant_delete_file"]
    assert [file.as_json() for file in message.files] == [{"id": uploaded["file"]["id"], "mode": "tombstone"}]
    history = await client.conversations_history(channel=slack.channel("support").id)
    assert history["messages"][-1]["files"][0]["mode"] == "tombstone"


async def test_a_persons_file_is_downloaded_with_the_token_and_is_a_login_page_without(slack: SandboxSlack) -> None:
    message = slack.say("ana", "support", "look", files=[("photo.png", PICTURE)])
    url = message.files[0].as_json()["url_private_download"]

    allowed = await get(url, slack.bot_token)
    anonymous = await get(url, None)
    missing = await get(url.replace(message.files[0].id, "F0NOTHING"), slack.bot_token)

    assert message.subtype == "file_share"
    assert allowed == (200, "image/png", PICTURE)
    assert anonymous[:2] == (200, "text/html")
    assert missing[0] == 404


async def test_a_download_fails_on_demand(slack: SandboxSlack) -> None:
    message = slack.say("ana", "support", "look", files=[("photo.png", PICTURE)])
    slack.fail("download", status=503)

    status, _, _ = await get(message.files[0].as_json()["url_private_download"], slack.bot_token)

    assert status == 503
