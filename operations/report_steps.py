"""What to do now about what a report tells, the most urgent first, each with the command that does it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from operations.report_facts import ReportFacts, SessionFacts
from operations.telling_words import lasted
from operations.wording import counted
from slack.mrkdwn import foreign

# By then what waits in a session that works waits for a reason.
_WAITS_TOO_LONG = timedelta(minutes=30)
_MOST_NAMED = 5
_SERVERS = {
    "key_refused": "Set the API key of server `{server}`: WAHA refuses ours.",
    "down": "Bring WAHA server `{server}` back; messages wait in the queue until then.",
}
_SESSIONS = {
    "failed": "Restart `{name}`, which failed: `session restart {name}`.",
    "stopped": "Start `{name}`, which stopped: `session restart {name}`.",
    "scan_qr": "Link the phone of `{name}`: `session qr {name}`.",
}
_NUMBERS = ("stopped", "slow")


def steps(facts: ReportFacts) -> list[str]:
    """One sentence each; nothing where nothing needs to be done."""
    return [*_about_servers(facts), *_about_sessions(facts), *_about_numbers(facts), *_about_messages(facts)]


def _about_servers(facts: ReportFacts) -> Iterator[str]:
    """What is the matter with a server is said once, and not again for each of its sessions."""
    for state, sentence in _SERVERS.items():
        servers = {one.server for one in facts.sessions if one.is_wanted and one.server_state == state}
        yield from (sentence.format(server=foreign(server)) for server in sorted(servers))


def _about_sessions(facts: ReportFacts) -> Iterator[str]:
    for status, sentence in _SESSIONS.items():
        found = [one for one in facts.sessions if _is_its_own_trouble(one) and _trouble(one) == status]
        yield from _named(found, sentence)


def _trouble(one: SessionFacts) -> str:
    """Its status; one that failed without a linked phone needs what one needs that waits for a scan."""
    return "scan_qr" if one.status == "failed" and not one.is_linked else one.status


def _named(found: list[SessionFacts], sentence: str) -> Iterator[str]:
    yield from (sentence.format(name=foreign(one.name)) for one in found[:_MOST_NAMED])
    if (left := len(found) - _MOST_NAMED) > 0:
        yield f"The same for {counted(left, 'session')} more: `session list`."


def _is_its_own_trouble(one: SessionFacts) -> bool:
    return one.is_wanted and one.server_state not in _SERVERS


def _about_numbers(facts: ReportFacts) -> Iterator[str]:
    found = [one for one in facts.sessions if one.number is not None and one.number.level in _NUMBERS]
    yield from _named(found, "See what keeps `{name}` from sending freely: `session health {name}`.")


def _about_messages(facts: ReportFacts) -> Iterator[str]:
    if facts.letters.count:
        yield f"Decide about {counted(facts.letters.count, 'message')} that did not arrive: `message failed`."
    if unanswered := facts.unanswered.count:
        longest = facts.unanswered.longest[0]
        where = f" <{longest.thread}|It is here.>" if longest.thread else ""
        yield (
            f"Answer {counted(unanswered, 'customer')} who {'waits' if unanswered == 1 else 'wait'} for over "
            f"{facts.unanswered.hours} h, the longest for {lasted(longest.waited)}.{where}"
        )
    yield from _named(
        [one for one in facts.sessions if _is_stuck(one, facts)],
        "See why messages of `{name}` wait for over half an hour: `session show {name}`.",
    )
    if facts.held:
        waits = "waits" if facts.held == 1 else "wait"
        yield f"Link a channel for {counted(facts.held, 'message')} that {waits} for one: `channel link`."


def _is_stuck(one: SessionFacts, facts: ReportFacts) -> bool:
    oldest = one.queue.oldest
    return one.status == "working" and oldest is not None and facts.until - oldest > _WAITS_TOO_LONG
