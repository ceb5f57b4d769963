"""What Slack says to our tokens, and whether the bot is where its channels are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

from daemon.doctor.checkup import Checkup, set_to
from database import in_database
from operations import doctor, doctor_slack, workspaces
from operations.doctor import LinkedChannel
from operations.findings import Finding, bad, ok
from settings import SlackSettings
from slack.client import SlackClient
from slack.errors import SlackError, SlackRefused, SlackTokenRefused

_TIMEOUT = timedelta(seconds=5)
# `conversations.info` may be asked for fifty times a minute, and the relay needs some of them.
MOST_CHANNELS = 25
_AT_ONCE = 5


def _client(slack: SlackSettings, token: str) -> SlackClient:
    return SlackClient(token, slack.api_url, timeout=_TIMEOUT)


async def bot_token(checkup: Checkup) -> AsyncIterator[Finding]:
    """Whether Slack takes it, and what it may do."""
    slack = checkup.settings.slack
    async with _client(slack, slack.bot_token.get_secret_value()) as client:
        try:
            identity = await client.auth_test()
            granted = await client.granted()
        except SlackTokenRefused as error:
            fix = f"{set_to('slack', 'bot_token')} to the xoxb- token under OAuth & Permissions of the app"
            yield bad("slack.token", f"Slack refuses slack.bot_token ({error.reason}).", fix)
            return
        except SlackError as error:
            fix = f"let this machine reach {slack.api_url} (network, proxy, DNS); https://slack-status.com says more"
            yield bad("slack.reached", f"Slack cannot be reached: {error.sentence}", fix)
            return
    yield ok("slack.token", f"Slack takes slack.bot_token, of workspace {identity.team} ({identity.team_id}).")
    yield doctor_slack.scopes(granted.scopes)
    if granted.clock is not None:
        yield doctor.clock_of("slack.clock", "Slack", checkup.now(), granted.clock)


async def app_token(checkup: Checkup) -> AsyncIterator[Finding]:
    """Whether Slack would open a socket; in http mode there is none."""
    slack = checkup.settings.slack
    if slack.mode == "http":
        if slack.signing_secret.get_secret_value():
            yield ok("slack.app_token", "Slack posts to us over HTTP; no app token is needed.")
        else:
            fix = f"{set_to('slack', 'signing_secret')} to the Signing Secret under Basic Information of the app"
            yield bad("slack.signing_secret", "slack.signing_secret is empty: no request of Slack is taken.", fix)
        return
    fix = (
        f"make an app-level token with connections:write under Basic Information, and {set_to('slack', 'app_token')} "
        "to it (xapp-…); Socket Mode has to be on"
    )
    try:
        async with _client(slack, slack.app_token.get_secret_value()) as client:
            await client.check_app_token()
    except SlackRefused as error:
        yield bad("slack.app_token", f"Slack opens no socket for slack.app_token ({error.reason}).", fix)
    except SlackError:
        return  # `slack.reached` says it
    else:
        yield ok("slack.app_token", "Slack opens sockets for slack.app_token.")


async def events(_: Checkup) -> AsyncIterator[Finding]:
    yield await in_database(doctor_slack.arrivals)


async def channels(checkup: Checkup) -> AsyncIterator[Finding]:
    """Of all tenants: the bot has to be a member of each, and none may be archived."""
    linked = await in_database(doctor.linked_channels, MOST_CHANNELS)
    slack = checkup.settings.slack
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(_client(slack, slack.bot_token.get_secret_value()))
        added = await in_database(workspaces.active) if checkup.ring is not None else []
        clients = {
            one.team_id: await stack.enter_async_context(_client(slack, one.tokens.bot_token))
            for one in added
            if one.team_id not in slack.teams
        }
        turns = asyncio.Semaphore(_AT_ONCE)
        found = await asyncio.gather(*(_channel(one, clients, own, turns) for one in linked))
    troubles = [finding for finding in found if finding is not None]
    for finding in troubles:
        yield finding
    if not troubles:
        newest = f" (the newest {MOST_CHANNELS})" if len(linked) == MOST_CHANNELS else ""
        yield ok("slack.channels", f"The bot is in each of {len(linked)} linked channels{newest}.")


async def _channel(
    linked: LinkedChannel, clients: Mapping[str, SlackClient], own: SlackClient, turns: asyncio.Semaphore
) -> Finding | None:
    async with turns:
        try:
            channel = await clients.get(linked.slack_team_id, own).channel_info(linked.slack_channel_id)
        except SlackTokenRefused:
            return None  # `slack.token` says it
        except SlackRefused as error:
            return doctor_slack.refused_channel(linked, error.reason)
        except SlackError:
            return None
    return doctor_slack.channel(
        linked,
        channel.name,
        is_member=channel.is_member,
        is_archived=channel.is_archived,
        is_shared=channel.is_ext_shared,
    )
