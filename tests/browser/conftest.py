"""A real Chromium before the real processes; skipped where there is none, unless BROWSER=required (`make browser`)."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from sandbox.stage import Stage
from tests.acceptance.acting import Query, Scene
from tests.conftest import Server

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing that calls home: the pages are on this machine.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 15_000

Open: TypeAlias = "Callable[..., Awaitable[Page]]"


def chromium() -> str:
    """Where Chromium is; skips or fails without it, as was asked for."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        _missing("there is no Chromium: sudo apt-get install -y chromium")
    elif importlib.util.find_spec("playwright") is None:
        _missing("there is no playwright: make browser installs it")
    else:
        return found
    raise AssertionError("unreachable")


def _missing(reason: str) -> None:
    if os.environ.get("BROWSER") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def executable() -> str:
    return chromium()


@pytest.fixture(scope="module")
def database_url(executable: str, new_database: Callable[..., str], template_database: str) -> str:
    return new_database(template_database)


@pytest.fixture(scope="module")
def rows(postgres: Server, database_url: str) -> Query:
    return partial(postgres.run, name=urlsplit(database_url).path.removeprefix("/"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("browser"), database_url=database_url) as stage:
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(executable: str) -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - not on every machine

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser) -> AsyncIterator[Open]:
    """Open a link in a window of its own: `await open_page(link, width=320, java_script_enabled=False)`."""
    contexts = []

    async def opened(link: str, *, width: int = 800, **options: Any) -> Page:
        context = await browser.new_context(viewport={"width": width, "height": 700}, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = await context.new_page()
        await page.goto(link)
        return page

    yield opened
    for context in contexts:
        await context.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go, to be looked at; SCREENSHOTS names another directory."""
    named = os.environ.get("SCREENSHOTS")
    return Path(named) if named else tmp_path_factory.mktemp("screenshots")
