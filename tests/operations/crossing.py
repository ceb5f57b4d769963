"""Every public function of the operations, and what it is given to reach the rows of another tenant."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import pkgutil
import random
import types
import typing
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import operations
from models import Model, UserRole, WahaSession, now_utc
from models.requests import CreateTenant, CreateUser, CreateWahaSession, UpdateTenant, UpdateUser
from operations.audit_pages import Cursor, Filters
from operations.routes import SlackChannel
from operations.standing import Membership, Person, Standing
from settings import NumberSettings
from tests.operations.builders import ANA, TEAM
from tests.operations.two_tenants import BEN, THEIR_CHANNEL, Ours, Theirs, fresh

# Modules that look at no row: words, formats, times, and what carries SQL for the others.
WITHOUT_ROWS = {
    *("doctor_waha", "findings", "number_verdict", "sending_pace"),
    *("__main__", "encryption", "envelopes", "errors", "keys", "outcomes", "passwords", "permissions", "sql", "store"),
    *("report_facts", "report_pictures", "report_steps", "report_text", "uptime"),
    *("rhythms", "silence_words", "schedule_times", "schedule_words", "wording"),
}
# Not tried, because; each takes neither a tenant nor a row that its caller already has.
NOT_TRIED: dict[str, str] = {
    name: why
    for why, names in {
        "handed out to the daemon, which sets the tenant of each row": (
            "actions.lease catching_up.request catching_up.lease_sessions catching_up.lease_channel outdated.give_up "
            "telling.due telling.look_after noticing.notice noticing.unsettled noticing.suspected grouping.group "
            "relaying.lease restrictions.tell_held sending.lease catching_up.complete_channel "
            "catching_up.request_session catching_up.away_until configuring.ask_repairs silence.lease "
            "silent_sending.look learning.learn_some retention.all_keeping retention.next_run "
            "missed_replies.store missed_replies.threads_of "
            "unacknowledged.lease reports.schedules number_health.to_measure number_health.record_told"
        ),
        "about a server, which is nobody's": (
            "noticing.notice_servers telling_operators.look_after_installation telling.of_operators outages.begin "
            "outages.end outages.to_tell outages.told outages.sentence outages.last_posted outages.do_posts_wait "
            "observing.sessions_of "
            "observing.lease_server observing.release_server "
            "number_health.told_before observing.record_server "
            "observing.record_poll observing.restless controlling.claim controlling.settle "
            "controlling.elsewhere controlling.run_by_another servers.webhook_key servers.views sessions.engine_of "
            "servers.hosts servers.place servers.sessions_on servers.drain servers.undrain"
        ),
        "about the installation as a whole, for its operators and the metrics": (
            "doctor.postgres doctor.connections doctor.transactions doctor.clock doctor.clock_of "
            "doctor.now_of_database doctor.keys doctor.who_runs doctor.queues doctor.looked_after "
            "doctor.linked_channels doctor.known_server doctor.kept_webhook_key doctor.who_and_how_much doctor.spoken "
            "doctor_slack.scopes doctor_slack.arrivals doctor_slack.channel doctor_slack.refused_channel "
            "doctor_runs.ask doctor_runs.progress doctor_runs.take doctor_runs.finish processes.beat "
            "processes.running processes.end measuring.measure measuring.answer arrivals.note"
        ),
        "an inbox, whose rows say whose they are when they are handled": (
            "slack_inbox.store slack_inbox.arrive_in_turn slack_inbox.answer slack_inbox.refuse slack_inbox.take_over "
            "slack_inbox.kept slack_inbox.settle slack_inbox.answered slack_inbox.unanswered slack_inbox.due_lanes "
            "slack_inbox.process_head webhook_inbox.store webhook_inbox.due_lanes webhook_inbox.process_head "
            "webhook_inbox.process inbound.waits_for replies.handle replies.say_lost slack_people.handle "
            "app_removed.handle inbound.handle inbound.empty home_views.handle"
        ),
        "of one person's home, for whom it finds the tenants; tried by itself, for each of the two": (
            "home_facts.of home.blocks home_views.claim home_views.refresh home_views.look_again"
        ),
        "finds the tenant, before there is one; the person is asked for in it afterwards": (
            "deciding.tenant_of standing.memberships standing.routes_of standing.stand clicked.stand_before "
            "page_links.find muting.stand_before_incident invitations.open_for "
            "logins.own_membership tenants.choose tenants.unchoose "
            "tenants.chosen_by standing.require_somewhere"
        ),
        "of a message whose id the button or command found in its own tenant; tried through them": (
            "buttons.with_buttons buttons.button_for deciding.decide deciding.edit deciding.cancel deciding.take_back "
            "deciding.reword conversations.living edits.message_of restrictions.is_to_new_contact message_ids.short"
        ),
        "an operator's, who is asked for before": (
            "standing.all_tenants tenants.deleted tenants.named tenants.deleted_named tenants.refuse_taken_name "
            "workspaces.active moving.bind workspaces.connect workspaces.disconnect workspaces.home_of_new_tenant "
            "workspaces.list_all workspaces.lost workspaces.named workspaces.show workspaces.team_ids "
            "workspaces.tell_of_losses "
            "rotating_keys.alone rotating_keys.rotate rotating_keys.counts rotating_keys.with_another_first"
        ),
        "only the name of a queue, a channel or an id": (
            "posting.channel_lane posting.conversation_lane posting.person_lane posting.receipts_lane "
            "posting.home_lane posting.failures_lane posting.updates_lane posting.next_place posting.waiting_in "
            "routes.claim_of sessions.new_external_session_id slack_events.incoming slack_events.team_of "
            "slack_events.event_id_of telling_posts.in_channel telling_posts.to_person page_links.address_of "
            "page_links.fingerprint erasing.slot_of"
        ),
        "looks at what it is given and at no row": (
            "causes.likely causes.likely_of_silence telling_words.lasted audit.coming_from audit_export.promised "
            "audit_export.as_csv audit_export.as_json_lines cleaning.clean_up "
            "conversations.number_of conversations.masked dividers.brought_by editions.reply_of editions.completed "
            "editions.edition_of editions.about_of editions.handled colleagues.shown relayed.edited relayed.revoked "
            "restrictions.time_in searching.excerpt sending.pause_after sending.hold_for slack_people.outside_of "
            "slack_people.known slack_people.remember standing.kept_out deactivation.describe private_fields.opened "
            "session_config.opened_config session_config.sealed_config audit_export.content incidents.stands_alone "
            "private_fields.stored customer_export.promised slack_people.not_asked_for "
            "unreadable.say unreadable.forget report_schedules.zone_of report_schedules.name_of "
            "report_schedules.hours_of silence.sessions_within_promise "
            "hearing.canary_text hearing.is_canary passkeys.is_asked_for passkeys.sentence"
        ),
    }.items()
    for name in names.split()
}

Operation = Callable[..., Any]


def operations_by_name() -> dict[str, Operation]:
    """Every public function, under the module that defines it."""
    found: dict[str, Operation] = {}
    for module_info in pkgutil.iter_modules(operations.__path__):
        if module_info.name in WITHOUT_ROWS:
            continue
        module = importlib.import_module(f"operations.{module_info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                found[f"{module_info.name}.{name}"] = function
    return found


@functools.cache
def _every_name() -> dict[str, Any]:
    """What annotations may mention; some modules import it for type checkers only."""
    found: dict[str, Any] = {"datetime": datetime, "timedelta": timedelta, "UUID": UUID}
    for module_info in pkgutil.iter_modules(operations.__path__):
        found |= vars(importlib.import_module(f"operations.{module_info.name}"))
    return found


def hints(operation: Operation) -> dict[str, Any]:
    scope = _every_name() | vars(inspect.getmodule(operation))
    given = typing.get_type_hints(operation, scope)
    return {name: hint for name, hint in given.items() if name != "return"}


def takes_a_tenant(operation: Operation) -> bool:
    """Whether it is told for whom it works."""
    given = hints(operation)
    is_named = (
        given.get("tenant_id") in (UUID, UUID | None) or Standing in given.values() or Membership in given.values()
    )
    return is_named or any(_is_request_of_a_tenant(hint) for hint in given.values())


def takes_a_row(operation: Operation) -> bool:
    """Whether its caller has the row already, which says itself whose it is."""
    return any(_is_row(part) for hint in hints(operation).values() for part in _parts(hint))


def _is_request_of_a_tenant(hint: Any) -> bool:
    return hint in {Filters, CreateUser, CreateWahaSession}


def _is_row(hint: Any) -> bool:
    if not isinstance(hint, type):
        return False
    if issubclass(hint, Model):
        return True
    if not dataclasses.is_dataclass(hint):
        return False
    names = {field.name for field in dataclasses.fields(hint)}
    held = [field.type for field in dataclasses.fields(hint)]
    return "tenant_id" in names or any(isinstance(one, str) and one in _MODELS for one in held)


_MODELS = {model.__name__ for model in Model.__subclasses__()} | {
    "Message",
    "Invitation",
    "WahaSession",
    "Conversation",
}


def _parts(hint: Any) -> Iterator[Any]:
    """A type, and the types inside it."""
    yield hint
    for inner in typing.get_args(hint):
        yield from _parts(inner)


class Unknown(LookupError):
    """Nothing is known that could be given for this parameter."""


def candidates(name: str, hint: Any, ours: Ours, theirs: Theirs) -> list[Any]:
    """What is tried for a parameter: our tenant, and of everything else what is theirs."""
    if name == "tenant_id":
        return [ours.tenant.id]
    inner = typing.get_args(hint)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        found = [one for part in inner if part is not type(None) for one in candidates(name, part, ours, theirs)]
        return found + ([None] if type(None) in inner else [])
    origin = typing.get_origin(hint) or hint
    if origin is typing.Literal:
        return list(inner)
    if origin is type:
        return [WahaSession]
    if origin in (dict, Mapping):
        return [{"text": "hello"}]
    if inner and hasattr(origin, "__iter__"):
        return [(), *((one,) for one in candidates(name, inner[0], ours, theirs))]
    return _of_type(name, hint, ours, theirs)


def _of_type(name: str, hint: Any, ours: Ours, theirs: Theirs) -> list[Any]:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)
    made: dict[Any, Callable[[], list[Any]]] = {
        UUID: lambda: [fresh(name), *(one for found in theirs.ids.values() for one in found)],
        str: lambda: list(theirs.names),
        int: lambda: [20],
        bool: lambda: [True, False],
        float: lambda: [1.0],
        datetime: lambda: [now_utc()],
        timedelta: lambda: [timedelta(0), timedelta(hours=1)],
        Person: lambda: [BEN, ANA],
        Standing: lambda: [ours.standing],
        Membership: lambda: [_membership(ours)],
        WahaSession: lambda: [theirs.session],
        SlackChannel: lambda: [SlackChannel(TEAM, THEIR_CHANNEL, "their-channel")],
        Filters: lambda: _filters(ours, theirs),
        CreateUser: lambda: _new_users(ours),
        UpdateUser: lambda: [UpdateUser(email="bertram@beta.example"), UpdateUser(first_name="Anna")],
        CreateWahaSession: lambda: [CreateWahaSession(tenant_id=ours.tenant.id, name="bellatrix", server="main")],
        CreateTenant: lambda: [CreateTenant(name="Betelgeuse"), CreateTenant(name="Gamma")],
        UpdateTenant: lambda: [UpdateTenant(name="Betelgeuse"), UpdateTenant(description="x")],
        Cursor: lambda: [Cursor(older, now_utc(), theirs.ids["audit_entries"][0]) for older in (True, False)],
        NumberSettings: lambda: [NumberSettings()],
        random.Random: lambda: [random.Random(1)],  # noqa: S311 - no secret
        Any: lambda: ["hello"],
    }
    if hint in made:
        return made[hint]()
    if isinstance(hint, type) and issubclass(hint, Model):
        return [message for message in theirs.messages if isinstance(message, hint)] or _unknown(name, hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _made_of_theirs(hint, ours, theirs)
    return _unknown(name, hint)


def _made_of_theirs(kind: type, ours: Ours, theirs: Theirs) -> list[Any]:
    """Values of ours, each with other values of what is tried for every field."""
    fields = typing.get_type_hints(kind, _every_name()).items()
    pools = {
        name: candidates(name, hint, ours, theirs)
        for name, hint in fields
        if name in inspect.signature(kind).parameters
    }
    return [kind(**{name: pool[turn % len(pool)] for name, pool in pools.items()}) for turn in (-1, 0, 1)]


def _unknown(name: str, hint: Any) -> list[Any]:
    raise Unknown(f"{name}: {hint}")


def _membership(ours: Ours) -> Membership:
    standing = ours.standing
    if standing.user_id is None:
        raise Unknown("the administrator is a user")
    status, role = str(standing.tenant_status), UserRole.TENANT_ADMIN.value
    return Membership(standing.tenant_id, standing.tenant_name, status, standing.user_id, role, True, False, False, "")


def _filters(ours: Ours, theirs: Theirs) -> list[Filters]:
    ids = theirs.ids["users"]
    return [
        Filters(ours.tenant.id),
        Filters(ours.tenant.id, actor=BEN.key),
        Filters(ours.tenant.id, subject=str(ids[0])),
        Filters(ours.tenant.id, subjects=ids),
        Filters(ours.tenant.id, action="user.bewitched"),
    ]


def _new_users(ours: Ours) -> list[CreateUser]:
    mails = ("bertram@beta.example", "new@example.org")
    return [CreateUser(tenant_id=ours.tenant.id, email=mail, role=UserRole.AGENT) for mail in mails]


def call(operation: Operation, arguments: Mapping[str, Any]) -> Any:
    """Call by name, also what takes `*several`."""
    signature = inspect.signature(operation)
    several = {name for name, one in signature.parameters.items() if one.kind is one.VAR_POSITIONAL}
    given = {name: (value,) if name in several else value for name, value in arguments.items()}
    bound = inspect.BoundArguments(signature, OrderedDict(given))
    return operation(*bound.args, **bound.kwargs)


def attempts(operation: Operation, ours: Ours, theirs: Theirs) -> Iterator[dict[str, Any]]:
    """Each parameter through all that is tried for it, the others at their first; then all parameters at once."""
    known = hints(operation)
    pools = {name: candidates(name, hint, ours, theirs) for name, hint in known.items()}
    for name, pool in pools.items():
        for value in pool:
            yield {other: found[0] for other, found in pools.items()} | {name: value}
    longest = max(map(len, pools.values()), default=0)
    for turn in range(longest):
        yield {name: pool[turn % len(pool)] for name, pool in pools.items()}
