"""The way to people when Slack is none: a webhook address of another chat or pager."""

from __future__ import annotations

from http import HTTPStatus

import aiohttp
from pydantic import SecretStr

from settings.keys import variable_of
from settings.logs import get_logger

log = get_logger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10)


class SecondChannel:
    """POST of {"text": …}, which most chats take. The address is a secret: whoever knows it may write there."""

    def __init__(self, webhook_url: SecretStr) -> None:
        self._url = webhook_url

    async def tell(self, text: str) -> bool:
        """False where it was not taken, and is to be tried again. Without an address the log has to do."""
        if not self._url.get_secret_value():
            variable = variable_of(("alerts", "webhook_url"))
            log.error(
                "told nobody, since no other way than Slack is set", text=text, next_step=f"set {variable}=https://…"
            )
            return True
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.post(self._url.get_secret_value(), json={"text": text}) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The error's own words name the address.
            log.warning("the other way than Slack cannot be reached, trying again", reason=type(error).__name__)
            return False
        if status >= HTTPStatus.BAD_REQUEST:
            log.warning("the other way than Slack refuses, trying again", status=status)
            return False
        log.info("told by another way than Slack", text=text)
        return True
