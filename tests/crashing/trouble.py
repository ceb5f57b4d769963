"""Journeys in which WAHA or Slack fails first, and a process of ours dies while it deals with that."""

from __future__ import annotations

from typing import Any

from tests.crashing.act import DELIVERED, FAILED, READ, Act


async def a_reply_is_refused(act: Act) -> None:
    team, customer, waha = act.cast.acme, act.customer(), act.scene.stage.waha
    root = await act.scene.written(team, customer, act.text("Can you hear me?"))
    refusal = {"statusCode": 400, "message": "no such chat", "error": "Bad Request"}
    waha.answer("/api/sendText", status=400, body=refusal)

    act.begin()
    said = act.scene.reply(team, root, act.text("Loud and clear"))
    await act.until_shown(FAILED, said)
    await act.over()
    waha.answer_normally()

    assert list(said.reactions) == [FAILED]
    assert act.received(customer, team) == []
    thread = act.scene.stage.slack.thread("support", root.ts)
    assert sum("no such chat" in one.text for one in thread) == 1


async def a_reply_is_throttled(act: Act) -> None:
    busy = {"statusCode": 429, "message": "Too many requests"}
    await _reply_after(act, status=429, body=busy)


async def a_reply_has_to_wait_for_its_session(act: Act) -> None:
    await _reply_after(act, status=422, body=act.not_ready())


async def _reply_after(act: Act, *, status: int, body: Any) -> None:
    team, customer, text = act.cast.acme, act.customer(), act.text("It does")
    root = await act.scene.written(team, customer, act.text("Does it float?"))
    act.scene.stage.waha.answer("/api/sendText", status=status, body=body, times=1)

    act.begin()
    said = act.scene.reply(team, root, text)
    await act.until_shown(DELIVERED, said)
    await act.over()
    act.scene.stage.waha.answer_normally()

    assert act.received(customer, team) == [text]
    assert list(said.reactions) == [DELIVERED]


async def a_reply_is_looked_up(act: Act) -> None:
    """WAHA sends it and says so to nobody, and fails when it is asked for the first time."""
    team, customer, waha, text = act.cast.acme, act.customer(), act.scene.stage.waha, act.text("In the yard")
    root = await act.scene.written(team, customer, act.text("Where are you?"))
    waha.webhook_faults.lose(session=team.waha_session)
    waha.hang_up("/api/sendText", times=1, carried_out=True)
    waha.answer("/api/*/chats/*/messages/*", status=500, body={"statusCode": 500}, times=1)

    act.begin()
    said = act.scene.reply(team, root, text)
    await act.until_row(f"SELECT status = 'sent' FROM messages WHERE body = '{text}'", "the look-up")  # noqa: S608
    await act.over()
    waha.heal()
    await customer.read()
    await act.until_shown(READ, said)

    assert act.received(customer, team) == [text]


async def a_post_is_looked_up(act: Act) -> None:
    """Slack stores it and answers nothing, and fails when it is asked for the first time."""
    team, customer, slack = act.cast.acme, act.customer(), act.scene.stage.slack
    await act.scene.written(team, customer, act.text("One"))
    slack.fail("chat.postMessage", drop_after_storing=True, when=lambda call: act.text("Two") in str(call))
    # Twice: whoever catches up reads the thread too.
    slack.fail("conversations.replies", status=500, times=2)

    await _goes_on_in_order(act)


async def a_post_is_limited(act: Act) -> None:
    await act.scene.written(act.cast.acme, act.customer(), act.text("One"))
    slack = act.scene.stage.slack
    slack.fail("chat.postMessage", status=429, when=lambda call: act.text("Two") in str(call))

    await _goes_on_in_order(act)


async def a_thread_is_gone(act: Act) -> None:
    await act.scene.written(act.cast.acme, act.customer(), act.text("One"))
    slack = act.scene.stage.slack
    slack.fail("chat.postMessage", error="thread_not_found", when=lambda call: act.text("Two") in str(call))

    await _goes_on_in_order(act)


async def a_channel_is_closed_for_a_while(act: Act) -> None:
    await act.scene.written(act.cast.acme, act.customer(), act.text("One"))
    slack = act.scene.stage.slack
    slack.fail("chat.postMessage", error="is_archived", when=lambda call: act.text("Two") in str(call))

    await _goes_on_in_order(act)


async def a_post_is_never_taken(act: Act) -> None:
    """Slack's refusal of one message holds up none behind it."""
    await act.scene.written(act.cast.acme, act.customer(), act.text("One"))
    slack = act.scene.stage.slack
    slack.fail("chat.postMessage", error="no_text", times=None, when=lambda call: act.text("Two") in str(call))

    await _goes_on_in_order(act, taken=False)


async def _goes_on_in_order(act: Act, *, taken: bool = True) -> None:
    team, customer = act.cast.acme, act.customer()
    second, third = act.text("Two"), act.text("Three")

    act.begin()
    await customer.write(second, to=team.phone)
    await act.until_kept("webhook_events", second)
    await customer.write(third, to=team.phone)
    await act.until(lambda: act.texts_in("support", third), "the message after it")
    await act.over()
    act.scene.stage.slack.heal()

    assert act.texts_in("support", f"({act.number})") == [act.text("One"), *([second] if taken else []), third]


