"""Links that somebody guessed, kept or took from another, and passwords that somebody tries; counted."""

from __future__ import annotations

import secrets
from collections import Counter

from operations.page_links import fingerprint
from tests.daemon.conftest import Rows
from tests.daemon.test_daemon_pages import LOGINS, PASSWORD, Visitor, client, new_link, visitor, world
from tests.operations.builders import World

# The fixtures of the page are those of its own tests.
__all__ = ["client", "visitor", "world"]

GUESSES = 40


async def test_no_link_but_the_right_one_opens_anything(visitor: Visitor, world: World, rows: Rows) -> None:
    used = await new_link(world=world)
    await visitor.choose(used, PASSWORD)
    await rows("UPDATE logins SET ended_at = clock_timestamp() RETURNING id")
    expired = await new_link(world=world)
    await rows("UPDATE page_links SET expires_at = clock_timestamp() WHERE used_at IS NULL RETURNING id")
    live = await new_link(world=world)
    attempts = [("used before", used)] * 5 + [("expired", expired)] * 5
    attempts += [("guessed", secrets.token_urlsafe(32)) for _ in range(GUESSES)]
    attempts += [("nearly right", live[:at] + ("A" if live[at] != "A" else "B") + live[at + 1 :]) for at in range(43)]
    attempts += [
        ("the fingerprint in the row", fingerprint(live)),
        ("in capitals", live.upper()),
        ("cut off", live[:-1]),
    ]
    attempts += [("hostile", one) for one in ("%00", "..%2f..%2fetc", "'%20OR%20true--", "x" * 4000, "%F0%9F%99%8F")]

    counts = Counter(what for what, _ in attempts)
    opened = [what for what, token in attempts if await visitor.look(token) != 404]

    print("\n" + "\n".join(f"{number:6}  link {what}" for what, number in counts.items()))  # noqa: T201
    print(f"{len(opened):6}  of them opened anything")  # noqa: T201 - what this shows
    assert opened == []
    assert await rows(LOGINS) == []
    assert await visitor.look(live) == 200


async def test_of_many_guesses_few_are_looked_at(visitor: Visitor, world: World, rows: Rows) -> None:
    looked_at = []

    for _ in range(4):
        token = await new_link(password=PASSWORD, world=world)
        looked_at += [await visitor.fill_in(token, present=f"guess {number}") for number in range(GUESSES // 4)]

    compared = await rows("SELECT count(*) FROM audit_entries WHERE action = 'login.failure'")
    print(f"\n{len(looked_at):6}  passwords guessed, over 4 links; {compared[0][0]} compared")  # noqa: T201
    assert 200 not in looked_at
    assert compared == [(5,)]
    assert await rows(LOGINS) == []
