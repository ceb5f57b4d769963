"""A health report as it is read: text that says everything, and the blocks over it. It reads no rows and no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from operations.buttons import RETRY_ALL
from operations.report_facts import IncidentFacts, NumberFacts, Queue, ReportFacts, SessionFacts, Traffic, Waiting
from operations.report_steps import steps
from operations.telling_words import lasted
from operations.wording import counted
from slack.blocks import Block, Post, actions, button, confirm, sections
from slack.mrkdwn import foreign, local_time

MOST_SESSIONS = 20
"""More are counted: those in trouble come first, then those with the most to tell."""

_MOST_INCIDENTS = 10
_MOST_NUMBERS = 8
_LONGEST_REASON = 160
_LETTERS_BLOCK = "report_letters"
_MARK = {"working": "🟢", "starting": "🟡", "scan_qr": "🟠", "failed": "🔴", "stopped": "⚪"}
_WORDS = {
    "working": "working",
    "starting": "starting",
    "scan_qr": "waits for its QR code to be scanned",
    "failed": "failed",
    "stopped": "stopped",
}
_OF_SERVER = {"down": "is away", "key_refused": "refuses our key"}
_INCIDENTS = {
    "failed": "failed",
    "stopped": "stopped though it should run",
    "stuck": "did not come to work",
    "needs_scan": "had to be linked again",
    "silent": "worked and was silent",
    "number": "was restricted by WhatsApp",
    "several_sessions": "failed together",
    "server_away": "did not answer",
    "key_refused": "refused our key",
}
_LEVELS = {"watch": "watched", "slow": "sends slower", "stopped": "writes to nobody new"}


def written(facts: ReportFacts) -> Post:
    """The report; what is to be done stands above what is only to be known."""
    parts = [
        _head(facts),
        _to_do(facts),
        _sessions(facts),
        _incidents(facts),
        _messages(facts),
        _letters(facts),
        _unanswered(facts),
        _responses(facts),
        _numbers(facts),
    ]
    told = [part for part in parts if part]
    letters = _letters(facts)
    blocks = [block for part in told for block in (*sections(part), *(_replay(facts) if part == letters else ()))]
    return Post("\n\n".join(told), tuple(blocks))


def _head(facts: ReportFacts) -> str:
    title = f"*Health report for {foreign(facts.tenant_name)}* · {local_time(facts.until)}"
    lasts = lasted(facts.until - facts.since).removesuffix(" 0 min")
    since = f"Since the last report ({_clock(facts.since, facts.time_zone)}): {lasts}"
    lines = [title, f"_{since if facts.is_since_last else f'The last {lasts}'}_"]
    if facts.late is not None:
        due, made = (_clock(time, facts.time_zone) for time in (facts.late.due, facts.late.made))
        lines.append(f"⏰ Due {due}, posted {made}: it could not be made then.")
    return "\n".join(lines)


def _to_do(facts: ReportFacts) -> str:
    found = steps(facts)
    if not found:
        return "Nothing needs to be done."
    return "*To do now*\n" + "\n".join(f"{number}. {step}" for number, step in enumerate(found, 1))


def _sessions(facts: ReportFacts) -> str:
    if not facts.sessions:
        return "No sessions yet: add one with `session add NAME`."
    ordered = sorted(facts.sessions, key=lambda one: (not one.is_troubled, _quiet(one)))
    shown, left = ordered[:MOST_SESSIONS], ordered[MOST_SESSIONS:]
    known = [one.uptime for one in facts.sessions if one.is_wanted and one.uptime is not None]
    together = f" · up {_percent(sum(known) / len(known))}" if len(known) > 1 else ""
    lines = [f"*{counted(len(facts.sessions), 'session')}*: {_statuses(facts.sessions)}{together}"]
    lines += [_session(one) for one in shown]
    if left:
        lines.append(f"and {len(left)} more: {_statuses(left)}. See `session list`.")
    return "\n".join(lines)


def _quiet(one: SessionFacts) -> tuple[int, str]:
    return -(one.traffic.received + one.traffic.sent + one.traffic.failed), one.name


def _statuses(found: Sequence[SessionFacts]) -> str:
    count = Counter(one.status for one in found)
    words = {**_WORDS, "scan_qr": "to be linked"}
    return ", ".join(f"{count[status]} {word}" for status, word in words.items() if count[status])


def _session(one: SessionFacts) -> str:
    since = f" since {local_time(one.since)}" if one.since is not None else ""
    parts = [f"{_MARK[one.status]} `{foreign(one.name)}` {_WORDS[one.status]}{since}"]
    if one.is_wanted and one.uptime is not None:
        parts.append(f"up {_percent(one.uptime)}")
    if one.server_state in _OF_SERVER:
        parts.append(f"server `{foreign(one.server)}` {_OF_SERVER[one.server_state]}")
    return f"{' · '.join(parts)}\n      {_traffic(one.traffic)} · {_queue(one.queue)}"


def _incidents(facts: ReportFacts) -> str:
    if not facts.incidents:
        return ""
    lines = [f"*{counted(len(facts.incidents), 'incident')}*"]
    for one in facts.incidents[:_MOST_INCIDENTS]:
        over = "over" if one.ended is not None else "*not over*"
        cause = f": {_reason(one.cause)}" if one.cause else ""
        lines.append(
            f"• {_subject(one)} {_INCIDENTS[one.kind]}, {local_time(one.began)}, for "
            f"{lasted(one.length(facts.until))}, {over}{cause}"
        )
    if left := len(facts.incidents) - len(lines) + 1:
        lines.append(f"and {left} before these.")
    return "\n".join(lines)


def _subject(one: IncidentFacts) -> str:
    if one.session:
        return f"`{foreign(one.session)}`"
    if one.kind == "several_sessions":
        return "several sessions"
    return f"server `{foreign(one.server)}`"


def _messages(facts: ReportFacts) -> str:
    if len(facts.sessions) < 2:  # noqa: PLR2004 - of one session its line says the same
        return ""
    return f"*Messages*: {_traffic(facts.traffic)} · {_queue(Queue(facts.waiting, facts.oldest_waiting))}"


def _letters(facts: ReportFacts) -> str:
    letters = facts.letters
    if not letters.count:
        return ""
    sure = len(letters.retryable)
    again = f" {sure} can be sent again as they are." if sure else ""
    return f"*Not delivered*: {counted(letters.count, 'message')} for you to decide about: `message failed`.{again}"


def _replay(facts: ReportFacts) -> list[Block]:
    """As many as a button may name. Who may click it is asked at the click."""
    ids = facts.letters.retryable
    if not ids:
        return []
    number = counted(len(ids), "message")
    sure = confirm("Send them again?", f"{number} will be sent to customers.", yes="Send again")
    label = f"Replay {number}" if len(ids) == facts.letters.count else f"Replay the newest {number}"
    return [actions(button(label, RETRY_ALL, value=",".join(map(str, ids)), confirm=sure), block_id=_LETTERS_BLOCK)]


def _unanswered(facts: ReportFacts) -> str:
    unanswered = facts.unanswered
    if not unanswered.count:
        return ""
    lines = [f"*Unanswered for over {unanswered.hours} h*: {counted(unanswered.count, 'conversation')}"]
    lines += [f"• {_waiting(one)}" for one in unanswered.longest]
    if left := unanswered.count - len(unanswered.longest):
        lines.append(f"and {left} more.")
    return "\n".join(lines)


def _responses(facts: ReportFacts) -> str:
    responses = facts.responses
    if not responses.seconds:
        return ""
    head = (
        f"*First answers*: {len(responses.seconds)}, half within {lasted(responses.median)}, nine of ten within "
        f"{lasted(responses.ninetieth)}. The slowest:"
    )
    return "\n".join([head, *(f"• {_waiting(one)}" for one in responses.slowest)])


def _waiting(one: Waiting) -> str:
    place = f"<{one.thread}|thread> in <#{one.channel_id}>" if one.thread else "no thread yet"
    return f"{lasted(one.waited)}, `{foreign(one.session)}`, {place}"


def _numbers(facts: ReportFacts) -> str:
    told = [(one, one.number) for one in facts.sessions if one.number is not None]
    uneasy = [(one, number) for one, number in told if number.level in _LEVELS]
    if not told:
        return ""
    if not uneasy:
        return f"*Number health*: good ({counted(len(told), 'number')})"
    lines = [f"• {_number(one, number)}" for one, number in uneasy[:_MOST_NUMBERS]]
    if left := len(uneasy) - len(lines):
        lines.append(f"and {left} more.")
    return "\n".join([f"*Number health*: {len(uneasy)} of {len(told)} not good", *lines])


def _number(one: SessionFacts, number: NumberFacts) -> str:
    reason = f": {_reason(number.reason)}" if number.reason else ""
    return f"`{foreign(one.name)}` {_LEVELS[number.level]}{reason}"


def _reason(said: str) -> str:
    return foreign(said if len(said) <= _LONGEST_REASON else f"{said[: _LONGEST_REASON - 1]}…")


def _traffic(traffic: Traffic) -> str:
    if traffic == Traffic():
        return "no messages"
    rates = ""
    if traffic.sent:
        rates = (
            f" ({_percent(traffic.delivered / traffic.sent)} delivered, {_percent(traffic.read / traffic.sent)} read)"
        )
    failed = f", {traffic.failed} failed" if traffic.failed else ""
    return f"{traffic.received} in, {traffic.sent} out{rates}{failed}"


def _queue(queue: Queue) -> str:
    if not queue.waiting:
        return "queue empty"
    oldest = f", oldest from {local_time(queue.oldest)}" if queue.oldest is not None else ""
    return f"queue {queue.waiting}{oldest}"


def _percent(share: float) -> str:
    """One decimal, and 100 only where nothing is missing."""
    if share in {0.0, 1.0}:
        return f"{share:.0%}"
    return f"{min(max(share, 0.001), 0.999):.1%}"


def _clock(time: datetime, time_zone: str) -> str:
    return f"{time.astimezone(ZoneInfo(time_zone)):%a %-d %b %H:%M}"
