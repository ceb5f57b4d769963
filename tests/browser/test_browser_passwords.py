"""The page for passwords in a real browser, from the command in Slack and back to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from operations.passwords import hashed
from sandbox.slack import Message
from tests.acceptance.acting import Query, Scene
from tests.browser.conftest import Open

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD, OTHER = "umbrella kettle Tuesday", "seven paper lanterns"
LOCK_IS_OVER = "UPDATE users SET locked_until = clock_timestamp() WHERE email LIKE '{name}@%'"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Scene:
    """Acme asks its people for passwords; fred has one, the others begin without."""
    for name in ("cleo", "dora", "fred"):
        scene.stage.slack.add_person(name)
    await scene.ask("olga", "tenant create Acme", expect="Acme")
    for name, role in (
        ("ana", "TENANT_ADMIN"),
        ("ben", "AGENT"),
        ("cleo", "AGENT"),
        ("dora", "AGENT"),
        ("fred", "AGENT"),
    ):
        await scene.ask("olga", f"user add @{name} {role} --tenant Acme", expect=role)
    await scene.ask_for_passwords("ana")
    known = hashed(PASSWORD, cost=4)
    scene.rows(f"UPDATE users SET password_hash = '{known}' WHERE email LIKE 'fred@%'")  # noqa: S608 - ours
    return scene


async def link_of(scene: Scene, user: str, line: str = "login") -> str:
    """The link as the person clicks it."""
    answer = await scene.ask(user, line, expect="your password")
    raw = next(message for message in answer.messages).text
    found = re.search(r"<(http[^|>]+)\|", raw)
    assert found, raw
    return found[1]


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


async def submit(page: Page) -> None:
    await page.get_by_role("button").click()


async def choose(page: Page, new: str, again: str | None = None) -> None:
    await field(page, "New password").fill(new)
    await field(page, "New password, again").fill(new if again is None else again)
    await submit(page)


async def problem(page: Page) -> str:
    return str(await page.get_by_role("alert").inner_text())


async def title(page: Page) -> str:
    return str(await page.get_by_role("heading").inner_text())


async def told(scene: Scene, user: str, words: str) -> Message:
    """A direct message."""
    return await scene.stage.until(
        lambda: next((one for one in scene.stage.slack.direct_messages(user) if words in one.text), None),
        f"{words!r} to {user}",
    )


async def set_password(scene: Scene, open_page: Open, user: str) -> None:
    page = await open_page(await link_of(scene, user))
    await choose(page, PASSWORD)
    assert await title(page) == "Your password is set"


async def test_from_the_command_through_the_page_and_back(acme: Scene, open_page: Open, shots: Path) -> None:
    await acme.ask("ana", "session list", expect="asks for your password")
    link = await link_of(acme, "ana")
    page = await open_page(link)
    await page.screenshot(path=shots / "1-choose.png")

    await choose(page, "too short")
    assert await problem(page) == "This password has 9 characters; at least 12 are needed."
    await page.screenshot(path=shots / "2-too-short.png")
    await choose(page, "u" * 60 + "mbrella kettl")
    assert "has 73 bytes; at most 72" in await problem(page)
    await choose(page, PASSWORD, OTHER)
    assert "The two passwords differ" in await problem(page)
    await choose(page, PASSWORD)

    assert await title(page) == "Your password is set"
    await page.screenshot(path=shots / "3-set.png")
    assert "You are logged in to *Acme* until" in (await told(acme, "ana", "You are logged in")).text
    answer = await acme.ask("ana", "session list")
    assert "asks for your password" not in answer.text

    await acme.ask("ana", "logout", expect="You are logged out of *Acme*")
    await acme.ask("ana", "session list", expect="asks for your password")
    await page.goto(link)
    assert await title(page) == "This link does not work"
    await page.screenshot(path=shots / "4-used.png")


async def test_five_wrong_passwords_lock_the_page(acme: Scene, open_page: Open, shots: Path) -> None:
    await set_password(acme, open_page, "ben")
    await acme.ask("ben", "logout", expect="logged out")
    page = await open_page(await link_of(acme, "ben"))

    for number in range(4):
        await field(page, "Password").fill(f"guess number {number}")
        await submit(page)
        assert await problem(page) == "This is not your password. Capital and small letters count."
    await page.screenshot(path=shots / "5-wrong.png")
    await field(page, "Password").fill("the fifth guess")
    await submit(page)

    assert await title(page) == "Locked for a while"
    await page.screenshot(path=shots / "6-locked.png")
    assert "5 wrong passwords" in (await told(acme, "ben", "is locked until")).text
    assert "The login of @ben" in acme.stage.slack.read(await told(acme, "ana", "is locked until"))

    acme.rows(LOCK_IS_OVER.format(name="ben"))
    page = await open_page(await link_of(acme, "ben"))
    await field(page, "Password").fill(PASSWORD)
    await submit(page)
    assert await title(page) == "You are logged in"


async def test_a_keyboard_is_enough(acme: Scene, open_page: Open) -> None:
    page = await open_page(await link_of(acme, "cleo"))

    # The first field has the focus already.
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Tab")
    await page.keyboard.type("something else")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Set password and log in"
    await page.keyboard.press("Enter")
    assert "The two passwords differ" in await problem(page)

    # Now what has to be corrected has it.
    assert await page.evaluate("document.activeElement.id") == "again"
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Your password is set").wait_for()


async def test_it_works_without_scripts_and_another_password_needs_the_one_until_now(
    acme: Scene, open_page: Open
) -> None:
    await set_password(acme, open_page, "dora")
    page = await open_page(await link_of(acme, "dora", "login new-password"), java_script_enabled=False)

    await field(page, "Password until now").fill(PASSWORD)
    await choose(page, OTHER)

    assert await title(page) == "Your password is set"
    answer = await acme.ask("dora", "session list")
    assert "asks for your password" not in answer.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_narrow_window_and_can_be_read(acme: Scene, open_page: Open, shots: Path, scheme: str) -> None:
    page = await open_page(await link_of(acme, "fred", "login new-password"), width=320, color_scheme=scheme)
    await field(page, "Password until now").fill(PASSWORD)
    await choose(page, "x")
    await page.screenshot(path=shots / f"7-narrow-{scheme}.png", full_page=True)

    assert await page.evaluate("document.documentElement.scrollWidth") == 320
    assert await page.evaluate(CONTRASTS) == []


# The contrast of every text with what lies behind it, by the formula of WCAG 2; 4.5 is level AA.
CONTRASTS = """
() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (let at = one; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('h1, p, label, button, input:not([type=hidden]), code, strong')].flatMap(one => {
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    return contrast < 4.5 ? [`${one.tagName} ${contrast.toFixed(2)}`] : [];
  });
}
"""


async def test_nothing_is_asked_of_any_other_place_and_no_script_reads_the_cookie(acme: Scene, open_page: Open) -> None:
    asked: list[str] = []
    link = await link_of(acme, "fred", "login new-password")
    page = await open_page(link)
    page.on("request", lambda request: asked.append(request.url))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    await page.reload()
    cookies = await page.context.cookies()

    assert asked == [link]
    assert complaints == []
    assert await page.evaluate("document.cookie") == ""
    assert [(one["httpOnly"], one["sameSite"]) for one in cookies] == [(True, "Strict")]


async def test_a_form_on_another_site_gets_nothing_through(acme: Scene, open_page: Open, rows: Query) -> None:
    link = await link_of(acme, "fred", "login new-password")
    page = await open_page(link)
    proof = await page.locator('input[name="proof"]').get_attribute("value")
    # As bad as it gets: the other site knows the link and what stands in the form, and is open in the same browser.
    elsewhere = await page.context.new_page()
    await elsewhere.goto("data:text/html,<p>another site")
    await elsewhere.set_content(
        f'<form method="post" action="{link}"><input name="present" value="{PASSWORD}"><input name="new" '
        f'value="{OTHER}"><input name="again" value="{OTHER}"><input name="proof" value="{proof}"><button>Win</button>'
    )

    await submit(elsewhere)

    assert "Enter it once more" in await problem(elsewhere)
    assert rows("SELECT count(*) FROM page_links WHERE used_at IS NULL AND expires_at > now()") == [(1,)]
    assert rows("SELECT count(*) FROM logins JOIN users ON users.id = user_id WHERE email LIKE 'fred@%'") == [(0,)]
