from __future__ import annotations

import difflib
from dataclasses import replace
from uuid import UUID

from bot.commands.audit_lines import WORDS, line
from bot.commands.command import Command, Option, Turn
from bot.commands.moments import SINCE, UNTIL, moment
from models import AuditEntry
from operations import audit, audit_export, audit_pages, made_files
from operations.audit_export import Format
from operations.audit_pages import Cursor, Filters
from operations.errors import NotFound
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.sql import database_now
from slack.blocks import actions, sections
from slack.command_text import UserMention
from slack.mrkdwn import escape

_BY = Option("by", "@person", "@ana")
_ACTION = Option("action", "ACTION", "user.role")
_ON = Option("on", "NAME|ID", "sales-berlin")
_SINCE = replace(SINCE, value="DAY|AGO", such_as="2026-11-01")
_UNTIL = replace(UNTIL, value="DAY|AGO", such_as="7d")
_FILTERS = (_BY, _ACTION, _ON, _SINCE, _UNTIL)


def list_(turn: Turn) -> Answer:
    return _page(turn, _filters(turn, turn.standing.tenant_id), f"Audit of *{escape(turn.standing.tenant_name)}*")


def installation(turn: Turn) -> Answer:
    return _page(turn, _filters(turn, None), "Audit of the installation, without its tenants")


def _page(turn: Turn, filters: Filters, title: str) -> Answer:
    cursor = Cursor.read(turn.asked.cursor)
    page = audit_pages.page(filters, cursor)
    is_turned = cursor is not None
    if not page.entries:
        return Answer(f"{title}: there are no such entries{' any more' if is_turned else ''}.", replaces=is_turned)
    text = "\n".join([f"{title}, newest first", *(line(entry) for entry in page.entries)])
    ends = (("Newer", page.newer), ("Older", page.older))
    buttons = [turn.page_button(label, str(place)) for label, place in ends if place is not None]
    return Answer(text, [*sections(text), *([actions(*buttons)] if buttons else [])], replaces=is_turned)


def export(turn: Turn) -> Answer:
    tenant_id, asked = turn.standing.tenant_id, turn.asked
    form = _format(turn)
    filters = _filters(turn, tenant_id)
    # From here on it is the same file whenever it is made.
    filters = replace(filters, until=min(filters.until or database_now(), database_now()))
    found = audit_pages.count(filters, most=audit_export.MOST + 1)
    if not found:
        raise NotFound("There are no such entries, so no file was made.")
    shown = _entries(found)
    of = f"the audit of *{escape(turn.standing.tenant_name)}*"
    made_files.send(
        asked.person,
        f"You asked for {of}: {shown}, newest first.",
        audit_export.promised(filters, form),
        filename=f"audit-{database_now():%Y-%m-%d}.{form.value}",
        alt_text=f"{shown} of the audit as {form.value}",
        tenant_id=tenant_id,
        post_id=asked.new_id("file"),
    )
    audit.record(
        turn.actor,
        "audit.export",
        AuditEntry,
        tenant_id=tenant_id,
        after={"format": form.value, "entries": min(found, audit_export.MOST), **_named(turn)},
    )
    rest = (
        f" There are more than {audit_export.MOST:,}: take the older ones with `--until`."
        if found > audit_export.MOST
        else ""
    )
    return Answer(f"I send you {of} by direct message: {shown}.{rest}")


def _entries(found: int) -> str:
    if found > audit_export.MOST:
        return f"the newest {audit_export.MOST:,} entries"
    return "1 entry" if found == 1 else f"{found:,} entries"


def _named(turn: Turn) -> dict[str, str]:
    """The filters as they were typed."""
    return {option.name: typed for option in _FILTERS if (typed := turn.asked.option(option.name)) is not None}


def _format(turn: Turn) -> Format:
    typed = turn.asked.option("format") or Format.CSV
    try:
        return Format(typed.lower())
    except ValueError:
        raise turn.command.misused(f"`{escape(typed)}` is no format. There are {', '.join(Format)}.") from None


def _filters(turn: Turn, tenant_id: UUID | None) -> Filters:
    since, until = moment(turn, _SINCE.name), moment(turn, _UNTIL.name, is_end=True)
    if since is not None and until is not None and since >= until:
        raise turn.command.misused("Nothing lies between these: `--since` must be before `--until`.")
    return _on(turn, Filters(tenant_id, actor=_actor(turn), action=_action(turn), since=since, until=until))


def _action(turn: Turn) -> str:
    """How the actions begin that are wanted, which some action of ours must."""
    typed = (turn.asked.option(_ACTION.name) or "").strip().lower()
    if any(action.startswith(typed) for action in WORDS):
        return typed
    kinds = dict.fromkeys(action.partition(".")[0] for action in WORDS)
    near = difflib.get_close_matches(typed, [*WORDS, *kinds], n=1)
    meant = f" Did you mean `{near[0]}`?" if near else ""
    raise turn.command.misused(
        f"No action begins with `{escape(typed)}`.{meant} Each entry shows its own in backticks; they begin with "
        f"{', '.join(kinds)}."
    )


def _actor(turn: Turn) -> str:
    typed = turn.asked.options.get(_BY.name)
    if typed is None:
        return ""
    if isinstance(typed, UserMention):
        return f"{turn.asked.person.team_id}/{typed.user_id}"
    if typed.text.startswith("system"):
        return typed.text
    raise turn.command.misused(
        f"`{escape(typed.text)}` names nobody. Type `@` and choose the person from the list that Slack offers."
    )


def _on(turn: Turn, filters: Filters) -> Filters:
    typed = turn.asked.options.get(_ON.name)
    if isinstance(typed, UserMention) and filters.tenant_id is not None:
        return replace(filters, subjects=audit_pages.subjects_of(filters.tenant_id, typed.user_id))
    return replace(filters, subject=typed.text if typed is not None else "")


COMMANDS = (
    Command(
        noun="audit",
        verb="",
        options=_FILTERS,
        summary="who did what, newest first",
        example="audit --action user.role --since 7d",
        permission=Permission.AUDIT_SHOW,
        pages=True,
        run=list_,
    ),
    Command(
        noun="audit",
        verb="export",
        options=(Option("format", "|".join(Format), "csv"), *_FILTERS),
        summary="the same as a file, by direct message",
        example="audit export --format csv --since 2026-11-01",
        permission=Permission.AUDIT_SHOW,
        run=export,
    ),
    Command(
        noun="audit",
        verb="installation",
        options=_FILTERS,
        summary="who did what to the installation itself",
        example="audit installation --since 7d",
        permission=Permission.AUDIT_INSTALLATION,
        pages=True,
        run=installation,
    ),
)
