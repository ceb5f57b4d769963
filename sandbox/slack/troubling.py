"""What goes wrong, switched on and off: calls, events, sockets, the whole of Slack's side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.slack.events import EventFaults
from sandbox.slack.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.slack.faults import Faults, Span
    from sandbox.slack.refusal import Json
    from sandbox.slack.socket_mode import Reason
    from sandbox.slack.state import State

FOR_EVER = 3600.0


class Troubling:
    """The switches. They combine: a call can be slow and then fail, an event late and doubled."""

    state: State
    faults: Faults

    def fail(
        self,
        method: str,
        *,
        status: int | None = None,
        error: str | None = None,
        drop: bool = False,
        drop_after_storing: bool = False,
        hang: float | bool = False,
        latency: Span = 0.0,
        retry_after: int | None = None,
        after_storing: bool = False,
        times: int | None = 1,
        probability: float = 1.0,
        channel: str | None = None,
        seconds: float | None = None,
        when: Callable[[Json], bool] | None = None,
    ) -> Fault:
        """Let the next `times` calls of a method (`*`: of any) fail; None means all until it is healed.

        `status=429` comes with `Retry-After`; `error` is Slack's `ok: false`; `drop` cuts the connection; `hang` holds
        the answer for so many seconds, or with True until it is healed, and then cuts. `latency` in seconds, or any
        number between two, makes the call slow; alone it is no failure. With `after_storing` (and `drop_after_storing`,
        short for both) the call has its effect all the same, and at once.

        Of the calls that it could strike, `probability` says how many; `channel` (a name or an id) and `when`, which
        looks at the arguments, narrow them; it ends by itself after `seconds`.
        """
        limited = status == web.HTTPTooManyRequests.status_code
        return self.faults.add(
            Fault(
                method=method,
                status=status,
                error=error,
                drop=drop or drop_after_storing,
                hang=None if hang is False else FOR_EVER if hang is True else hang,
                latency=latency,
                retry_after=1 if limited and retry_after is None else retry_after,
                after_storing=after_storing or drop_after_storing,
                times=times,
                probability=probability,
                channel=self.state.workspace.channel(channel).id if channel else None,
                until=None if seconds is None else time.monotonic() + seconds,
                when=when,
            )
        )

    def disturb_events(
        self,
        *,
        lose: float = 0.0,
        lose_acks: float = 0.0,
        share: float = 1.0,
        copies: int = 1,
        same_event_id: bool = False,
        late: Span = 0.0,
        swap_within: float = 0.0,
    ) -> None:
        """What goes wrong with events from now on, instead of what did before; see `EventFaults`."""
        self.state.events.faults = EventFaults(
            lose=lose, lose_acks=lose_acks, share=share, copies=copies, same_event_id=same_event_id,
            late=late, swap_within=swap_within,
        )  # fmt: skip

    def seed(self, number: int) -> None:
        """Begin the draws of all faults anew, so that the same calls run into the same troubles."""
        self.faults.random.seed(number)

    def uninstall_app(self) -> None:
        """An administrator removes the app from the workspace: it is told, and its token is dead until it is healed."""
        self.state.events.send(
            {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self.state.workspace.installation.bot_user]}}
        )
        self.state.events.send({"type": "app_uninstalled"})
        self.fail("*", error="account_inactive", times=None)

    def heal(self) -> None:
        """Switch every fault off: of calls, of events, of pongs. What was held back goes on."""
        self.faults.heal()
        self.state.events.heal()
        self.state.socket_mode.mute_pongs = False

    def mute_pongs(self, muted: bool = True) -> None:  # noqa: FBT001, FBT002 - the one thing that there is to say
        """Answer no ping any more, as a half-open connection does."""
        self.state.socket_mode.mute_pongs = muted

    async def disconnect(self, reason: Reason = "refresh_requested") -> None:
        """Ask the app's sockets to reconnect, as Slack does every few hours."""
        await self.state.socket_mode.disconnect(reason)

    def cut_connections(self, most: int | None = None) -> int:
        """Reset the app's sockets without a word, the oldest first, and say how many."""
        return self.state.socket_mode.cut(most)
