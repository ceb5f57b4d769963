"""What an incident's message says: what is the matter, since when, why, what was done, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from models import Incident, IncidentKind
from operations.incident_buttons import buttons_of
from operations.wording import counted
from slack.blocks import Post, sections
from slack.mrkdwn import foreign, local_time

MUTED_FOR = timedelta(hours=8)
_NAMED = 10
_WORTH_SAYING = timedelta(minutes=1)
_STEPS_SHOWN = 6

# By session: what it is, as a headline that goes on after "Session `sales` ", and what it was, after "It ".
_IS = {
    IncidentKind.FAILED: ("🔴", "failed.", "had failed"),
    IncidentKind.STOPPED: ("⚪", "stopped, though it should run.", "had stopped, though it should run,"),
    IncidentKind.STUCK: ("🟡", "does not come up.", "did not come up"),
    IncidentKind.NEEDS_SCAN: ("🟠", "waits for its phone to be linked again.", "waited for its phone"),
    IncidentKind.SILENT: ("🟡", "says that it works, and is silent.", "was silent"),
    IncidentKind.NUMBER: ("🟠", "has trouble with its number.", "had trouble with its number"),
}
_NEXT = {
    IncidentKind.FAILED: (
        "it is restarted by itself, and messages to customers wait in the queue. If it stays so, see "
        "`session show {name}`; do not log it out for this, its phone would have to be linked again."
    ),
    IncidentKind.STOPPED: (
        "it is started again by itself, and messages to customers wait in the queue. Find out who stops it on the WAHA "
        "server; see `session show {name}`."
    ),
    IncidentKind.STUCK: "it is restarted by itself a few times a day. If it stays so, look into WAHA's log.",
    IncidentKind.NEEDS_SCAN: "take the phone of this number, and scan the code of `session qr {name}`.",
    IncidentKind.SILENT: (
        "what was missed is read from WAHA's history, and the session is restarted once. If it stays so, compare "
        "`session show {name}` with the phone."
    ),
    IncidentKind.NUMBER: "sending slows down by itself; write to new contacts later. See `session health {name}`.",
}
_NEVER_LINKED = "ask for a new code: `session qr {name}`."
# By the code of the likely cause of many.
_NEXT_OF_MANY = {
    "server_down": "start the WAHA server again, or look at its network. Messages to customers wait in the queue.",
    "key_refused": (
        "set a strong `WAHA_API_KEY` of your own on the WAHA server and the same in `waha.servers.{server}.api_key`, "
        "then restart both."
    ),
    "restarted": "nothing now: they come up one after another. Look again in ten minutes: `session list`.",
    "protocol": (
        "do *not* log out, all of them would have to be linked again. Look for a newer WAHA and update it; they then "
        "come back by themselves."
    ),
    "silent_server": (
        "run `doctor`: it compares the webhook addresses and looks at the server. What was missed is read from WAHA's "
        "history."
    ),
    "silent": (
        "what was missed is read from WAHA's history, and they are restarted, one at a time, to see whether it helps. "
        "Run `doctor`, and compare one of `session list` with its phone."
    ),
    "unknown": "they are restarted by themselves. See `session list`, and look into WAHA's log.",
}
_OF_SERVERS = frozenset({IncidentKind.SERVER_AWAY, IncidentKind.KEY_REFUSED})
_COMING_UP = "nothing now: they come up one after another. Those that do not within ten minutes are told by themselves."
_ENDED = {
    "stopped": "was stopped by somebody here",
    "deleted": "was removed",
    "left": "has none of your sessions now",
    "unwatched": "is not looked after now: it is not in the settings of a running daemon",
}


@dataclass(frozen=True)
class Member:
    """A session that an incident tells of. `tenant` is named to operators, where there may be several."""

    name: str
    kind: IncidentKind
    is_over: bool
    tenant: str = ""


@dataclass(frozen=True)
class Story:
    """An incident with what is part of it, the first to begin in front; `recovered` and what was blind is of all.

    `tells_of_it` names the incident that it is part of, "" where people read it by itself; what only operators are told
    besides `is_told_elsewhere_too`. `was_then` is the session's status at the end, or `stopped` or `deleted` where
    people wanted that; what becomes of it later is another story.
    """

    incident: Incident
    members: Sequence[Member] = ()
    steps: Sequence[tuple[datetime, str]] = ()
    ended_at: datetime | None = None
    blind_from: datetime | None = None
    blind_to: datetime | None = None
    recovered: int = 0
    tells_of_it: str = ""
    is_told_elsewhere_too: bool = False
    has_account: bool = True
    was_then: str = "working"

    def by_itself(self) -> Self:
        """The same, told as if it were part of nothing."""
        return replace(self, tells_of_it="")

    @property
    def kind(self) -> IncidentKind:
        """What it is by now: a session that failed may wait for its phone since."""
        if self.incident.session_id is None:
            return IncidentKind(self.incident.kind)
        still = [one.kind for one in self.members if not one.is_over]
        return still[-1] if still else IncidentKind(self.incident.kind)


def told(story: Story) -> Post:
    """The message, whole in its text; the blocks add buttons while something can be done."""
    if story.tells_of_it:
        return Post(f"↪ {_subject(story)} {_was(story)}: part of “{story.tells_of_it}”, which is told by itself.")
    if story.ended_at is not None:
        return Post("\n".join(filter(None, (_over(story), _steps(story), _missed(story)))))
    text = "\n".join(
        filter(
            None,
            (headline(story), _since(story), _names(story), _steps(story), _missed(story), _next(story), _muted(story)),
        )
    )
    elements = buttons_of(story.incident, story.kind)
    return Post(text, (*sections(text), elements) if elements else None)


def headline(story: Story) -> str:
    """What it is by now, on one line."""
    incident = story.incident
    if incident.kind in _OF_SERVERS and incident.ended_at is not None:
        still = len({(one.tenant, one.name) for one in story.members if not one.is_over})
        server, come = foreign(incident.server or ""), "comes" if still == 1 else "come"
        return f"🟡 *WAHA server `{server}` is back; {counted(still, 'session')} on it still {come} up.*"
    match incident.kind:
        case IncidentKind.SEVERAL_SESSIONS:
            number = counted(_sessions(story), "session")
            is_silence = is_of_silence(incident)
            return (
                f"🟡 *{number} say that they work, and are silent.*" if is_silence else f"🔴 *{number} fail together.*"
            )
        case IncidentKind.SERVER_AWAY:
            return f"🔴 *WAHA server `{foreign(incident.server or '')}` is away.*"
        case IncidentKind.KEY_REFUSED:
            return f"🔴 *WAHA server `{foreign(incident.server or '')}` refuses our key.*"
        case _:
            emoji, is_, _ = _IS[story.kind]
            return f"{emoji} *{_subject(story)} {is_}*"


def is_of_silence(incident: Incident) -> bool:
    """Whether its sessions are silent together, and do not fail."""
    return bool(incident.details.get("together") == "silent")


def lasted(span: timedelta) -> str:
    """`40 s`, `4 min`, `2 h 5 min`, `3 days 2 h`."""
    if span < timedelta(minutes=2):
        return f"{max(0, round(span.total_seconds()))} s"
    minutes = int(span.total_seconds()) // 60
    if span < timedelta(hours=2):
        return f"{minutes} min"
    if span < timedelta(days=2):
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{span.days} days {minutes // 60 % 24} h"


def _subject(story: Story) -> str:
    incident = story.incident
    if incident.kind is IncidentKind.SEVERAL_SESSIONS:
        return f"What {counted(_sessions(story), 'session')} had in common"
    if incident.session_id is None:
        return f"WAHA server `{foreign(incident.server or '')}`"
    name = foreign(story.members[0].name) if story.members else "of a name that is gone"
    return f"Session `{name}`"


def _was(story: Story) -> str:
    if story.incident.session_id is not None:
        return _IS[story.incident.kind][2].removesuffix(",")
    return {
        IncidentKind.SERVER_AWAY: "was away",
        IncidentKind.KEY_REFUSED: "refused our key",
        IncidentKind.SEVERAL_SESSIONS: "was silence" if is_of_silence(story.incident) else "failed together",
    }[story.incident.kind]


def _since(story: Story) -> str:
    cause = story.incident.cause or "not known."
    if story.incident.kind in _OF_SERVERS:
        cause = foreign(cause)
    return f"Since {local_time(story.incident.began_at)}. *Likely cause*: {cause}"


def _sessions(story: Story) -> int:
    return len({(one.tenant, one.name) for one in story.members})


def _names(story: Story) -> str:
    """Which sessions, where there may be several; the ones that do not work yet in front."""
    if story.incident.session_id is not None or not story.members:
        return ""
    by_name: dict[tuple[str, str], bool] = {}
    for one in story.members:
        by_name[one.tenant, one.name] = by_name.get((one.tenant, one.name), True) and one.is_over
    ordered = sorted(by_name, key=lambda name: (by_name[name], name))
    named = ", ".join(
        f"`{foreign(name)}`{f' of {foreign(tenant)}' if tenant else ''}" for tenant, name in ordered[:_NAMED]
    )
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    again = sum(by_name.values())
    rest = f" {again} of {len(ordered)} work again." if again else ""
    return f"*Sessions*: {named}{more}.{rest}"


def _steps(story: Story) -> str:
    if not story.steps:
        return ""
    earlier = len(story.steps) - _STEPS_SHOWN
    lines = [f"• {local_time(at)}: {what}" for at, what in story.steps[-_STEPS_SHOWN:]]
    return "\n".join(["*Done*:", *([f"• {counted(earlier, 'step')} before"] if earlier > 0 else []), *lines])


def _missed(story: Story) -> str:
    if story.blind_from is None or story.blind_to is None:
        return ""
    if not story.recovered and story.blind_to - story.blind_from < _WORTH_SAYING:
        return ""  # from a minute to the same minute
    window = (
        f"What customers wrote from {local_time(story.blind_from)} to {local_time(story.blind_to)} was not seen at once"
    )
    if not story.recovered:
        return f"{window}; nothing was missed."
    return f"{window}: {counted(story.recovered, 'message')} missed and recovered, none is known to be lost."


def _next(story: Story) -> str:
    return f"*Next*: {_next_step(story)}"


def _next_step(story: Story) -> str:
    incident = story.incident
    if incident.session_id is None:
        if incident.ended_at is not None:
            return _COMING_UP
        code = {IncidentKind.SERVER_AWAY: "server_down", IncidentKind.KEY_REFUSED: "key_refused"}.get(incident.kind)
        step = _NEXT_OF_MANY[code or str(incident.details.get("cause", "unknown"))]
        return step.format(server=foreign(incident.server or "NAME"))
    step = _NEXT[story.kind] if story.has_account else _NEVER_LINKED
    return step.format(name=foreign(story.members[0].name) if story.members else "NAME")


def _muted(story: Story) -> str:
    incident = story.incident
    if incident.muted_at is None:
        return ""
    muted_at: datetime = incident.muted_at
    until = local_time(muted_at + MUTED_FOR)
    return f"🔕 Muted by {incident.muted_by}: this message changes again when it is over, or after {until}."


def _over(story: Story) -> str:
    incident, ended_at = story.incident, story.ended_at or story.incident.began_at
    span = f"from {local_time(incident.began_at)} to {local_time(ended_at)}"
    after = lasted(ended_at - incident.began_at)
    gone = story.was_then if incident.session_id is not None else ""
    if why := _ENDED.get(str(incident.details.get("ended", gone))):
        return f"⚪ *{_subject(story)} {why}.* Nothing more is told of it: it {_was(story)} {span}."
    match incident.kind:
        case IncidentKind.SEVERAL_SESSIONS:
            number = counted(_sessions(story), "session")
            did = "were silent" if is_of_silence(incident) else "failed"
            return f"🟢 *Over after {after}: all of the {number} that {did} together work again.* It was {span}."
        case IncidentKind.SERVER_AWAY | IncidentKind.KEY_REFUSED:
            held = (
                f" {counted(_sessions(story), 'session')} on it failed meanwhile, and work again."
                if story.members
                else ""
            )
            back = f"🟢 *{_subject(story)} is back, after {after}.*"
            return f"{back} What was queued is sent.{held} It {_was(story)} {span}."
        case IncidentKind.NUMBER:
            return f"🟢 *{_subject(story)} sends as usual again, after {after}.*"
        case _:
            it_was = _IS[incident.kind][2]
            if story.was_then != "working":
                return f"⚪ *{_subject(story)}: over after {after}.* It {it_was} {span}, and was {story.was_then} then."
            again = f"🟢 *{_subject(story)} works again, after {after}.*"
            return f"{again} What was queued is sent. It {it_was} {span}."
