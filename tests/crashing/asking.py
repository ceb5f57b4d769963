"""Journeys of commands: each is answered or said not to be taken, and done once or not at all."""

from __future__ import annotations

import signal

from sandbox.slack import Message
from tests.crashing.act import DELIVERED, Act
from tests.crashing.choke_points import AFTER_BYTES


async def a_command_writes_first(act: Act) -> None:
    team, customer = act.cast.acme, act.customer()
    text, before = act.text("Your order is ready"), act.told("ana", "Queued for")

    act.begin()
    await act.ask("ana", f"send --session {team.session} +{customer.number} {text}", "Queued for")
    await act.until(lambda: act.received(customer, team), "the message on the phone")
    await act.until(lambda: act.texts_in("support", text), "the message in Slack")
    await act.over()

    assert act.received(customer, team) == [text]
    [shown] = act.scene.in_channel("support", text)
    await act.until_shown(DELIVERED, shown)
    act.see_answered("ana", "Queued for", before)


async def a_command_is_refused(act: Act) -> None:
    name = f"nobody-{act.number}"

    act.begin()
    await act.ask("ana", f"session show {name}", name)
    await act.over()

    act.see_answered("ana", name, 0)


async def an_answer_is_not_taken(act: Act) -> None:
    """Where it cannot be shown it becomes a direct message."""
    before = act.told("ana", "asked for earlier")
    act.scene.stage.slack.fail("response_url", status=500, times=None)

    act.begin()
    await act.ask("ana", "session list", "asked for earlier")
    await act.over()
    act.scene.stage.slack.heal()

    assert act.told("ana", "asked for earlier") == before + 1


async def a_session_is_added(act: Act) -> None:
    name = f"new-{act.number}"
    before = act.told("ana", f"`{name}`")

    act.begin()
    await act.ask("ana", f"session add {name}", f"`{name}`")
    await act.until(lambda: act.on_waha(name), "the session on WAHA")
    await act.until_status(name, "scan_qr")
    await act.over()

    assert len(act.on_waha(name)) == 1
    assert act.scene.rows(f"SELECT count(*) FROM waha_sessions WHERE name = '{name}'") == [(1,)]  # noqa: S608
    act.see_answered("ana", f"`{name}`", before)
    await act.scene.ask("ana", f"session stop {name}")
    await act.until_told(name, "stopped")


async def a_session_is_stopped(act: Act) -> None:
    name = act.cast.unpaired
    await act.at_rest(name)
    await act.scene.ask("ana", f"session start {name}")
    await act.until_status(name, "scan_qr")
    await act.theatre.settled()
    before = act.told("ana", f"`{name}`")

    act.begin()
    await act.ask("ana", f"session stop {name}", f"`{name}`")
    await act.until_status(name, "stopped")
    await act.over()

    assert act.status_on_waha(name) == "STOPPED"
    act.see_answered("ana", f"`{name}`", before)
    await act.until_told(name, "stopped")


async def a_code_is_asked_for(act: Act) -> None:
    """Before there is one: it follows when there is, and is taken away when the session is stopped."""
    slack, name, end = act.scene.stage.slack, act.cast.unpaired, "so its code is gone"
    if not act.on_waha(name):
        await act.scene.ask("ana", f"session start {name}")
        await act.until_status(name, "scan_qr")
    await act.at_rest(name)
    before, answered = act.told("ana", end), act.told("ana", "comes to you by direct message")

    def has_come() -> bool:
        _end_leases_of_nobody(act)
        return bool(slack.pictures("ana"))

    def has_gone() -> bool:
        _end_leases_of_nobody(act)
        return act.told("ana", end) > before and not slack.pictures("ana")

    act.begin()
    await act.ask("ana", f"session qr {name}", "comes to you by direct message")
    await act.until(has_come, "the code in a direct message")
    await act.ask("ana", f"session stop {name}", "Messages to its customers wait until")
    await act.until(has_gone, "the end of the code")
    await act.over()

    assert act.told("ana", end) == before + 1
    assert not [one for one in slack.messages("support") if one.files]
    act.see_answered("ana", "comes to you by direct message", answered)
    await act.until_told(name, "stopped")


