"""Journeys in which a person decides about a message that did not simply leave: it is carried out once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.slack import Message
from sandbox.whatsapp import Phone
from tests.crashing.act import DELIVERED, FAILED, READ, Act

_REFUSE_IDS = "UPDATE waha_sessions SET ids_refused_at = {} WHERE name = '{}'"
_IS_NOT_KNOWN = "It is not known whether"


async def a_failed_reply_is_sent_again(act: Act) -> None:
    team, customer, text = act.cast.acme, act.customer(), act.text("It left today")
    said, post = await _failed(act, customer, text)
    told = act.told("ana", "It is sent again.")

    act.begin()
    await act.click("ana", post, "Retry")
    await act.until(lambda: act.received(customer, team), "the message on the phone")
    await act.until_shown(DELIVERED, said)
    await act.until(lambda: "chose *Retry*." in post.text, "the decision on the post")
    await act.over()

    assert act.received(customer, team) == [text]
    assert list(said.reactions) == [DELIVERED]
    assert _choices(post) == []
    act.see_answered("ana", "It is sent again.", told)


async def a_failed_reply_is_sent_in_other_words(act: Act) -> None:
    team, customer, slack = act.cast.acme, act.customer(), act.scene.stage.slack
    said, post = await _failed(act, customer, act.text("It left tody"))
    told = act.told("ana", "The new text is sent.")

    act.begin()
    await act.open_form("ana", post, "Edit")
    await act.submit("ana", Text=act.text("It left today"))
    await act.until(lambda: act.received(customer, team), "the message on the phone")
    await act.until_shown(DELIVERED, said)
    await act.until(lambda: "chose *Edit*." in post.text, "the decision on the post")
    await act.over()
    if slack.modal("ana") is not None:  # it said that nothing was saved yet
        await slack.close("ana")

    assert act.received(customer, team) == [act.text("It left today")]
    assert list(said.reactions) == [DELIVERED]
    assert _choices(post) == []
    act.see_answered("ana", "The new text is sent.", told)


async def a_late_reply_is_still_wanted(act: Act) -> None:
    """Its session could not send for longer than a reply is sent unasked."""
    team, customer, waha, text = act.cast.acme, act.customer(), act.scene.stage.waha, act.text("On Monday")
    root = await act.scene.written(team, customer, act.text("When does it leave?"))
    waha.answer("/api/sendText", status=422, body=act.not_ready())
    said = act.scene.reply(team, root, text)
    await act.until_row(f"SELECT hold_reason IS NOT NULL FROM messages WHERE body = '{text}'", "the reply to wait")  # noqa: S608

    act.begin()
    act.scene.rows(f"UPDATE messages SET created_at = created_at - interval '31 min' WHERE body = '{text}'")  # noqa: S608
    waha.answer_normally()
    post = await _offered(act, root, "Is it still wanted?")
    assert act.received(customer, team) == []
    await act.click("ana", post, "Send now")
    await act.until_shown(DELIVERED, said)
    await act.until(lambda: "chose *Send now*." in post.text, "the decision on the post")
    await act.over()

    assert act.received(customer, team) == [text]
    assert list(said.reactions) == [DELIVERED]
    assert len(_said_in(act, root, "Is it still wanted?")) == 1
    assert _choices(post) == []


async def a_reply_may_have_left(act: Act) -> None:
    """Only the phone shows whether it has, and a person looks there."""
    team, customer, waha, text = act.cast.acme, act.customer(), act.scene.stage.waha, act.text("At the gate")
    root = await act.scene.written(team, customer, act.text("Where is the key?"))
    with _ids_refused(act):
        waha.webhook_faults.lose(session=team.waha_session)
        waha.hang_up("/api/sendText", times=1, carried_out=True)

        act.begin()
        said = act.scene.reply(team, root, text)
        # A daemon that comes back reads the chat, and may know by that.
        await act.until(lambda: _open_questions(act, root) or _is_sent(act, text), "the question")
        waha.heal()
        for post in _open_questions(act, root):
            await _look_and_decide(act, customer, post)
        await act.until(lambda: act.received(customer, team), "the message on the phone")
        await act.over()

        assert act.received(customer, team) == [text]
        assert len(_said_in(act, root, _IS_NOT_KNOWN)) <= 1
        await customer.read()
        await act.until_shown(READ, said)


async def _look_and_decide(act: Act, customer: Phone, post: Message) -> None:
    label = "It was sent" if act.received(customer, act.cast.acme) else "Send again"
    too_late = act.told("ana", "It has been sent.")
    await act.click("ana", post, label)
    await act.until(
        lambda: f"chose *{label}*." in post.text or act.told("ana", "It has been sent.") > too_late, "the decision"
    )


def _open_questions(act: Act, root: Message) -> list[Message]:
    return [one for one in _said_in(act, root, _IS_NOT_KNOWN) if _choices(one)]


def _is_sent(act: Act, text: str) -> bool:
    return act.scene.rows(f"SELECT status = 'sent' FROM messages WHERE body = '{text}'") == [(True,)]  # noqa: S608


@contextmanager
def _ids_refused(act: Act) -> Iterator[None]:
    """As if an answer of WAHA had carried another id than ours."""
    act.scene.rows(_REFUSE_IDS.format("clock_timestamp()", act.cast.acme.session))
    try:
        yield
    finally:
        act.scene.rows(_REFUSE_IDS.format("NULL", act.cast.acme.session))


async def _failed(act: Act, customer: Phone, text: str) -> tuple[Message, Message]:
    """A reply that WAHA refused, and the post that says so and offers what can be done; nothing else is under way."""
    team, waha = act.cast.acme, act.scene.stage.waha
    root = await act.scene.written(team, customer, act.text("Where is my order?"))
    waha.answer("/api/sendText", status=400, body={"statusCode": 400, "message": "no such chat"})
    said = act.scene.reply(team, root, text)
    await act.until_shown(FAILED, said)
    post = await _offered(act, root, "no such chat")
    waha.answer_normally()
    await act.theatre.settled()
    return said, post


async def _offered(act: Act, root: Message, words: str) -> Message:
    await act.until(lambda: any(_choices(one) for one in _said_in(act, root, words)), f"{words!r} in the thread")
    return _said_in(act, root, words)[0]


def _said_in(act: Act, root: Message, words: str) -> list[Message]:
    return [one for one in act.scene.stage.slack.thread("support", root.ts) if one.by_bot and words in one.text]


def _choices(post: Message) -> list[str]:
    return [block["type"] for block in post.blocks if block["type"] == "actions"]
