"""The page for passwords over a real socket: who gets through, who does not, and what is left behind."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from daemon.page_guard import Addresses, Limit
from daemon.pages import MOST_WAITING, Limits, PasswordPage
from database import database, in_database, transaction
from models import uuid7
from operations import page_links, passwords
from operations.standing import Person, memberships
from tests.conftest import MigratedDatabase
from tests.daemon.conftest import DEADLINE_SECONDS, Rows
from tests.operations.builders import ANA, TEAM, World
from tests.slow_callers import begin_to_post

PASSWORD, OTHER = "umbrella kettle Tuesday", "seven paper lanterns"
CHEAP = 4
BEN = Person(TEAM, "UBEN")
ADDRESS = "https://switchboard.example.com/wa"

Client = TestClient[web.Request, web.Application]


@dataclass
class Visitor:
    """A browser as far as it matters here: it keeps cookies, and sends what it was shown."""

    client: Client
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""

    async def look(self, token: str) -> int:
        async with self.client.get(f"/pages/{token}", headers=self.headers) as response:
            self.text = await response.text()
            return response.status

    async def send(self, token: str, **fields: str) -> int:
        """Fill in the form that was shown last."""
        found = re.search(r'name="proof" value="(\w+)"', self.text)
        data = {"proof": found[1] if found else ""} | fields
        async with self.client.post(f"/pages/{token}", data=data, headers=self.headers) as response:
            self.text = await response.text()
            return response.status

    async def fill_in(self, token: str, **fields: str) -> int:
        await self.look(token)
        return await self.send(token, **fields)

    async def choose(self, token: str, new: str, again: str | None = None, **fields: str) -> int:
        return await self.fill_in(token, new=new, again=new if again is None else again, **fields)


Serve = Callable[..., web.Application]


def serve(
    *, address: str = "", proxies: tuple[str, ...] = (), limits: Limits | None = None, cost: int = CHEAP
) -> web.Application:
    app = web.Application()
    page = PasswordPage(address=address, command="/wa", addresses=Addresses(proxies), limits=limits, cost=cost)
    page.add_to(app)
    return app


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with TestClient(TestServer(serve())) as client:
        yield client


@pytest.fixture
def visitor(client: Client) -> Visitor:
    return Visitor(client)


@pytest.fixture
async def world(migrated_database: MigratedDatabase) -> World:
    """Acme, which asks for passwords, with ana and ben."""
    world = World(migrated_database)

    def arrange() -> None:
        tenant = world.tenant()
        world.sql("""UPDATE tenants SET settings = '{"login": "password"}'""")
        world.user(tenant)
        world.user(tenant, BEN, first_name="Ben")

    await in_database(arrange)
    return world


async def new_link(person: Person = ANA, *, password: str = "", is_new_password: bool = False, world: World) -> str:
    """A link for somebody who has this password, or none."""

    def issue() -> str:
        if password:
            world.sql("UPDATE users SET password_hash = %s", passwords.hashed(password, cost=CHEAP))
        [mine] = memberships(person)
        with transaction():
            return page_links.issue(mine, person, is_new_password=is_new_password, link_id=uuid7()).token

    return await in_database(issue)


LOGINS = "SELECT slack_user_id FROM logins WHERE ended_at IS NULL"


async def test_the_page_says_for_whom_and_what_it_is_and_keeps_its_secrets(
    client: Client, world: World, rows: Rows
) -> None:
    token = await new_link(world=world)

    async with client.get(f"/pages/{token}") as response:
        text = await response.text()
        headers, [cookie] = response.headers, response.headers.getall("Set-Cookie")

    assert response.status == 200
    assert "Hello Ana. <strong>Acme</strong> asks for a password besides Slack's sign-in." in text
    assert "@example.org" not in text
    assert text.count('autocomplete="new-password"') == 2
    assert "<script" not in text
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", f"Path=/pages/{token}"))


async def test_a_cookie_is_secure_where_people_come_by_https(world: World) -> None:
    token = await new_link(world=world)

    async with TestClient(TestServer(serve(address=ADDRESS))) as client, client.get(f"/pages/{token}") as response:
        [cookie] = response.headers.getall("Set-Cookie")

    assert cookie.startswith("__Secure-")
    assert "; Secure" in cookie
    assert f"Path=/wa/pages/{token}" in cookie


async def test_looking_uses_nothing_up(visitor: Visitor, world: World, rows: Rows) -> None:
    token = await new_link(world=world)

    async with visitor.client.head(f"/pages/{token}") as response:
        assert response.status == 200
    assert [await visitor.look(token) for _ in range(3)] == [200] * 3

    assert await rows("SELECT used_at FROM page_links") == [(None,)]
    assert await visitor.choose(token, PASSWORD) == 200


async def test_a_password_is_set_once_and_lets_in(visitor: Visitor, world: World, rows: Rows) -> None:
    token = await new_link(world=world)

    first, again = await visitor.choose(token, PASSWORD), await visitor.choose(token, OTHER)

    assert (first, again) == (200, 404)
    assert await rows(LOGINS) == [(ANA.user_id,)]
    [(kept,)] = await rows("SELECT password_hash FROM users WHERE first_name = 'Ana'")
    assert passwords.fits(PASSWORD, kept)


async def test_the_audit_says_from_where(visitor: Visitor, world: World, rows: Rows) -> None:
    await visitor.choose(await new_link(world=world), PASSWORD)

    found = await rows("SELECT action, source FROM audit_entries ORDER BY created_at, id")
    assert found[1:] == [("login.password_set", "page:127.0.0.1"), ("login.success", "page:127.0.0.1")]


async def test_the_right_password_logs_in_and_a_wrong_one_may_be_corrected(
    visitor: Visitor, world: World, rows: Rows
) -> None:
    token = await new_link(password=PASSWORD, world=world)

    wrong = await visitor.fill_in(token, present=OTHER)
    shown = visitor.text
    right = await visitor.send(token, present=PASSWORD)

    assert (wrong, right) == (403, 200)
    assert 'role="alert">This is not your password.' in shown
    assert 'aria-describedby="error" aria-invalid="true" autofocus' in shown
    assert "You are logged in" in visitor.text
    assert await rows(LOGINS) == [(ANA.user_id,)]


async def test_another_password_needs_the_one_until_now(visitor: Visitor, world: World, rows: Rows) -> None:
    token = await new_link(password=PASSWORD, is_new_password=True, world=world)

    assert await visitor.choose(token, OTHER) == 403
    assert await visitor.choose(token, OTHER, present="something else entirely") == 403
    assert await rows(LOGINS) == []
    assert await visitor.choose(token, OTHER, present=PASSWORD) == 200


@pytest.mark.parametrize(
    ("new", "again", "why"),
    [
        ("short", "short", "at least 12 are needed"),
        ("u" * 60 + "mbrella kettl", None, "73 bytes; at most 72"),
        ("\U0001f511" * 5 + "abcdefgh" * 7, None, "76 bytes; at most 72"),
        (PASSWORD, OTHER, "The two passwords differ"),
        (PASSWORD, "", "The two passwords differ"),
        ("uana@example.org", None, "among the first that others would try"),
        ("<script>alert(1)", None, ""),
    ],
)
async def test_what_is_no_password_is_said_and_nothing_is_used_up(
    visitor: Visitor, world: World, rows: Rows, new: str, again: str | None, why: str
) -> None:
    status = await visitor.choose(await new_link(world=world), new, again)

    assert status == (422 if why else 200)
    assert why in visitor.text
    assert "<script" not in visitor.text
    assert len(await rows("SELECT 1 FROM page_links WHERE used_at IS NULL")) == bool(why)


@pytest.mark.parametrize("how", ["used", "expired", "withdrawn", "forged", "deactivated"])
async def test_whatever_is_wrong_with_a_link_the_page_is_the_same(
    visitor: Visitor, world: World, rows: Rows, how: str
) -> None:
    token = await new_link(world=world)
    await visitor.look("A" * 43)
    unknown = visitor.text
    match how:
        case "used":
            await visitor.choose(token, PASSWORD)
        case "expired":
            await rows("UPDATE page_links SET expires_at = clock_timestamp()")
        case "withdrawn":
            await new_link(world=world)
        case "forged":
            token = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
        case "deactivated":
            await rows("UPDATE users SET is_active = false")

    assert await visitor.look(token) == 404
    assert visitor.text == unknown
    assert await visitor.choose(token, OTHER) == 404
    assert visitor.text == unknown
    assert "<code>/wa login</code>" in unknown


async def test_who_holds_two_links_cannot_send_the_form_of_one_to_the_other(
    visitor: Visitor, world: World, rows: Rows
) -> None:
    anas, bens = await new_link(world=world), await new_link(BEN, world=world)

    await visitor.look(bens)
    await visitor.look(anas)
    mixed = await visitor.send(bens, new=PASSWORD, again=PASSWORD)

    assert mixed == 403
    assert await rows(LOGINS) == []
    assert await visitor.send(bens, new=PASSWORD, again=PASSWORD) == 200
    assert await rows(LOGINS) == [(BEN.user_id,)]


@pytest.mark.parametrize("proof", ["", "x", "0" * 64, "\u00e4", "\x00"])
async def test_a_form_without_the_pages_own_value_is_refused(
    visitor: Visitor, world: World, rows: Rows, proof: str
) -> None:
    token = await new_link(world=world)

    assert await visitor.choose(token, PASSWORD, proof=proof) == 403
    assert "Enter it once more" in visitor.text
    assert await rows(LOGINS) == []


async def test_a_form_without_the_cookie_is_refused(visitor: Visitor, world: World, rows: Rows) -> None:
    token = await new_link(world=world)
    await visitor.look(token)
    visitor.client.session.cookie_jar.clear()

    assert await visitor.send(token, new=PASSWORD, again=PASSWORD) == 403
    assert await rows(LOGINS) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": ""},
    ],
    ids=str,
)
async def test_a_form_that_another_site_sent_is_refused(
    visitor: Visitor, world: World, rows: Rows, headers: dict[str, str]
) -> None:
    token = await new_link(world=world)
    await visitor.look(token)
    visitor.headers = headers

    assert await visitor.send(token, new=PASSWORD, again=PASSWORD) == 403
    assert await rows(LOGINS) == []


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("", {"Origin": "null", "Sec-Fetch-Site": "same-origin"}),
        ("", {"Sec-Fetch-Site": "same-origin"}),
        ("https://switchboard.example.com", {"Origin": "https://switchboard.example.com"}),
        ("", {}),
    ],
)
async def test_a_form_that_our_page_sent_is_taken(
    world: World, rows: Rows, address: str, headers: dict[str, str]
) -> None:
    token = await new_link(world=world)
    async with TestClient(TestServer(serve(address=address))) as client:
        visitor = Visitor(client)
        await visitor.look(token)
        # A proxy takes the TLS off: the client here has to be told to send a secure cookie over plain HTTP.
        cookie = next(iter(client.session.cookie_jar), None)
        if cookie is not None and cookie["secure"]:
            visitor.headers = {"Cookie": f"{cookie.key}={cookie.value}"}
        visitor.headers |= headers

        assert await visitor.send(token, new=PASSWORD, again=PASSWORD) == 200
    assert await rows(LOGINS) == [(ANA.user_id,)]


async def test_guessing_locks_and_the_right_password_has_to_wait_too(
    visitor: Visitor, world: World, rows: Rows
) -> None:
    token = await new_link(password=PASSWORD, world=world)

    guesses = [await visitor.fill_in(token, present=f"guess number {number}") for number in range(5)]
    locked = visitor.text
    right = await visitor.fill_in(token, present=PASSWORD)
    await rows("UPDATE users SET locked_until = clock_timestamp()")
    later = await visitor.fill_in(token, present=PASSWORD)

    assert guesses == [403, 403, 403, 403, 429]
    assert "The next can be tried in 15 minutes" in locked
    assert (right, later) == (429, 200)
    assert await rows("SELECT count(*) FROM audit_entries WHERE action = 'login.locked'") == [(1,)]


async def test_guesses_sent_at_once_are_looked_at_five_times(visitor: Visitor, world: World, rows: Rows) -> None:
    token = await new_link(password=PASSWORD, world=world)
    await visitor.look(token)
    guessers = [Visitor(visitor.client, text=visitor.text) for _ in range(12)]

    statuses = await asyncio.gather(
        *(one.send(token, present=f"guess number {number}") for number, one in enumerate(guessers))
    )

    assert sorted(statuses) == [403] * 4 + [429] * 8
    assert await rows("SELECT count(*) FROM audit_entries WHERE action = 'login.failure'") == [(5,)]


async def test_of_forms_sent_at_once_one_wins(visitor: Visitor, world: World, rows: Rows) -> None:
    token = await new_link(world=world)
    await visitor.look(token)
    senders = [Visitor(visitor.client, text=visitor.text) for _ in range(4)]

    statuses = await asyncio.gather(
        *(
            one.send(token, new=f"{PASSWORD} {number}", again=f"{PASSWORD} {number}")
            for number, one in enumerate(senders)
        )
    )

    assert sorted(statuses) == [200, 404, 404, 404]
    assert await rows(LOGINS) == [(ANA.user_id,)]


async def test_hashing_keeps_nobody_else_waiting(world: World, rows: Rows) -> None:
    anas, bens = await new_link(world=world), await new_link(BEN, world=world)
    async with TestClient(TestServer(serve(cost=12))) as client:
        slow, quick = Visitor(client), Visitor(client)
        await slow.look(anas)
        setting = asyncio.create_task(slow.send(anas, new=PASSWORD, again=PASSWORD))
        looking = asyncio.create_task(quick.look(bens))

        await asyncio.wait({setting, looking}, return_when=asyncio.FIRST_COMPLETED)

        assert (looking.done(), setting.done()) == (True, False)
        assert await setting == 200


async def test_of_forms_that_come_at_once_no_more_are_taken_in_than_there_are_places(
    world: World, migrated_database: MigratedDatabase
) -> None:
    token, limit = await new_link(password=PASSWORD, world=world), Limit(100, 600)
    async with TestClient(TestServer(serve(limits=Limits(forms=limit, of_link=limit)))) as client:
        first = Visitor(client)
        await first.look(token)
        with locked(migrated_database, "page_links"):
            sent = [
                asyncio.create_task(Visitor(client, text=first.text).send(token, present=PASSWORD)) for _ in range(40)
            ]
            async with asyncio.timeout(DEADLINE_SECONDS):
                while sum(one.done() for one in sent) < len(sent) - MOST_WAITING:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            refused = [one.result() for one in sent if one.done()]
        statuses = await asyncio.gather(*sent)

    assert refused == [503] * (len(sent) - MOST_WAITING)
    assert statuses.count(200) == 1
    assert statuses.count(404) + statuses.count(429) == MOST_WAITING - 1


@contextmanager
def locked(migrated: MigratedDatabase, table: str) -> Iterator[None]:
    """Nobody reads this table, as when PostgreSQL stalls."""
    is_locked, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with migrated.owner(), transaction():
            database.execute_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            is_locked.set()
            let_go.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    is_locked.wait(10)
    try:
        yield
    finally:
        let_go.set()
        holder.join()


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"x" * 5000, "application/x-www-form-urlencoded", 413),
        (b'{"new": "x"}', "application/json", 400),
        (b"new=%ff%fe", "application/x-www-form-urlencoded; charset=nonsense", 400),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 403),
        (b"&&&===", "application/x-www-form-urlencoded", 403),
    ],
)
async def test_what_is_no_form_is_refused(
    client: Client, world: World, rows: Rows, data: bytes, content_type: str, status: int
) -> None:
    token = await new_link(world=world)

    async with client.post(f"/pages/{token}", data=data, headers={"Content-Type": content_type}) as response:
        text = await response.text()

    assert response.status == status
    assert "Traceback" not in text
    assert await rows(LOGINS) == []


async def test_an_address_that_asks_without_end_is_told_to_wait(world: World) -> None:
    limits = Limits(looks=Limit(3, 600), forms=Limit(2, 600))
    async with TestClient(TestServer(serve(limits=limits))) as client:
        visitor = Visitor(client)
        looks = [await visitor.look("A" * 43) for _ in range(5)]
        forms = [await visitor.send("A" * 43) for _ in range(4)]

    assert looks == [404] * 3 + [429] * 2
    assert forms == [404] * 2 + [429] * 2


async def test_a_link_takes_so_many_forms_from_wherever(world: World) -> None:
    token = await new_link(world=world)
    async with TestClient(TestServer(serve(limits=Limits(of_link=Limit(2, 600))))) as client:
        statuses = [await Visitor(client).choose(token, "short") for _ in range(4)]

    assert statuses == [422, 422, 429, 429]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        (("127.0.0.1",), "203.0.113.9", "203.0.113.9"),
        (("127.0.0.1",), "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8", "203.0.113.0/24"), "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (("127.0.0.1",), "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (("127.0.0.1",), "::ffff:203.0.113.9", "203.0.113.9"),
        (("127.0.0.1",), "nonsense'; --", "unknown"),
        (("127.0.0.1",), "", "unknown"),
    ],
)
async def test_a_forwarded_address_counts_only_from_a_proxy_of_the_settings(
    world: World, rows: Rows, proxies: tuple[str, ...], forwarded: str, seen: str
) -> None:
    token = await new_link(world=world)
    async with TestClient(TestServer(serve(proxies=proxies))) as client:
        await Visitor(client, {"X-Forwarded-For": forwarded}).choose(token, PASSWORD)

    assert await rows("SELECT DISTINCT source FROM audit_entries WHERE action = 'login.success'") == [(f"page:{seen}",)]


def test_a_limit_gives_back_with_time_and_forgets_who_was_silent_longest() -> None:
    limit = Limit(2, 10, keys=2)

    assert [limit.take("a", now=0) for _ in range(3)] == [True, True, False]
    assert [limit.take("a", now=5), limit.take("a", now=5)] == [True, False]
    assert limit.take("b", now=6)
    assert limit.take("c", now=7)
    assert [limit.take("a", now=7) for _ in range(2)] == [True, True]


async def test_a_fault_shows_nothing_of_itself(visitor: Visitor, world: World, rows: Rows) -> None:
    token = await new_link(world=world)
    await rows("ALTER TABLE page_links RENAME TO page_links_away")
    try:
        status = await visitor.look(token)
    finally:
        await rows("ALTER TABLE page_links_away RENAME TO page_links")

    assert status == 500
    assert "The fault is on our side" in visitor.text
    assert "page_links" not in visitor.text


async def test_a_form_that_does_not_come_is_not_waited_for(client: Client) -> None:
    form = "application/x-www-form-urlencoded"

    assert await begin_to_post(client.host, int(client.port or 0), "/pages/any", form) == 408
