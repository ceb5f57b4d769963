"""The part of the tour in which something goes wrong: who is told, where, and what they can do about it there."""

from __future__ import annotations

from sandbox.slack import Message, readable
from sandbox.slack.views import View
from sandbox.stage import OPERATOR
from sandbox.tour_scene import Scene, Step, TourFailed

PICTURES = 2


async def home_opened(scene: Scene) -> None:
    home = await _home(scene, "sales` works")
    for words in ("*1 session*, 1 works", "Add session", "Send a message"):
        if words not in _read(scene, home):
            raise TourFailed(f"Ana's home reads {_read(scene, home)!r}, without {words!r}.")


async def session_fails(scene: Scene) -> None:
    waha = scene.stage.waha
    [session] = waha.sessions.all()
    waha.starts.fail(session=session.name)
    waha.fail(session.name)
    [failed] = await scene.stage.until(lambda: _told(scene, "failed."), "the incident in #alerts", 60)
    if "Likely cause" not in failed.text or "Next" not in failed.text:
        raise TourFailed(f"#alerts reads {failed.text!r}, without a cause or a next step.")
    await _home(scene, "`sales` failed")


async def restarted_from_home(scene: Scene) -> None:
    home = await _home(scene, "Restart")
    scene.stage.waha.starts.heal()
    await scene.stage.slack.click("ana", home, "Restart")
    [over] = await scene.stage.until(lambda: _told(scene, "works again, after"), "the end of the incident", 60)
    messages = scene.stage.slack.messages("alerts")
    if len(messages) != 1 or over.ts != messages[0].ts:
        raise TourFailed(f"#alerts holds {len(messages)} messages of one incident.")


async def report_posted(scene: Scene) -> None:
    await scene.ask("ana", "/wa report now", expect="report")
    reports = await scene.stage.until(
        lambda: [one for one in scene.stage.slack.roots("reports") if "Health report" in one.text],
        "the report in #reports",
    )
    if "sales" not in reports[-1].text or len(reports) != 1:
        raise TourFailed(f"The report reads {reports[-1].text!r}, {len(reports)} times.")
    pictures = await scene.stage.until(lambda: _pictures(scene, reports[-1]), "the pictures below the report", 60)
    if not all(pictures):
        raise TourFailed("A picture of the report has no words for those who do not see it.")


async def doctor_asked(scene: Scene) -> None:
    answer = await scene.ask(OPERATOR, "/wa doctor", expect="Doctor:", seconds=30)
    for looked_at in ("slack.", "waha.", "database."):
        if looked_at not in answer.text:
            raise TourFailed(f"The doctor says nothing of {looked_at}: {answer.text!r}")


WATCHING: tuple[Step, ...] = (
    ("Ana's home shows her session", home_opened),
    ("the session fails: one message in #alerts with cause and next step, and it stands at Ana's home", session_fails),
    ("she restarts it from her home, and the message says how long it took", restarted_from_home),
    ("a health report is posted, with pictures that have words too", report_posted),
    ("the doctor looks at everything and says what is so", doctor_asked),
)


async def _home(scene: Scene, words: str) -> View:
    """Ana's home, opened again, once it says this."""
    slack = scene.stage.slack
    slack.open_home("ana")

    def shown() -> View | None:
        home = slack.home("ana")
        return home if home is not None and words in _read(scene, home) else None

    return await scene.stage.until(shown, f"{words!r} at ana's home", 45)


def _read(scene: Scene, view: View) -> str:
    return readable.blocks(view.blocks, scene.stage.slack.state.workspace)


def _told(scene: Scene, words: str) -> list[Message]:
    return [one for one in scene.stage.slack.roots("alerts") if words in one.text]


def _pictures(scene: Scene, report: Message) -> list[str]:
    """What the pictures in the report's thread say to those who do not see them, once they are all there."""
    files = [file for reply in scene.stage.slack.thread("reports", report.ts) for file in reply.files]
    return [file.alt_txt for file in files] if len(files) >= PICTURES else []
