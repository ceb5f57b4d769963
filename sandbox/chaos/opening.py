"""Everything that must be there before the load: made by slash commands, QR codes and customers who write first."""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass

from sandbox.chaos.house import OPERATOR, House
from sandbox.qr_image import qr_value
from sandbox.slack import Wait
from sandbox.waha.session import Status
from sandbox.whatsapp import Phone, PhoneError

AGENTS = ("ana", "ben")
# Sessions of each server. Most of the load goes over the ids that are trusted.
SESSIONS = {"gows": 5, "webjs": 3}
_AT_A_TIME = 20


class OpeningFailed(RuntimeError):
    """The house could not be furnished; nothing was tried yet."""


@dataclass
class Conversation:
    """A customer and a session, seen from both ends."""

    name: str
    server: str
    session: str
    channel: str
    customer: Phone
    shop: Phone
    thread_ts: str = ""

    @property
    def is_trusted(self) -> bool:
        """Whether its engine sends under the ids that we choose."""
        return self.server == "gows"


async def furnish(house: House) -> list[Conversation]:
    """A tenant, two agents, sessions with a channel each, and a thread for every conversation.

    Raises:
        OpeningFailed: a command was answered otherwise than it should.
        ProcessFailed: something did not happen in time.
    """
    await _ask(house, OPERATOR, "support", "/wa tenant create Chaos", "Chaos")
    await _ask(house, OPERATOR, "support", "/wa user add @ana TENANT_ADMIN --tenant Chaos", "TENANT_ADMIN")
    await _ask(house, OPERATOR, "support", "/wa user add @ben AGENT --tenant Chaos", "AGENT")
    await _ask(house, "ana", "alerts", "/wa channel link --for alerts", "alerts")
    sessions = [(server, f"{server}-{number}") for server, count in SESSIONS.items() for number in range(1, count + 1)]
    shops = {}
    for index, (server, session) in enumerate(sessions):
        shops[session] = house.whatsapp.phone(f"+4930{900000 + index}", name=f"Shop {session}")
        await _open_session(house, server, session, shops[session])
    conversations = [
        _conversation(house, number, *sessions[number % len(sessions)], shops)
        for number in range(house.options.conversations)
    ]
    for start in range(0, len(conversations), _AT_A_TIME):
        await _begin(house, conversations[start : start + _AT_A_TIME])
    return conversations


async def _ask(house: House, user: str, channel: str, line: str, expect: str) -> None:
    wait = Wait(seconds=15, until=lambda answer: expect in answer.text or answer.error is not None)
    try:
        answer = await house.slack.command(user, channel, line, wait=wait)
    except TimeoutError:
        raise OpeningFailed(f"{user} typed {line!r} and never saw {expect!r}.") from None
    if expect not in answer.text:
        raise OpeningFailed(f"{user} typed {line!r} and saw {answer.error or answer.text!r}, not {expect!r}.")


async def _open_session(house: House, server: str, session: str, shop: Phone) -> None:
    waha = house.wahas[server]
    engine = waha.environment.engine
    house.slack.add_channel(session)
    known = len(waha.sessions.all())
    await _ask(house, "ana", session, f"/wa session add {session} --server {server} --engine {engine}", session)
    await _ask(house, "ana", session, f"/wa channel link --session {session}", "conversations")
    await house.until(lambda: len(waha.sessions.all()) > known, f"{session} on WAHA", 30)
    while not await _link(house, session, shop):
        pass
    paired = waha.sessions.all()[-1]
    await house.until(lambda: paired.status is Status.WORKING, f"{session} to work", 30)


async def _link(house: House, session: str, shop: Phone) -> bool:
    """Ask for a code and scan it; False where all codes were over before.

    They live for seconds, and in here, where waits are short, for much less: the newest may be too old, and on a busy
    machine even the last. Then the session is stopped, as one that nobody scans is, and a person asks again.
    """
    shown, gone = _pictures(house), _times_gone(house, session)
    await _ask(house, "ana", session, f"/wa session qr {session}", "direct message")
    while True:
        before = shown
        await house.until(
            lambda: _newer(house, before) or _times_gone(house, session) > gone,  # noqa: B023 - awaited here
            f"the QR code of {session}",
            30,
        )
        if not _newer(house, before):
            return False
        shown = _pictures(house)
        with tempfile.NamedTemporaryFile(suffix=".png") as picture:
            picture.write(shown[-1])
            picture.flush()
            with suppress(PhoneError):
                await shop.scan(qr_value(picture.name))
                return True


def _times_gone(house: House, session: str) -> int:
    """How often the person read that nobody scanned a code of this session."""
    words = f"Nobody scanned the code of session `{session}`"
    return sum(words in shown.text for shown in house.slack.direct_messages("ana"))


def _newer(house: House, before: list[bytes]) -> list[bytes]:
    """What is shown now and was not: a code takes the place of the one before it."""
    return [picture for picture in _pictures(house) if picture not in before]


def _pictures(house: House) -> list[bytes]:
    """Of the codes that were not taken away yet."""
    return house.slack.pictures("ana")


def _conversation(house: House, number: int, server: str, session: str, shops: dict[str, Phone]) -> Conversation:
    name = f"c{number:03d}"
    customer = house.whatsapp.phone(f"+49151{10000000 + number}", name=f"Customer {name}")
    return Conversation(name, server, session, session, customer, shops[session])


async def _begin(house: House, conversations: list[Conversation]) -> None:
    for conversation in conversations:
        await conversation.customer.write("Hello, is anybody there?", to=conversation.shop)
        await asyncio.sleep(0)

    def all_have_threads() -> bool:
        for conversation in conversations:
            conversation.thread_ts = conversation.thread_ts or _thread_of(house, conversation)
        return all(conversation.thread_ts for conversation in conversations)

    await house.until(all_have_threads, "the threads of new conversations", 90)


def _thread_of(house: House, conversation: Conversation) -> str:
    for root in house.slack.roots(conversation.channel):
        if re.search(rf"\b{conversation.name}\b", root.text) and house.slack.thread(conversation.channel, root.ts)[1:]:
            return root.ts
    return ""
