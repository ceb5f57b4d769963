# an exception is named after what happened: "session not ready" reads as that
"""What can go wrong with a call to WAHA, sorted by one question: may it be sent again?

  WahaError
   ├─ WahaNotSent                 yes       the request never left: refused, unknown host, TLS, connect time-out
   ├─ WahaThrottled               yes       429: whoever stands in front of WAHA turned it away, see `retry_after`
   ├─ WhatsAppRefused             yes       500: WhatsApp's server or its address look-up said no, see `code`
   │   └─ AccountRestricted       wait      463: the account may not write to new people for some time
   ├─ WahaUncertain               look_up   the request reached WAHA; what became of it is not known
   │   ├─ WahaBusy                look_up   500: the session's lock was taken
   │   ├─ WahaUnavailable         look_up   502, 503, 504: WAHA is down or shutting down behind something that answers
   │   └─ WahaUnreadable          look_up   a success whose body is not what this call answers
   ├─ WahaKeyRefused              wait      401, 403: the API key is wrong, or changed when WAHA restarted
   ├─ NotWaha                     wait      a redirect or a page: the configured address leads to something else
   ├─ SessionNotReady             wait      422: the session is not in the state that this call needs, see `status`
   └─ WahaRejected                no        400, 404, 422: this request will never be accepted
       ├─ MessageUnknown          no        404: WAHA does not keep this message
       ├─ SessionUnknown          no        404, 422: there is no such session
       ├─ SessionExists           no        422: there is one of this name already
       ├─ SessionStarted          no        422: it runs already (WAHA of 2026.2 and before; later ones answer 201)
       └─ NotImplementedByEngine  no        501, or no such path: this engine or version does not offer the call

`yes`: nothing was done, repeat with a pause. `wait`: nothing was done, and repeating is of no use before something else
changes; it counts as no attempt. `look_up`: for a send, find out by the message's id; what only reads, or does the same
when done twice, may simply be repeated. `no`: a person must decide.
"""

from __future__ import annotations

from typing import ClassVar, Literal

MaySendAgain = Literal["yes", "wait", "look_up", "no"]


class WahaError(Exception):
    """A call to WAHA did not succeed.

    Carries a sentence and WAHA's HTTP status (None without an answer), never the request, its text, or a stack:
    WAHA's own error bodies repeat all three.
    """

    may_send_again: ClassVar[MaySendAgain] = "look_up"

    def __init__(self, sentence: str, *, http_status: int | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.http_status = http_status


class WahaNotSent(WahaError):
    """No connection was made, so WAHA has seen nothing of the request."""

    may_send_again = "yes"


class WahaThrottled(WahaError):
    """Too many requests; WAHA itself has no such limit, a proxy before it may."""

    may_send_again = "yes"

    def __init__(self, sentence: str, *, http_status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(sentence, http_status=http_status)
        self.retry_after = retry_after


class WhatsAppRefused(WahaError):
    """The engine reports a refusal by WhatsApp, or found no address for the chat; nothing was delivered.

    `code` is WhatsApp's number where it gave one. 479 and none: ask `check_exists` for the right chat id, then try once
    more. 400 for every send of a GOWS session: restart the session once.
    """

    may_send_again: ClassVar[MaySendAgain] = "yes"

    def __init__(self, sentence: str, *, http_status: int | None = None, code: int | None = None) -> None:
        super().__init__(sentence, http_status=http_status)
        self.code = code


class AccountRestricted(WhatsAppRefused):
    """WhatsApp's "reachout timelock": replies in existing chats still work, new chats do not until it ends.

    Each further try makes it worse. The end is in `SessionInfo.me.restricted_until`, not in this answer.
    """

    may_send_again = "wait"


class WahaUncertain(WahaError):
    """The request reached WAHA; whether it was carried out is not known."""

    may_send_again = "look_up"


class WahaBusy(WahaUncertain):
    """Another call holds the session's lock (5 s in the queue, 30 s of work); ask for the session before repeating."""


class WahaUnavailable(WahaUncertain):
    """Whatever stands before WAHA answered that WAHA does not."""

    def __init__(self, sentence: str, *, http_status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(sentence, http_status=http_status)
        self.retry_after = retry_after


class WahaUnreadable(WahaUncertain):
    """WAHA reported success with a body that is not what the call answers."""


class WahaKeyRefused(WahaError):
    """WAHA does not accept the API key.

    A WAHA whose own key is empty or weak makes a new random one at every start, so a restart is a likely cause.
    """

    may_send_again = "wait"


class NotWaha(WahaError):
    """The address answers, but not as WAHA does; the request has not been followed elsewhere."""

    may_send_again = "wait"


class SessionNotReady(WahaError):
    """The session is in state `status` (WAHA's word), the call needs one of `expected`.

    WAHA waited for it, up to 5 s for a session that does not run and 10 s for one that does.
    """

    may_send_again = "wait"

    def __init__(
        self, sentence: str, *, http_status: int | None = None, status: str, expected: tuple[str, ...] = ()
    ) -> None:
        super().__init__(sentence, http_status=http_status)
        self.status = status
        self.expected = expected


class WahaRejected(WahaError):
    """WAHA understood the request and refused it for good; nothing was done."""

    may_send_again = "no"


class MessageUnknown(WahaRejected):
    """WAHA does not keep this message."""


class SessionUnknown(WahaRejected):
    """WAHA has no session of this name."""


class SessionExists(WahaRejected):
    """WAHA already has a session of this name."""


class SessionStarted(WahaRejected):
    """The session runs already."""


class NotImplementedByEngine(WahaRejected):
    """This engine or this version of WAHA does not offer the call."""
