"""What people see, as JSON for a page or a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack import controls, readable

if TYPE_CHECKING:
    from sandbox.slack.answers import Answer
    from sandbox.slack.messages import Message
    from sandbox.slack.refusal import Json
    from sandbox.slack.simulator import SandboxSlack
    from sandbox.slack.views import View


def people(slack: SandboxSlack) -> list[Json]:
    """Everybody, and what kind of guest or stranger they are."""
    return [
        {
            "id": person.id,
            "name": person.name,
            "real_name": person.real_name,
            "email": person.email,
            "is_bot": person.is_bot,
            "is_guest": person.is_restricted,
            "is_stranger": person.is_stranger,
        }
        for person in slack.state.workspace.people.values()
    ]


def channels(slack: SandboxSlack) -> list[Json]:
    """The channels, without direct messages."""
    workspace = slack.state.workspace
    return [
        {
            "id": channel.id,
            "name": channel.name,
            "is_private": channel.is_private,
            "is_archived": channel.is_archived,
            "has_app": workspace.app_is_in(channel),
            "members": [workspace.people[member].name for member in channel.members],
        }
        for channel in workspace.channels.values()
        if channel.kind != "im"
    ]


def channel(slack: SandboxSlack, name: str, user: str | None = None) -> Json:
    """A channel's timeline with its threads, and the ephemeral messages in it: one person's, or everybody's."""
    place = slack.channel(name)
    whispers = [shown for shown in slack.state.messages.ephemerals if shown.channel == place.id and not shown.deleted]
    if user:
        whispers = [shown for shown in whispers if shown.visible_to == slack.person(user).id]
    inside = {shown.ts: [reply for reply in whispers if reply.thread_ts == shown.ts] for shown in slack.roots(name)}
    roots = [_with_replies(root, inside[root.ts], slack) for root in slack.roots(name)]
    outside = [message(shown, slack) for shown in whispers if shown.thread_ts not in inside]
    messages = sorted([*roots, *outside], key=lambda shown: str(shown["ts"]))
    return {"channel": place.name, "id": place.id, "messages": messages}


def _with_replies(root: Message, whispers: list[Message], slack: SandboxSlack) -> Json:
    replies = sorted([*slack.state.messages.replies(root), *whispers], key=lambda shown: shown.ts)
    return {**message(root, slack), "replies": [message(reply, slack) for reply in replies]}


def message(shown: Message, slack: SandboxSlack) -> Json:
    """One message: what it says, what is on it, and who sees it."""
    workspace = slack.state.workspace
    return {
        "ts": shown.ts,
        "thread_ts": shown.thread_ts,
        "user": shown.username or workspace.people[shown.user].name,
        "is_app": shown.by_bot,
        "text": readable.message(shown, workspace),
        "blocks": shown.blocks,
        "buttons": controls.labels(shown.blocks),
        "reactions": {name: [workspace.people[user].name for user in users] for name, users in shown.reactions.items()},
        "visible_to": workspace.people[shown.visible_to].name if shown.visible_to else None,
        "edited": shown.edited_ts is not None,
        "files": [
            {"id": file.id, "name": file.name, "size": file.size, "mimetype": file.mimetype} for file in shown.files
        ],
    }


def answer(given: Answer, slack: SandboxSlack) -> Json:
    """What came back to a command, a click or a form."""
    return {
        "user": given.user,
        "error": given.error,
        "errors": given.errors,
        "acked_after": given.acked_after,
        "text": given.text,
        "messages": [message(shown, slack) for shown in given.messages if not shown.deleted],
        "view": view(given.view, slack),
    }


def view(shown: View | None, slack: SandboxSlack) -> Json | None:
    """A form or a Home tab."""
    if shown is None:
        return None
    return {
        "id": shown.id,
        "title": shown.content.get("title", {}).get("text", ""),
        "text": readable.blocks(shown.blocks, slack.state.workspace),
        "blocks": shown.blocks,
        "buttons": controls.labels(shown.blocks),
    }
