"""Links, tries and logins, over rows."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from database import set_tenant, transaction
from models import PagePurpose, Tenant, User, UserRole, uuid7
from operations import login_tries, logins, page_links
from operations.errors import AmbiguousTenant, Conflict, NoRole, NotAllowed, NotFound
from operations.login_tries import TRIES
from operations.page_links import MOST_AN_HOUR, Issued, Link
from operations.standing import Person, memberships
from settings import DaemonSettings, SecuritySettings, Settings, WahaServer, WahaSettings
from tests.operations.builders import ALERTS, ANA, TEAM, World, together

BEN = Person(TEAM, "UBEN")
HASH = "$2b$04$not-looked-at-in-here"
ELSEWHERE = "CELSEWHERE"
SERVER = WahaServer(url="http://127.0.0.1:1", webhook_url="http://127.0.0.1:2")


@pytest.fixture
def acme(world: World) -> Tenant:
    """A tenant that asks for passwords, with its agent ana."""
    tenant = asking(world, "Acme")
    world.user(tenant)
    return tenant


def asking(world: World, name: str) -> Tenant:
    tenant = world.tenant(name)
    world.sql("""UPDATE tenants SET settings = '{"login": "password", "login_hours": 3}' WHERE id = %s""", tenant.id)
    return tenant


def has_password(world: World, password_hash: str | None = HASH) -> None:
    world.sql("UPDATE users SET password_hash = %s", password_hash)


def issue(person: Person = ANA, *, is_new_password: bool = False) -> Issued:
    [mine] = memberships(person)
    with transaction():
        return page_links.issue(mine, person, is_new_password=is_new_password, link_id=uuid7())


def open_link(issued: Issued | None = None) -> Link:
    link = page_links.find((issued or issue()).token)
    assert link is not None
    return link


def succeed(link: Link, new_hash: str | None = HASH, login_id: UUID | None = None) -> object:
    return logins.succeed(link, login_id=login_id or uuid7(), new_hash=new_hash)


def needs_login(person: Person = ANA) -> bool:
    [mine] = memberships(person)
    return mine.needs_login


def try_wrongly(link: Link) -> object:
    this = login_tries.begin_try(link)
    return this.locked_until or login_tries.fail(link, this)


def end_lock(world: World) -> None:
    world.sql("UPDATE users SET locked_until = clock_timestamp() - interval '1 s'")


def actions(world: World) -> list[str]:
    return [action for (action,) in world.sql("SELECT action FROM audit_entries ORDER BY created_at, id")]


def test_a_row_holds_a_fingerprint_and_nothing_that_opens_the_page(world: World, acme: Tenant) -> None:
    issued = issue()

    [row] = world.sql("SELECT row_to_json(page_links)::text FROM page_links")
    assert issued.token not in row[0]
    assert issued.token not in repr(issued)
    assert len(issued.token) == 43
    assert open_link(issued).tenant_name == "Acme"


def test_the_first_link_sets_a_password_and_the_next_asks_for_it(world: World, acme: Tenant) -> None:
    first = issue().purpose
    has_password(world)
    later, changing = issue().purpose, issue(is_new_password=True)

    assert (first, later) == (PagePurpose.SET_PASSWORD, PagePurpose.LOG_IN)
    assert changing.purpose is PagePurpose.SET_PASSWORD
    assert open_link(changing).asks_for_present_password


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 42 + "\0", "../../etc", "A" * 5000, "Ä" * 43])
def test_what_is_no_token_of_ours_opens_nothing(world: World, acme: Tenant, token: str) -> None:
    issue()

    assert page_links.find(token) is None


@pytest.mark.parametrize(
    "gone",
    [
        "UPDATE page_links SET expires_at = clock_timestamp()",
        "UPDATE page_links SET used_at = clock_timestamp()",
        "UPDATE users SET is_active = false",
        "UPDATE users SET deleted_at = now()",
        "UPDATE slack_identities SET deleted_at = now()",
        "UPDATE tenants SET deleted_at = now()",
        "UPDATE page_links SET purpose = 'log_in'",
    ],
)
def test_a_link_that_is_over_or_whose_person_is_let_in_no_more_opens_nothing(
    world: World, acme: Tenant, gone: str
) -> None:
    issued = issue()
    world.sql(gone)

    assert page_links.find(issued.token) is None


def test_asking_again_withdraws_the_earlier_link(world: World, acme: Tenant) -> None:
    earlier = issue()
    later = issue()

    assert page_links.find(earlier.token) is None
    assert page_links.find(later.token) is not None


def test_a_link_lives_ten_minutes(world: World, acme: Tenant) -> None:
    issue()

    [(lives,)] = world.sql("SELECT expires_at - created_at FROM page_links")
    assert timedelta(minutes=9, seconds=59) < lives < timedelta(minutes=10, seconds=2)


def test_somebody_who_asks_for_links_without_end_is_stopped(world: World, acme: Tenant) -> None:
    for _ in range(MOST_AN_HOUR):
        issue()

    with pytest.raises(Conflict, match="10 links within an hour"):
        issue()

    world.sql("UPDATE page_links SET created_at = created_at - interval '61 minutes'")
    assert issue().token


def test_a_password_that_is_set_lets_in_for_the_hours_of_the_tenant(world: World, acme: Tenant) -> None:
    assert needs_login()

    succeed(open_link(), HASH)

    assert not needs_login()
    assert world.value("SELECT password_hash FROM users") == HASH
    assert world.value("SELECT last_login_at > now() - interval '1 minute' FROM users") is True
    assert world.value(
        "SELECT date_trunc('minute', expires_at - created_at + interval '1 s') FROM logins"
    ) == timedelta(hours=3)
    assert actions(world) == ["login.link", "login.password_set", "login.success"]
    [told] = world.privately()
    assert told.startswith("You are logged in to *Acme* until <!date^")
    assert "`logout --tenant Acme`" in told


def test_the_audit_of_a_login_holds_no_secret(world: World, acme: Tenant) -> None:
    issued = issue()
    succeed(open_link(issued), HASH)

    [(written,)] = world.sql("SELECT string_agg(row_to_json(audit_entries)::text, ' ') FROM audit_entries")
    assert HASH not in written
    assert issued.token not in written


def test_a_login_is_one_persons_in_one_workspace(world: World, acme: Tenant) -> None:
    world.user(acme, BEN)
    succeed(open_link())

    assert needs_login(BEN)


def test_a_link_is_used_once_however_many_try_at_the_same_moment(world: World, acme: Tenant) -> None:
    link = open_link()

    outcomes = together(*(partial(succeed, link, f"{HASH}{number}") for number in range(4)))

    assert sum(outcome is not None for outcome in outcomes) == 1
    assert world.value("SELECT count(*) FROM logins") == 1


def test_a_login_that_is_carried_out_again_is_the_same_login(world: World, acme: Tenant) -> None:
    link, login_id = open_link(), uuid7()

    first = succeed(link, HASH, login_id)
    again = succeed(link, HASH, login_id)

    assert first == again
    assert len(world.privately()) == 1


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE users SET password_hash = 'another'",
        "UPDATE users SET is_active = false",
        "UPDATE page_links SET expires_at = clock_timestamp()",
    ],
)
def test_what_changed_while_a_password_was_looked_at_counts(world: World, acme: Tenant, meanwhile: str) -> None:
    has_password(world)
    link = open_link()
    world.sql(meanwhile)

    assert succeed(link, None) is None
    assert world.value("SELECT count(*) FROM logins") == 0


def test_another_password_ends_all_other_logins(world: World, acme: Tenant) -> None:
    succeed(open_link())
    succeed(open_link(issue(is_new_password=True)), "another")

    assert world.sql("SELECT ended_at IS NULL FROM logins ORDER BY created_at") == [(False,), (True,)]


def test_five_wrong_passwords_lock_and_the_person_and_the_administrators_are_told(world: World, acme: Tenant) -> None:
    world.user(acme, BEN, UserRole.TENANT_ADMIN)
    has_password(world)
    link = open_link()

    before = [try_wrongly(link) for _ in range(TRIES - 1)]
    locked = try_wrongly(link)

    assert before == [None] * (TRIES - 1)
    assert locked is not None
    assert login_tries.begin_try(link).locked_until == locked
    [mine], [theirs] = world.privately(), world.privately(BEN)
    assert mine.startswith("Your login to *Acme* is locked until <!date^")
    assert theirs.startswith("The login of <@UANA> to *Acme* is locked until <!date^")
    assert actions(world)[1:] == ["login.failure"] * TRIES + ["login.locked"]


def test_each_lock_is_twice_as_long_and_none_longer_than_a_day(world: World, acme: Tenant) -> None:
    has_password(world)
    link = open_link()

    minutes = []
    for _ in range(9):
        for _ in range(TRIES):
            try_wrongly(link)
        minutes.append(
            world.value("SELECT round(extract(epoch FROM locked_until - clock_timestamp()) / 60) FROM users")
        )
        end_lock(world)

    assert minutes == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_guessing_for_ages_does_not_break_the_arithmetic(world: World, acme: Tenant) -> None:
    has_password(world)
    link = open_link()
    world.sql("UPDATE users SET failed_logins = 2000000004")

    assert try_wrongly(link) is not None


def test_however_many_guess_at_once_five_are_looked_at(world: World, acme: Tenant) -> None:
    has_password(world)
    link = open_link()

    tries = together(*(partial(login_tries.begin_try, link) for _ in range(12)))

    assert sorted(one.number for one in tries if one.locked_until is None) == [1, 2, 3, 4, 5]


def test_a_right_password_takes_the_count_back(world: World, acme: Tenant) -> None:
    has_password(world)
    link = open_link()
    for _ in range(TRIES - 1):
        try_wrongly(link)

    login_tries.begin_try(link)
    succeed(link, None)

    assert world.sql("SELECT failed_logins, locked_until FROM users") == [(0, None)]


def test_who_is_locked_out_is_locked_out_behind_every_link(world: World, acme: Tenant) -> None:
    has_password(world)
    link = open_link()
    for _ in range(TRIES):
        try_wrongly(link)

    assert login_tries.begin_try(open_link(issue(is_new_password=True))).locked_until is not None


@pytest.mark.database_role("switchboard_bot")
def test_logging_out_ends_logins_and_links(world: World, acme: Tenant) -> None:
    world.user(asking(world, "Globex"))
    for mine in memberships(ANA):
        with transaction():
            page_links.issue(mine, ANA, is_new_password=False, link_id=uuid7())
    world.sql(
        "INSERT INTO logins (id, tenant_id, user_id, slack_team_id, slack_user_id, expires_at) "
        "SELECT gen_random_uuid(), tenant_id, id, 'T1', 'UANA', now() + interval '1 hour' FROM users"
    )

    with transaction():
        ended = logins.log_out(next(one for one in memberships(ANA) if one.tenant_id == acme.id), ANA)

    assert ended == 1
    assert [(one.tenant_name, one.needs_login) for one in memberships(ANA)] == [("Acme", True), ("Globex", False)]
    assert world.value("SELECT count(*) FROM page_links WHERE expires_at > clock_timestamp()") == 1
    assert actions(world)[-1] == "logout"


@pytest.mark.database_role("switchboard_bot")
def test_who_is_not_logged_in_ends_nothing_and_leaves_no_entry(world: World, acme: Tenant) -> None:
    with transaction():
        ended = logins.log_out(next(one for one in memberships(ANA) if one.tenant_id == acme.id), ANA)

    assert (ended, "logout" in actions(world)) == (0, False)


@pytest.mark.database_role("switchboard_bot")
def test_who_forgot_a_password_gets_a_link_to_choose_one_and_learns_of_it(world: World, acme: Tenant) -> None:
    has_password(world)
    world.sql("UPDATE users SET failed_logins = 5, locked_until = now() + interval '1 hour'")
    user = user_of(world, acme)

    with transaction():
        assert logins.forget_password(acme.id, user.id, told=ANA, actor=BEN.key)
        assert not logins.forget_password(acme.id, user.id, told=ANA, actor=BEN.key)

    assert issue().purpose is PagePurpose.SET_PASSWORD
    assert world.sql("SELECT password_hash, failed_logins, locked_until FROM users") == [(None, 0, None)]
    assert world.privately()[0].startswith("<@UBEN> made *Acme* forget your password")


def user_of(world: World, tenant: Tenant) -> User:
    with transaction():
        set_tenant(tenant.id)
        return User.get(User.tenant_id == tenant.id)


@pytest.mark.database_role("switchboard_bot")
def test_the_tenant_to_log_in_to_is_never_guessed(world: World, acme: Tenant) -> None:
    globex = world.tenant("Globex")
    world.user(globex)
    meant = partial(logins.own_membership, ANA, channel_id=ELSEWHERE)

    assert meant(tenant_name=" globex ").tenant_name == "Globex"
    assert meant(tenant_id=globex.id).tenant_name == "Globex"
    assert meant().tenant_name == "Acme"
    world.user(asking(world, "Initech"))
    with pytest.raises(AmbiguousTenant, match="`Acme`, `Globex`, `Initech`") as question:
        meant()
    assert [name for _, name in question.value.choices] == ["Acme", "Globex", "Initech"]
    world.route(acme, ALERTS)
    assert logins.own_membership(ANA, channel_id=ALERTS).tenant_name == "Acme"


@pytest.mark.database_role("switchboard_bot")
def test_who_is_nobody_or_kept_out_has_nothing_to_log_in_to(world: World, acme: Tenant) -> None:
    with pytest.raises(NoRole):
        logins.own_membership(BEN, channel_id=ELSEWHERE)
    with pytest.raises(NotFound, match="no tenant called `Globex`"):
        logins.own_membership(ANA, channel_id=ELSEWHERE, tenant_name="Globex")
    world.sql("UPDATE users SET is_active = false")
    with pytest.raises(NotAllowed, match="deactivated"):
        logins.own_membership(ANA, channel_id=ELSEWHERE)


@pytest.mark.parametrize(
    ("public_url", "host", "port", "address"),
    [
        ("https://switchboard.example.com/wa", "0.0.0.0", 8080, "https://switchboard.example.com/wa"),  # noqa: S104
        ("", "127.0.0.1", 8080, "http://127.0.0.1:8080"),
        ("", "127.0.0.1", 0, ""),
        ("", "10.0.0.7", 8080, ""),
    ],
)
def test_links_go_where_people_can_go(public_url: str, host: str, port: int, address: str) -> None:
    security, daemon = SecuritySettings(public_url=public_url), DaemonSettings(host=host, port=port)
    settings = Settings(security=security, daemon=daemon, waha=WahaSettings(servers={"main": SERVER}))

    assert page_links.address_of(settings) == address
