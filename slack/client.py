"""Calls to Slack, each made once: no retry of ours or the SDK's, because only the caller knows what may be repeated."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from yarl import URL

from slack.addresses import file_url, hook_url
from slack.answers import (
    POST_EVENT_TYPE,
    Channel,
    ChannelAnswer,
    Done,
    FileAnswer,
    Granted,
    Identity,
    Page,
    Person,
    PossiblyOurs,
    Posted,
    Share,
    UploadSlot,
    UserAnswer,
    clock_in,
)
from slack.errors import SlackRefused, SlackUncertain
from slack.mrkdwn import as_sent
from slack.wire import TRANSFER_TIMEOUT, Observe, Wire, new_session, without_none

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime
    from types import TracebackType
    from uuid import UUID

    import aiohttp

    from slack.blocks import Block

CALL_TIMEOUT = timedelta(seconds=10)
PAGE_SIZE = 200
MOST_PAGES = 100
LARGEST_DOWNLOAD = 100 * 1024 * 1024


class SlackClient:
    """One workspace's Slack, as its bot. Use it as `async with SlackClient(token, api_url) as slack`.

    Every method raises a `SlackError`, whose class says whether the call may be made again. `timeout` is for a whole
    call, connecting included; a lease that is to outlast a call must be longer.
    """

    def __init__(
        self,
        token: str,
        api_url: str = "https://slack.com/api/",
        session: aiohttp.ClientSession | None = None,
        *,
        timeout: timedelta = CALL_TIMEOUT,
        observe: Observe | None = None,
    ) -> None:
        self._token = token
        self._api_url = URL(api_url)
        self._timeout = timeout
        self._given_session = session
        self._observe = observe

    async def __aenter__(self) -> Self:
        self._session = self._given_session or new_session(self._timeout)
        self._wire = Wire(self._token, self._api_url, self._session, self._timeout, self._observe)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._given_session is None:
            await self._session.close()

    def under(self, token: str) -> SlackClient:
        """The same Slack under another token, over the same session; to be used as `async with` too."""
        return SlackClient(token, str(self._api_url), self._session, timeout=self._timeout, observe=self._observe)

    async def post(
        self,
        channel: str,
        text: str,
        *,
        blocks: Sequence[Block] | None = None,
        thread_ts: str | None = None,
        outbox_id: UUID | str | None = None,
    ) -> str:
        """The `ts` of the new message. With `outbox_id` an unknown outcome can be looked up by `find_post`."""
        arguments = _message(channel, text, blocks) | {"thread_ts": thread_ts}
        if outbox_id is not None:
            # Every member and app can read metadata: an opaque id, never a number or a name.
            arguments["metadata"] = {"event_type": POST_EVENT_TYPE, "event_payload": {"id": str(outbox_id)}}
        return (await self._wire.write("chat.postMessage", Posted, arguments)).ts

    async def update(self, channel: str, ts: str, text: str, *, blocks: Sequence[Block] | None = None) -> None:
        """Replace a message as a whole; may be repeated.

        Slack's page has said both that blocks stay and that they go when only a text is given, so they are always sent.
        """
        arguments = {"channel": channel, "ts": ts, "text": text, "blocks": list(blocks or [])}
        await self._wire.write("chat.update", Done, arguments)

    async def delete(self, channel: str, ts: str) -> None:
        """Remove a message; one that is gone already counts as removed."""
        await self._settle("chat.delete", {"channel": channel, "ts": ts}, settled="message_not_found")

    async def post_ephemeral(
        self,
        channel: str,
        user: str,
        text: str,
        *,
        blocks: Sequence[Block] | None = None,
        thread_ts: str | None = None,
    ) -> None:
        """Show a message to one person. It cannot be looked up, so it is made at most once."""
        arguments = _message(channel, text, blocks) | {"user": user, "thread_ts": thread_ts}
        await self._wire.write("chat.postEphemeral", Done, arguments)

    async def add_reaction(self, channel: str, ts: str, name: str) -> None:
        """`name` without colons, such as `white_check_mark`; a reaction that stands already counts as added."""
        arguments = {"channel": channel, "timestamp": ts, "name": name}
        await self._settle("reactions.add", arguments, settled="already_reacted")

    async def remove_reaction(self, channel: str, ts: str, name: str) -> None:
        arguments = {"channel": channel, "timestamp": ts, "name": name}
        await self._settle("reactions.remove", arguments, settled="no_reaction")

    async def respond(
        self,
        response_url: str,
        text: str = "",
        *,
        blocks: Sequence[Block] | None = None,
        replace_original: bool = False,
        delete_original: bool = False,
        in_channel: bool = False,
        thread_ts: str | None = None,
    ) -> None:
        """Answer a command or a click; Slack allows five answers in 30 minutes.

        `in_channel` also shows everybody the command that was typed.
        """
        payload = {
            "text": text or None,
            "blocks": list(blocks) if blocks is not None else None,
            "response_type": "in_channel" if in_channel else "ephemeral",
            "replace_original": replace_original,
            "delete_original": delete_original,
            "thread_ts": thread_ts,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        url = hook_url(response_url, api_url=self._api_url)
        await self._wire.send("respond", url, json=as_sent(without_none(payload)))

    async def open_view(self, trigger_id: str, view: Block) -> None:
        """Open a form for whoever clicked: within 3 s of that, and once."""
        await self._wire.write("views.open", Done, {"trigger_id": trigger_id, "view": view})

    async def publish_home(self, user: str, blocks: Sequence[Block]) -> None:
        view = {"type": "home", "blocks": list(blocks)}
        await self._wire.write("views.publish", Done, {"user_id": user, "view": view})

    async def history(
        self,
        channel: str,
        *,
        oldest: str,
        thread_ts: str | None = None,
        limit: int = PAGE_SIZE,
        turn: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """The raw messages after the ts `oldest`: a channel's newest first, a thread's oldest first after its root.

        `limit` is how many a page has, 999 at most; `turn` is awaited before each page is asked for.

        Raises:
            SlackUncertain: there are more pages than are worth reading, so that "not found" would prove nothing.
        """
        method = "conversations.history" if thread_ts is None else "conversations.replies"
        arguments = {
            "channel": channel,
            "ts": thread_ts,
            "oldest": oldest,
            "limit": limit,
            "include_all_metadata": True,
        }
        for _ in range(MOST_PAGES):
            if turn is not None:
                await turn()
            page = await self._wire.read(method, Page, arguments)
            for message in page.messages:
                yield message
            if not page.next_cursor:
                return
            arguments["cursor"] = page.next_cursor
        raise SlackUncertain(method, f"There are more than {MOST_PAGES * limit:,} messages to look through.")

    async def find_post(
        self, channel: str, outbox_id: UUID | str, *, thread_ts: str | None = None, oldest: datetime
    ) -> str | None:
        """The `ts` of the message that `post` made for `outbox_id`, or None if Slack has none since `oldest`.

        Right after a post that may still be on its way None proves nothing: wait until its lease is over. `oldest` is
        compared with Slack's clock: leave a minute for the difference.
        """
        async for message in self.history(channel, oldest=f"{oldest.timestamp():.6f}", thread_ts=thread_ts):
            candidate = PossiblyOurs.model_validate(message)
            if candidate.carries(str(outbox_id)):
                return candidate.ts
        return None

    async def auth_test(self) -> Identity:
        return await self._wire.write("auth.test", Identity, {})

    async def granted(self) -> Granted:
        """What the token may do, and Slack's clock, from the headers of an answer."""
        headers = await self._wire.headers("auth.test")
        scopes = headers.get("x-oauth-scopes")
        return Granted(
            frozenset(scopes.replace(" ", "").split(",")) if scopes is not None else None, clock_in(headers.get("Date"))
        )

    async def check_app_token(self) -> None:
        """For a client under an app token: whether Slack would open a socket for it. None is opened."""
        await self._wire.write("apps.connections.open", Done, {})

    async def user_info(self, user: str) -> Person:
        return (await self._wire.read("users.info", UserAnswer, {"user": user})).user

    async def channel_info(self, channel: str) -> Channel:
        return (await self._wire.read("conversations.info", ChannelAnswer, {"channel": channel})).channel

    async def open_direct(self, user: str) -> str:
        """The id of the bot's direct conversation with `user`; it may be opened as often as one likes."""
        return (await self._wire.write("conversations.open", ChannelAnswer, {"users": user})).channel.id

    async def reserve_upload(self, filename: str, length: int, *, alt_text: str | None = None) -> UploadSlot:
        """First of three steps. Record `file_id` before the third; a slot that is not used is forgotten by Slack."""
        arguments = {"filename": filename, "length": length, "alt_txt": alt_text}
        return await self._wire.form("files.getUploadURLExternal", UploadSlot, arguments)

    async def put_bytes(self, upload_url: str, content: bytes) -> None:
        """Second step: nothing is shown yet, so it may be repeated."""
        await self._wire.send("upload", URL(upload_url, encoded=True), limit=TRANSFER_TIMEOUT, data=content)

    async def complete_upload(
        self,
        file_id: str,
        channel: str | None,
        *,
        title: str | None = None,
        thread_ts: str | None = None,
        comment: str | None = None,
    ) -> None:
        """Third step: Slack shares the file in `channel` some time later. An outcome is confirmed by `file_shares`.

        Without a channel nobody sees it before a message of ours shows it in a block, as `slack_file`.
        """
        arguments = {
            "files": [without_none({"id": file_id, "title": title})],
            "channel_id": channel,
            "thread_ts": thread_ts,
            "initial_comment": comment,
        }
        await self._wire.form("files.completeUploadExternal", Done, arguments)

    async def file_shares(self, file_id: str) -> list[Share]:
        """The messages that show the file; empty while Slack still scans it."""
        return (await self._wire.read("files.info", FileAnswer, {"file": file_id})).all_shares()

    async def file_is_ready(self, file_id: str) -> bool:
        """Whether a block may show the file: before Slack has looked through it, it refuses the whole message."""
        return (await self._wire.read("files.info", FileAnswer, {"file": file_id})).is_looked_through

    async def delete_file(self, file_id: str) -> None:
        """Remove a file of ours wherever it is shown; one that is gone already counts as removed."""
        try:
            await self._wire.write("files.delete", Done, {"file": file_id})
        except SlackRefused as error:
            if error.reason not in {"file_not_found", "file_deleted"}:
                raise

    async def download(self, url: str, *, largest: int = LARGEST_DOWNLOAD) -> bytes:
        """The bytes behind a file's `url_private_download`.

        Raises:
            SlackRefused: `login_page` when the token lacks `files:read` (Slack answers 200 and HTML),
                `file_too_large` above `largest` bytes, `foreign_file_url` when the host is not Slack's.
        """
        return await self._wire.fetch("download", file_url(url, api_url=self._api_url), largest=largest)

    async def _settle(self, method: str, arguments: dict[str, Any], *, settled: str) -> None:
        """Call `method`, for which the refusal `settled` means that things already are as they should be."""
        try:
            await self._wire.write(method, Done, arguments)
        except SlackRefused as error:
            if error.reason != settled:
                raise


def _message(channel: str, text: str, blocks: Sequence[Block] | None) -> dict[str, Any]:
    # Unfurling would make Slack fetch the links that strangers send. `link_names` is never sent: it wakes @here.
    return {
        "channel": channel,
        "text": text,
        "blocks": None if blocks is None else list(blocks),
        "unfurl_links": False,
        "unfurl_media": False,
    }
