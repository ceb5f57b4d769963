"""The sandbox's command line: act as a person in Slack or on a phone, and see what they see."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox import printing
from sandbox.qr_image import qr_value
from sandbox.running import STATE_FILE, STATE_VARIABLE, RunningSandbox

if TYPE_CHECKING:
    from collections.abc import Callable

pass_sandbox = click.make_pass_decorator(Path)
as_json = click.option("--json", "raw", is_flag=True, help="Print JSON instead of text.")
at_server = click.option("--server", default="", help="The name of the WAHA server; the first one by default.")


def _is_command(text: str | None) -> bool:
    """`/wa help` is one; `// between us` is what colleagues write to each other."""
    return re.match(r"/(?!/)", text or "") is not None


def _number(_context: click.Context, _parameter: click.Parameter, typed: str) -> str:
    number = re.sub(r"[\s()./-]", "", typed)
    if not re.fullmatch(r"\+?[0-9]{6,15}", number):
        raise click.BadParameter(f"{typed!r} is no phone number; write one such as +4915123456789.")
    return number


of_phone = click.argument("number", callback=_number)


@click.group()
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    envvar=STATE_VARIABLE,
    default=STATE_FILE,
    show_default=True,
    help="The file in which the running sandbox says where it listens.",
)
@click.pass_context
def main(context: click.Context, state: Path) -> None:
    """Try Switchboard without Slack, WhatsApp or WAHA."""
    context.obj = state


@main.command()
@click.option("--user", required=True, help="Who acts: ana, ben, olga, …")
@click.option("--channel", default="support", show_default=True, help="Where; `@ana` is the app's direct messages.")
@click.option("--thread", help="Answer in the thread of this ts; LAST is the newest one.")
@click.option("--click", "button", help="Click the newest button with this label.")
@click.option("--submit", "entries", multiple=True, metavar="LABEL=VALUE", help="Fill in and submit the open form.")
@click.option("--close", "closes", is_flag=True, help="Close the open form.")
@click.argument("text", required=False)
@as_json
@pass_sandbox
def slack(
    state: Path,
    user: str,
    channel: str,
    thread: str | None,
    button: str | None,
    entries: tuple[str, ...],
    text: str | None,
    *,
    closes: bool,
    raw: bool,
) -> None:
    """Write TEXT in Slack, or run it if it begins with one slash; or click a button, submit a form, or close it."""
    if sum(map(bool, (text, button, entries, closes))) != 1:
        raise click.UsageError("Give one of: a text, --click, --submit, --close.")
    if _is_command(text) and thread:
        raise click.UsageError("Slack has no slash commands in threads. Leave --thread out, or write a plain reply.")
    sandbox = RunningSandbox.find(state)
    who = {"user": user, "channel": channel}
    if button:
        _print(sandbox.slack("POST", "click", {**who, "button": button}), printing.answer, raw=raw)
    elif closes:
        _print(sandbox.slack("POST", "close", who), lambda _answer: "The form is closed.", raw=raw)
    elif entries:
        form = dict(_entry(entry) for entry in entries)
        _print(sandbox.slack("POST", "submit", {**who, "entries": form}), printing.answer, raw=raw)
    elif _is_command(text):
        _print(sandbox.slack("POST", "command", {**who, "text": text}), printing.answer, raw=raw)
    else:
        said = sandbox.slack("POST", "say", {**who, "text": text, "thread_ts": thread})
        _print(said, printing.message, raw=raw)


@main.command()
@of_phone
@click.argument("text", required=False)
@click.option("--to", help="The number to write to; the one that is paired, if there is only one.")
@click.option("--scan", help="Pair this phone: a picture of a QR code, or what the code says.")
@as_json
@at_server
@pass_sandbox
def phone(
    state: Path, number: str, text: str | None, to: str | None, scan: str | None, server: str, *, raw: bool
) -> None:
    """Write TEXT from the phone with this NUMBER, or let it scan a QR code."""
    if bool(text) == bool(scan):
        raise click.UsageError("Give either a text or --scan.")
    sandbox = RunningSandbox.find(state)
    if scan:
        paired = sandbox.waha(server, "POST", f"phones/{number}/scan", {"qr": qr_value(scan)})
        _print(paired, lambda _answer: f"{number} is paired.", raw=raw)
    else:
        body = {"text": text, **({"to": to} if to else {})}
        written = sandbox.waha(server, "POST", f"phones/{number}/write", body)
        _print(written, lambda sent: f"{number} wrote to {sent.get('to', to)}.", raw=raw)


@main.group()
def show() -> None:
    """What people see."""


@show.command(name="channel")
@click.argument("name")
@click.option("--user", help="Only the ephemeral messages that this person sees; everybody's by default.")
@as_json
@pass_sandbox
def show_channel(state: Path, name: str, user: str | None, *, raw: bool) -> None:
    """A Slack channel with its threads."""
    path = f"channels/{name.removeprefix('#')}{f'?user={user}' if user else ''}"
    _print(RunningSandbox.find(state).slack("GET", path), printing.channel, raw=raw)


@show.command(name="dm")
@click.argument("user")
@as_json
@pass_sandbox
def show_direct(state: Path, user: str, *, raw: bool) -> None:
    """What the app and a person wrote to each other."""
    _print(RunningSandbox.find(state).slack("GET", f"dms/{user}"), printing.channel, raw=raw)


@show.command(name="home")
@click.argument("user")
@as_json
@pass_sandbox
def show_home(state: Path, user: str, *, raw: bool) -> None:
    """The app's Home tab as a person sees it."""
    _print(RunningSandbox.find(state).slack("GET", f"homes/{user}"), printing.home, raw=raw)


@show.command(name="phone")
@of_phone
@as_json
@at_server
@pass_sandbox
def show_phone(state: Path, number: str, server: str, *, raw: bool) -> None:
    """The chats on a phone."""
    _print(RunningSandbox.find(state).waha(server, "GET", f"phones/{number}"), printing.phone, raw=raw)


def _entry(entry: str) -> tuple[str, str]:
    label, equals, value = entry.partition("=")
    if not equals:
        raise click.UsageError(f"--submit takes LABEL=VALUE, not {entry!r}.")
    return label, value


def _print(answer: Any, render: Callable[[Any], str], *, raw: bool) -> None:
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False) if raw else render(answer))