async def a_session_is_restarted(act: Act) -> None:
    name = act.cast.acme.session
    before, answered = act.told("ana", "was restarted and works"), act.told("ana", "is being restarted")

    def has_ended() -> bool:
        _end_leases_of_nobody(act)
        return act.told("ana", "was restarted and works") > before

    act.begin()
    await act.ask("ana", f"session restart {name}", "is being restarted")
    await act.until(has_ended, "the end of the restart")
    await act.over()

    assert act.told("ana", "was restarted and works") == before + 1
    act.see_answered("ana", "is being restarted", answered)
    await act.until_status(name, "working")


async def a_session_is_removed(act: Act) -> None:
    """From its people at once, and from WAHA when it was told."""
    name, end = f"gone-{act.number}", "has forgotten session"
    await act.scene.ask("ana", f"session add {name}", expect=name)
    await act.until_status(name, "scan_qr")
    question = await _asked_back(act, "ana", f"session remove {name}", "Remove")

    def has_ended() -> bool:
        _end_leases_of_nobody(act)
        return act.told("ana", f"{end} `{name}`") > 0

    act.begin()
    await act.click("ana", question, "Remove")
    await act.until(has_ended, "the end of the session on WAHA")
    await act.over()

    assert act.told("ana", f"{end} `{name}`") == 1
    assert act.on_waha(name) == []
    assert act.scene.rows(f"SELECT count(*) FROM waha_sessions WHERE name = '{name}' AND deleted_at IS NULL") == [(0,)]  # noqa: S608
    removed = "SELECT count(*) FROM audit_entries WHERE action = 'session.remove' AND subject_name"
    assert act.scene.rows(f"{removed} = '{name}'") == [(1,)]


async def an_answer_is_taken_over(act: Act) -> None:
    """The bot dies while it tells it; the next one waits for the end of its turn, which comes at once here."""
    slack, expect = act.scene.stage.slack, act.cast.acme.session
    bot, before = act.theatre.lives["bot"], act.told("ana", expect)
    hung, began = slack.fail("response_url", hang=True), bot.traced

    def is_telling() -> bool:
        told = f"/response · {AFTER_BYTES}"
        return bool(hung.hits) and any(passed.endswith(told) for passed in bot.trace_from(began))

    act.begin()
    await act.type("ana", "session list")
    await act.until(is_telling, "the answer on its way")
    # Whoever dies of that very step is not killed twice.
    await act.until(lambda: bot.has_orders or bot.starts >= bot.due_starts, "the bot")
    await act.theatre.ready()
    await bot.end(signal.SIGKILL)
    slack.heal()
    act.scene.rows(
        "UPDATE slack_events SET lease_expires_at = clock_timestamp() WHERE answered_at IS NULL AND kind = 'command'"
    )
    await act.until(lambda: act.told("ana", expect) > before, "the answer")
    await act.over()

    act.see_answered("ana", expect, before)


async def a_report_is_asked_for(act: Act) -> None:
    before, answered = len(act.scene.in_channel("reports", "Health report")), act.told("ana", "report")

    act.begin()
    await act.ask("ana", "report now", "report")
    await act.until(lambda: len(act.scene.in_channel("reports", "Health report")) > before, "the report")
    await act.over()

    assert len(act.scene.in_channel("reports", "Health report")) == before + 1
    act.see_answered("ana", "report", answered)


async def a_channel_is_linked_late(act: Act) -> None:
    team, customer = act.cast.later, act.customer()
    await act.scene.ask(team.admin, "channel unlink", channel=team.channel)
    texts = [act.text("First"), act.text("Second")]
    for text in texts:
        await customer.write(text, to=team.phone)
        await act.until_row(
            f"SELECT count(*) FROM messages WHERE body = '{text}' AND hold_reason = 'no channel'",  # noqa: S608
            "the message without a channel",
        )
    answered = act.told(team.admin, "waited for a channel")

    act.begin()
    await act.ask(team.admin, "channel link", "waited for a channel", channel=team.channel)
    await act.until(lambda: act.texts_in(team.channel, texts[-1]), "what was held")
    await act.over()

    assert act.texts_in(team.channel, f"({act.number})") == texts
    act.see_answered(team.admin, "waited for a channel", answered)


