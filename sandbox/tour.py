"""The story of the product, played with real processes; every step counts only if it is seen at the far end.

What Slack shows to people and what stands on phones is asked of the simulators; our own database is asked nothing.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from pathlib import Path

import click

from sandbox.qr_image import qr_value
from sandbox.slack import Message
from sandbox.stage import OPERATOR, Stage
from sandbox.tour_scene import CUSTOMER, SHOP, Scene, Step, TourFailed
from sandbox.tour_watching import WATCHING
from sandbox.waha import EngineName
from sandbox.whatsapp import PhoneError

# One after the other a message shows these; any of the last three says that it arrived.
QUEUED, DELIVERED, READ = "hourglass_flowing_sand", "white_check_mark", "eyes"


async def tenant_created(scene: Scene) -> None:
    await scene.ask(OPERATOR, "/wa tenant create Acme", expect="Acme")
    await scene.ask(OPERATOR, "/wa tenant list", expect="Acme")


async def user_added(scene: Scene) -> None:
    await scene.ask(OPERATOR, "/wa user add @ana TENANT_ADMIN --tenant Acme", expect="TENANT_ADMIN")
    await scene.ask("ana", "/wa session list", expect="session add")


async def channels_linked(scene: Scene) -> None:
    await scene.ask("ana", "/wa channel link", expect="conversations")
    await scene.ask("ana", "/wa channel link --for alerts", channel="alerts", expect="alerts")
    await scene.ask("ana", "/wa channel link --for reports", channel="reports", expect="reports")


async def session_added(scene: Scene) -> None:
    await scene.ask("ana", "/wa session add sales", expect="sales")
    await scene.stage.until(scene.stage.waha.sessions.all, "the session on WAHA")


async def code_scanned(scene: Scene) -> None:
    await scene.ask("ana", "/wa session qr sales", expect="direct message")
    [(ts, first)] = await scene.stage.until(scene.codes, "the QR code in ana's direct messages")
    await scene.stage.until(lambda: [code for code in scene.codes() if code != (ts, first)], "the code that follows it")
    if [place for place, _ in scene.codes()] != [ts]:
        raise TourFailed("The second code stands in a message of its own.")
    await _scan(scene)
    if [one for one in scene.stage.slack.messages("support") if one.files]:
        raise TourFailed("The QR code stands in a channel.")


async def _scan(scene: Scene) -> None:
    """The newest code; one that is replaced while it is looked at is no code any more."""
    while scene.codes():
        with tempfile.NamedTemporaryFile(suffix=".png") as picture:
            picture.write(scene.codes()[-1][1])
            picture.flush()
            value = qr_value(picture.name)
        try:
            await scene.shop.scan(value)
        except PhoneError:
            await asyncio.sleep(0.1)
        else:
            return
    raise TourFailed("The QR code went away before it was scanned.")


async def session_works(scene: Scene) -> None:
    await scene.stage.until(
        lambda: [one for one in scene.stage.slack.direct_messages("ana") if f"is paired as {SHOP}" in one.text],
        "the word to ana that the session is paired",
        40,
    )
    await scene.stage.until(lambda: not scene.codes(), "the code to be taken away")
    await scene.ask("ana", "/wa session show sales", expect="working")


async def customer_writes(scene: Scene) -> None:
    await scene.customer.write("Hello, where is my order?", to=SHOP)
    root = await scene.stage.until(lambda: _root_of(scene, "Hello, where is my order?"), "the thread in #support")
    scene.thread = root.ts


async def agent_replies(scene: Scene) -> None:
    await scene.reply("// a difficult one, who takes it?")
    await scene.reply("It leaves today.")
    await scene.arrives_once("It leaves today.")
    leaked = [one.text for one in scene.customer.chat_with(scene.shop) if "difficult" in one.text]
    if leaked:
        raise TourFailed(f"Internal talk reached the customer: {leaked}.")


async def receipt_shown(scene: Scene) -> None:
    await scene.shows(scene.replies[-1], DELIVERED)
    await scene.customer.read()
    await scene.shows(scene.replies[-1], READ)


async def waha_away(scene: Scene) -> None:
    await scene.stage.waha.go_down()
    waiting = await scene.reply("Your parcel has the number 4711.")
    await scene.shows(waiting, QUEUED)
    if scene.on_phone("Your parcel has the number 4711."):
        raise TourFailed("A message arrived while WAHA was away.")
    await scene.stage.waha.come_back()
    await scene.arrives_once("Your parcel has the number 4711.", seconds=60)
    await scene.shows(waiting, DELIVERED)


async def daemon_killed(scene: Scene) -> None:
    hold = scene.stage.waha.hold_answers("/api/sendText")
    interrupted = await scene.reply("It arrives tomorrow.")
    await scene.stage.until(lambda: scene.on_phone("It arrives tomorrow."), "the message on its way")
    await scene.stage.daemon.kill()
    hold.release()
    await scene.stage.daemon.start()
    await scene.stage.until_ready()
    await scene.shows(interrupted, DELIVERED, seconds=60)
    await scene.reply("Anything else?")
    await scene.arrives_once("Anything else?", seconds=60)
    await scene.arrives_once("It arrives tomorrow.")


async def ended_cleanly(scene: Scene) -> None:
    for process in (scene.stage.bot, scene.stage.daemon):
        code = await process.stop()
        if code:
            raise TourFailed(f"{process.room} ended with {code} on SIGTERM.\n{process.last_words()}")


STORY: tuple[Step, ...] = (
    ("the operator creates tenant Acme", tenant_created),
    ("Ana becomes its administrator", user_added),
    ("#support, #alerts and #reports are linked", channels_linked),
    ("session sales is added, and appears on WAHA", session_added),
    ("the QR code comes by direct message, is replaced there by the next one, and scanned", code_scanned),
    ("the session works: the message says whose it is, and the code is gone", session_works),
    ("a customer writes, a thread appears", customer_writes),
    ("Ana replies, the phone has it; what begins with // stays inside", agent_replies),
    ("the reply shows delivered, then read", receipt_shown),
    ("WAHA is away: a reply is queued, then delivered once", waha_away),
    ("the daemon is killed in the middle of a send: delivered once", daemon_killed),
    *WATCHING,
)
ENDING: tuple[Step, ...] = (("both processes end cleanly on SIGTERM", ended_cleanly),)


async def play(stage: Stage, story: tuple[Step, ...], *, began: float) -> None:
    """Play the steps in order, a line for each.

    Raises:
        TourFailed: a step was not seen at the far end.
        ProcessFailed: a process ended, or something did not happen in time.
    """
    whatsapp = stage.whatsapp
    scene = Scene(stage, whatsapp.phone(SHOP, name="Acme"), whatsapp.phone(CUSTOMER, name="Carla"))
    for number, (title, step) in enumerate(story, 1):
        started = time.monotonic()
        await step(scene)
        click.echo(f"  ✓ {number:2} {title} ({time.monotonic() - started:.1f} s)")
    click.echo(f"  {len(story)} steps in {time.monotonic() - began:.1f} s, each seen in Slack or on a phone.")


def _root_of(scene: Scene, text: str) -> Message | None:
    slack = scene.stage.slack
    for root in slack.roots("support"):
        if any(text in reply.text for reply in slack.thread("support", root.ts)):
            return root
    return None


async def run(directory: Path, *, engine: EngineName, database_url: str) -> None:
    """The whole tour from an empty database, with its end."""
    began = time.monotonic()
    click.echo("Starting PostgreSQL, the simulated Slack and WAHA, the bot and the daemon …")
    async with Stage(directory, engine=engine, database_url=database_url) as stage:
        await stage.start()
        click.echo(f"  started in {time.monotonic() - began:.1f} s")
        await play(stage, STORY + ENDING, began=began)


async def stay(directory: Path, *, engine: EngineName) -> None:
    """The tour, then everything stays up until Ctrl-C."""
    began = time.monotonic()
    click.echo("Starting PostgreSQL, the simulated Slack and WAHA, the bot and the daemon …")
    async with Stage(directory, engine=engine) as stage:
        await stage.start()
        click.echo(f"  started in {time.monotonic() - began:.1f} s; now the tour:")
        await play(stage, STORY, began=began)
        click.echo(_signpost(stage))
        await _until_interrupted()
        click.echo("Stopping …")
    click.echo("Everything is stopped.")


def _signpost(stage: Stage) -> str:
    return f"""
Everything stays up until Ctrl-C. In another terminal:

  .venv/bin/python -m sandbox phone {CUSTOMER} "Thank you!"        a customer writes
  .venv/bin/python -m sandbox show channel support               what the team sees
  .venv/bin/python -m sandbox slack --user ana --thread LAST "You are welcome"
  .venv/bin/python -m sandbox slack --user ana --thread LAST "// nice people"     stays inside the team
  .venv/bin/python -m sandbox show phone {CUSTOMER}          what the customer sees
  .venv/bin/python -m sandbox slack --user ana "/wa help"

  APIs   Slack's {stage.slack.api_url}   WAHA's {stage.waha.url}   (for programs; a browser shows nothing there)
  State  of the daemon http://127.0.0.1:{stage.daemon_port}/readyz
  Logs   {stage.bot.log}  {stage.daemon.log}"""


async def _until_interrupted() -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
