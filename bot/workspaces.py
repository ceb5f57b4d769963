"""The Slack workspaces that the bot serves: that of the settings, and those that operators connect and disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.http_mode import Signer
from bot.sockets import NoSocket, Sockets
from database import DatabaseUnavailable, in_database
from operations import workspaces
from operations.workspaces import Connected, Place
from settings import SettingsError, SlackSettings
from settings.logs import get_logger
from slack.client import SlackClient

LOOK_EVERY_SECONDS = 2.0
TRY_AGAIN_SECONDS = 30.0

log = get_logger(__name__)


class Workspaces:
    """Whom the bot listens to, and under which token it asks.

    Args:
        own: the workspace of the settings' token, with `client` for it; `teams` are served under that token.
        ask_for_missed: called with a workspace that is listened to from now on.
    """

    def __init__(
        self,
        own: Place,
        client: SlackClient,
        slack: SlackSettings,
        *,
        teams: Collection[str],
        ask_for_missed: Callable[[str], object],
    ) -> None:
        self._own = own
        self._client = client
        self._slack = slack
        self._teams = frozenset(teams)
        self._ask_for_missed = ask_for_missed
        self._added: dict[str, Connected] = {}
        self._clients: dict[str, SlackClient] = {}
        # By app token: several workspaces may have one app.
        self._sockets: dict[str, asyncio.Task[None]] = {}
        self._stack = AsyncExitStack()

    def is_served(self, team_id: str) -> bool:
        return team_id in self._added or team_id in self._teams

    def client_of(self, team_id: str) -> SlackClient:
        """Slack as the bot of a workspace; as that of the settings where no other token is known."""
        return self._clients.get(team_id, self._client)

    def signers(self) -> list[Signer]:
        """Whose requests are taken in http mode: each app speaks for its own workspaces and for no other."""
        apart = {team_id for team_id, one in self._added.items() if one.tokens.signing_secret}
        own = Signer(self._slack.signing_secret.get_secret_value(), lambda team_id: team_id not in apart)
        return [own, *(signer for one in self._added.values() for signer in _signers(one))]

    def authorization_of(self, team_id: str | None) -> AuthorizeResult:
        """Known since the start: Bolt's own way asks Slack during the first request of each workspace."""
        added = self._added.get(team_id or "")
        place = added.place if added is not None else self._own
        token = added.tokens.bot_token if added is not None else self._slack.bot_token.get_secret_value()
        return AuthorizeResult(
            enterprise_id=None,
            team_id=place.team_id,
            bot_token=token,
            bot_id=place.bot_id,
            bot_user_id=place.bot_user_id,
        )

    async def keep_up(self, app: AsyncApp) -> None:
        """Take over for ever what operators connect and what is removed."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                await self.refresh(app)
            except DatabaseUnavailable as error:
                log.warning("workspaces cannot be looked up, trying again", reason=str(error))
            except Exception:  # the edge of a worker
                log.exception("workspaces could not be taken over, trying again")

    async def refresh(self, app: AsyncApp) -> None:
        """Serve what the table says now."""
        found = {one.team_id: one for one in await in_database(workspaces.active) if one.team_id not in self._teams}
        for team_id, one in list(self._added.items()):
            if (now := found.get(team_id)) is None or now.active_since != one.active_since:
                self._forget(team_id)
        for team_id, one in found.items():
            if team_id not in self._added:
                await self._serve(one)
        self._keep_sockets(app)

    async def close(self) -> None:
        """From here on Slack hands over nothing of the added ones."""
        listening = list(self._sockets.values())
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await self._stack.aclose()

    async def _serve(self, one: Connected) -> None:
        client = self._client.under(one.tokens.bot_token)
        self._clients[one.team_id] = await self._stack.enter_async_context(client)
        self._added[one.team_id] = one
        self._ask_for_missed(one.team_id)
        log.info("workspace is served", team_id=one.team_id)

    def _forget(self, team_id: str) -> None:
        del self._added[team_id], self._clients[team_id]
        log.info("workspace is not served any more", team_id=team_id)

    def _keep_sockets(self, app: AsyncApp) -> None:
        """Listen to each app once: its sockets bring what happens in all its workspaces, and end with the last."""
        wanted = set()
        if self._slack.mode == "socket":
            own_token = self._slack.app_token.get_secret_value()
            wanted = {token for one in self._added.values() if (token := one.tokens.app_token)} - {own_token}
        for app_token in self._sockets.keys() - wanted:
            self._sockets.pop(app_token).cancel()
        for app_token in wanted - self._sockets.keys():
            self._sockets[app_token] = asyncio.create_task(self._listen(app, app_token))

    async def _listen(self, app: AsyncApp, app_token: str) -> None:
        """Keep the sockets of an app open, whatever becomes of those of another."""
        while True:
            sockets = Sockets(app, app_token, after_gap=lambda: self._ask_for_all_missed(app_token))
            try:
                await sockets.connect()
                await sockets.watch()
            except SettingsError:
                teams = self._teams_of(app_token)
                log.error("Slack refuses the app token of a workspace: `workspace add` sets another", team_ids=teams)  # noqa: TRY400
            except NoSocket as error:
                teams = self._teams_of(app_token)
                log.error("no socket to a workspace, trying again", team_ids=teams, reason=str(error))  # noqa: TRY400
            except Exception:  # the edge of a worker
                log.exception("listening to a workspace failed, trying again", team_ids=self._teams_of(app_token))
            finally:
                await sockets.close()
            await asyncio.sleep(TRY_AGAIN_SECONDS)

    def _ask_for_all_missed(self, app_token: str) -> None:
        for team_id in self._teams_of(app_token):
            self._ask_for_missed(team_id)

    def _teams_of(self, app_token: str) -> list[str]:
        return sorted(team_id for team_id, one in self._added.items() if one.tokens.app_token == app_token)


def _signers(one: Connected) -> list[Signer]:
    """None where the app is that of the settings."""
    secret = one.tokens.signing_secret
    return [Signer(secret, lambda team_id: team_id == one.team_id)] if secret else []