async def somebody_is_removed(act: Act) -> None:
    """After the question whether it is meant."""
    name = await _newcomer(act, "Acme")
    question = await _asked_back(act, "ana", f"user remove @{name}", "Remove")

    act.begin()
    await act.click("ana", question, "Remove")
    await act.until(lambda: act.told("ana", f"@{name} is nobody"), "the answer")
    await act.over()

    user = f"email LIKE '{name}@%' AND deleted_at IS NOT NULL"
    assert act.scene.rows(f"SELECT count(*) FROM users WHERE {user}") == [(1,)]  # noqa: S608
    removed = f"action = 'user.remove' AND subject_id IN (SELECT id FROM users WHERE {user})"  # noqa: S608
    assert act.scene.rows(f"SELECT count(*) FROM audit_entries WHERE {removed}") == [(1,)]  # noqa: S608
    act.see_answered("ana", f"@{name} is nobody", 0)


async def a_tenant_is_chosen(act: Act) -> None:
    person, name = await _newcomer(act, "Acme", "Later"), f"chosen-{act.number}"
    question = await _asked_back(act, person, f"session add {name} --engine GOWS", "Later", channel="general")

    act.begin()
    await act.click(person, question, "Later")
    await act.until(lambda: act.told(person, f"`{name}`"), "the answer")
    await act.until(lambda: act.on_waha(name), "the session on WAHA")
    await act.until_status(name, "scan_qr")
    await act.over()

    tenants = "SELECT t.name FROM waha_sessions s JOIN tenants t ON t.id = s.tenant_id"
    assert act.scene.rows(f"{tenants} WHERE s.name = '{name}'") == [("Later",)]
    assert len(act.on_waha(name)) == 1
    act.see_answered(person, f"`{name}`", 0)
    await act.scene.ask(person, f"session stop {name} --tenant Later")
    await act.until_told(name, "stopped")


async def a_form_is_filled_in(act: Act) -> None:
    slack, name = act.scene.stage.slack, f"formed-{act.number}"
    told = f"`{name}` was added"

    act.begin()
    await act.open_form_of("ana", "session add")
    await act.submit("ana", Name=name)
    await act.until(lambda: act.told("ana", told), "the answer")
    await act.until(lambda: act.on_waha(name), "the session on WAHA")
    await act.until_status(name, "scan_qr")
    await act.over()
    if slack.modal("ana") is not None:  # it said that nothing was saved yet
        await slack.close("ana")

    assert len(act.on_waha(name)) == 1
    assert act.scene.rows(f"SELECT count(*) FROM waha_sessions WHERE name = '{name}'") == [(1,)]  # noqa: S608
    act.see_answered("ana", told, 0)
    await act.scene.ask("ana", f"session stop {name}")
    await act.until_told(name, "stopped")


async def _newcomer(act: Act, *tenants: str) -> str:
    """Somebody who may do everything in these tenants."""
    name = f"new{act.number}"
    act.scene.stage.slack.add_person(name)
    for tenant in tenants:
        await act.scene.ask("olga", f"user add @{name} TENANT_ADMIN --tenant {tenant}", expect="TENANT_ADMIN")
    return name


async def _asked_back(act: Act, user: str, line: str, label: str, *, channel: str = "support") -> Message:
    """The question below a command, when nothing else is under way."""
    await act.scene.ask(user, line, channel=channel)
    await act.theatre.settled()
    return act.scene.stage.slack.newest_with(user, channel, label)


def _end_leases_of_nobody(act: Act) -> None:
    """Whoever lost the answer to its COMMIT leaves one of 75 s, and a session waits less long for its phone."""
    soon = "clock_timestamp() + interval '3 s'"
    act.scene.rows(f"UPDATE waha_actions SET lease_expires_at = {soon} WHERE lease_expires_at > {soon}")  # noqa: S608