async def a_new_chat_may_not_be_begun(act: Act) -> None:
    """WhatsApp refuses it (463) until the customer writes, which is said once."""
    team, customer, text = act.cast.acme, act.customer(), act.text("Your parcel is here")

    def said() -> int:
        return len(act.scene.in_channel("support", f"Not sent yet: “{text}”"))

    team.phone.restrict()
    try:
        act.begin()
        await act.type("ana", f"send --session {team.session} +{customer.number} {text}")
        await act.until(said, "the reason in the thread")
        assert act.received(customer, team) == []
        await customer.write(act.text("Hello"), to=team.phone)
        await act.until(lambda: act.received(customer, team), "the message on the phone")
        await act.over()
    finally:
        team.phone.lift_restriction()
        act.scene.rows("UPDATE waha_sessions SET restricted_until = NULL")

    assert act.received(customer, team) == [text]
    assert said() == 1


async def slack_is_away(act: Act) -> None:
    """Nothing can be connected to for a moment: neither for posting nor for listening."""
    team, customer, slack = act.cast.acme, act.customer(), act.scene.stage.slack
    await act.scene.written(team, customer, act.text("One"))
    second, third = act.text("Two"), act.text("Three")

    act.begin()
    await slack.go_down()
    try:
        await customer.write(second, to=team.phone)
        await act.until_row(
            "SELECT count(*) FROM slack_posts WHERE posted_at IS NULL AND error LIKE 'No connection%'", "a post to fail"
        )
    finally:
        await slack.come_back()
    await customer.write(third, to=team.phone)
    await act.until(lambda: act.texts_in("support", third), "the message after it")
    await act.theatre.ready()
    await act.theatre.caught_up()
    await act.over()

    assert act.texts_in("support", f"({act.number})") == [act.text("One"), second, third]


async def a_private_word_is_lost(act: Act) -> None:
    """Slack shows it and answers nothing. It keeps no trace of such words, so they are shown at most once."""
    team, customer, slack = act.cast.acme, act.customer(), act.scene.stage.slack
    root = await act.scene.written(team, customer, act.text("Who are you?"))
    slack.fail("chat.postEphemeral", drop_after_storing=True)

    def told() -> int:
        return sum("you have no role here" in one.text for one in slack.ephemerals("ben") if one.thread_ts == root.ts)

    act.begin()
    slack.say("ben", "support", act.text("Ben"), root.ts)
    await act.until_row(
        "SELECT bool_or(posted_at IS NOT NULL OR parked_at IS NOT NULL) FROM slack_posts "  # noqa: S608 - a time of ours
        f"WHERE kind = 'ephemeral' AND thread_ts = '{root.ts}'",
        "the end of the private word",
    )
    await act.over()
    slack.heal()

    before = told()
    assert before <= 1
    slack.say("ben", "support", act.text("Really"), root.ts)
    await act.until(lambda: told() > before, "the next private word")
    assert told() == before + 1
    assert act.received(customer, team) == []


async def a_session_is_in_trouble(act: Act) -> None:
    name, words = act.cast.unpaired, "waits for its phone to be linked again"
    await act.at_rest(name)
    await act.scene.ask("ana", f"session start {name}")
    await act.until_told(name, "scan_qr")
    await act.theatre.settled()
    before = len(act.scene.in_channel("alerts", words))

    act.begin()
    act.scene.rows(
        'UPDATE waha_sessions SET metadata = metadata || \'{"me_id": "4930901822@c.us"}\', wanted_since = NULL, '  # noqa: S608
        f"status_changed_at = clock_timestamp() - interval '1 min' WHERE name = '{name}'"
    )
    await act.until(lambda: len(act.scene.in_channel("alerts", words)) > before, "the news")
    await act.over()

    assert len(act.scene.in_channel("alerts", words)) == before + 1
    act.scene.rows(f"UPDATE waha_sessions SET metadata = metadata - 'me_id' WHERE name = '{name}'")  # noqa: S608
    await act.scene.ask("ana", f"session stop {name}")
    await act.until_told(name, "stopped")


async def a_server_was_away(act: Act) -> None:
    words = "is away"
    before = len(act.scene.in_channel("alerts", words))

    act.begin()
    # Nobody polls it for a while, so that it stays as it is said to be.
    act.scene.rows(
        "UPDATE waha_servers SET state = 'down', state_changed_at = clock_timestamp() - interval '1 min', "
        "poll_lease_token = gen_random_uuid(), poll_lease_expires_at = clock_timestamp() + interval '5 s'"
    )
    await act.until(lambda: len(act.scene.in_channel("alerts", words)) > before, "the news")
    await act.over()

    assert len(act.scene.in_channel("alerts", words)) == before + 1
    await act.until_row("SELECT bool_and(state = 'up') FROM waha_servers", "the server's return")
    act.scene.rows("UPDATE waha_servers SET state_changed_at = state_changed_at - interval '1 min'")
    await act.until_row("SELECT count(*) = 0 FROM incidents WHERE ended_at IS NULL", "no trouble")
