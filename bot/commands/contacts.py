from __future__ import annotations

from bot.commands.command import Command, Turn
from models import Contact
from operations import audit, customer_export, customers, erasing, made_files
from operations.customers import Known
from operations.erasing import Extent
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.sql import database_now
from operations.wording import counted
from slack.mrkdwn import foreign

_CUSTOMER = "CUSTOMER"


def export(turn: Turn) -> Answer:
    tenant_id, asked = turn.standing.tenant_id, turn.asked
    known = _known(turn)
    reached = erasing.extent(tenant_id, known)
    made_files.send(
        asked.person,
        f"You asked for all that is kept about a customer: {_said(reached)}.",
        customer_export.promised(known),
        filename=f"customer-{database_now():%Y-%m-%d}.json",
        alt_text=f"All that is kept about a customer: {_said(reached)}",
        tenant_id=tenant_id,
        post_id=asked.new_id("file"),
    )
    subject = Contact(id=known.contacts[0]) if known.contacts else Contact
    audit.record(turn.actor, "contact.export", subject, tenant_id=tenant_id, after={"messages": reached.messages})
    return Answer(
        f"I send you all that is kept here about `{foreign(asked.word(0))}` by direct message: {_said(reached)}. "
        "What WhatsApp and the customer's own phone keep is not in it."
    )


def question(turn: Turn) -> str:
    reached = erasing.extent(turn.standing.tenant_id, _known(turn))
    unsent = f"\n• *{counted(reached.unsent, 'message')}* that wait to be sent are *not sent*" if reached.unsent else ""
    return (
        f"*Erase `{foreign(turn.asked.word(0))}`? This cannot be undone.*\n"
        f"What goes, in *{foreign(turn.standing.tenant_name)}* alone:\n"
        f"• {_said(reached)}, with texts, names, numbers and reactions, and what the customer wrote in groups\n"
        "• what arrived from WhatsApp and Slack about them and was kept as it came\n"
        f"• what I posted about them in {counted(reached.threads, 'Slack thread')}, "
        f"about 50 posts a minute{unsent}\n"
        "What remains, and why:\n"
        "• in the audit that a customer was erased, when and by whom, without name or number: it has to be provable\n"
        "• a fingerprint that keeps older messages out when they are told again; nobody can read a number in it\n"
        "• replies of your team, since Slack lets a bot delete nothing that people wrote: I send you a link\n"
        "• files of earlier exports that were sent to you and your colleagues by direct message\n"
        "• the chat on the customer's phone and on the account's, and what WAHA keeps of it: delete it there\n"
        "• backups of the database and the record of this command, until they are deleted in their turn\n"
        "If they write again, they begin anew."
    )


def erase(turn: Turn) -> Answer:
    reached = erasing.erase(
        turn.standing.tenant_id,
        _known(turn),
        asker=turn.asked.person,
        actor=turn.actor,
        new_id=turn.asked.new_id("erasure"),
    )
    slack = (
        f" What I posted in {counted(reached.threads, 'Slack thread')} is being deleted; what remains there I tell you."
        if reached.threads
        else ""
    )
    return Answer(f"Erased: {_said(reached)}.{slack} Now delete the chat on the phone of the account as well.")


def _known(turn: Turn) -> Known:
    return customers.find(turn.standing.tenant_id, turn.asked.word(0))


def _said(reached: Extent) -> str:
    parts = ((reached.contacts, "contact"), (reached.conversations, "conversation"), (reached.messages, "message"))
    return ", ".join(counted(number, noun) for number, noun in parts)


COMMANDS = (
    Command(
        noun="contact",
        verb="export",
        needs=(_CUSTOMER,),
        summary="all that is kept about a customer, as a file",
        example="contact export +4915123456789",
        permission=Permission.CONTACT_RIGHTS,
        run=export,
    ),
    Command(
        noun="contact",
        verb="erase",
        needs=(_CUSTOMER,),
        summary="delete all that is kept about a customer",
        example="contact erase +4915123456789",
        permission=Permission.CONTACT_RIGHTS,
        confirm=question,
        run=erase,
    ),
)
