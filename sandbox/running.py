"""Finding the sandbox that runs in another process, and talking to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click
import httpx

STATE_FILE = Path("var/sandbox/state.json")
STATE_VARIABLE = "SWITCHBOARD_SANDBOX_STATE"
START_IT = "Start it with `make sandbox`."
# An answer of the bot may take as long as a person waits for one.
TIMEOUT = httpx.Timeout(60.0, connect=2.0)


@dataclass(frozen=True)
class RunningSandbox:
    """Where the parts of a sandbox listen, as its state file says.

    `{"slack": {"url": "http://127.0.0.1:…"}, "waha": {"main": {"control_url": "http://127.0.0.1:…"}}}`
    """

    slack_url: str
    waha_urls: dict[str, str]

    @classmethod
    def find(cls, state_file: Path) -> Self:
        """Read the state file.

        Raises:
            click.ClickException: there is none, or it is not one.
        """
        try:
            state = json.loads(state_file.read_text())
            waha = {name: server["control_url"] for name, server in state.get("waha", {}).items()}
            return cls(state["slack"]["url"].rstrip("/"), waha)
        except FileNotFoundError:
            raise click.ClickException(f"No sandbox is running ({state_file} does not exist). {START_IT}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise click.ClickException(f"{state_file} does not say where the sandbox is. {START_IT}") from None

    def slack(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the simulated Slack; `path` follows `/sandbox/`."""
        return _asked(method, f"{self.slack_url}/sandbox/{path}", body)

    def waha(self, server: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the phones behind a simulated WAHA; without a name behind the first one.

        Raises:
            click.ClickException: there is no such server.
        """
        name = server or next(iter(self.waha_urls), "")
        if name not in self.waha_urls:
            there = ", ".join(self.waha_urls) or "none at all"
            raise click.ClickException(f"The sandbox has no WAHA server {name!r}. There is: {there}.")
        return _asked(method, f"{self.waha_urls[name].rstrip('/')}/{path}", body)


def _asked(method: str, url: str, body: dict[str, Any] | None) -> Any:
    try:
        # Proxies of the environment have no business on loopback.
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            response = client.request(method, url, json=body)
    except httpx.TimeoutException:
        raise click.ClickException("The sandbox did not answer within a minute.") from None
    except httpx.TransportError:
        raise click.ClickException(f"The sandbox does not answer any more at {url}. {START_IT}") from None
    try:
        answer = response.json()
    except ValueError:
        raise click.ClickException(f"{url} answered {response.status_code} and no JSON.") from None
    if response.is_error:
        raise click.ClickException(str(answer.get("error", answer)))
    return answer
