"""A call's address without the names in it: what is counted and timed by it grows with our calls, not with sessions."""

from __future__ import annotations

# Every segment that a call of ours is made of. A session, a chat or a message is never called by any of them alone.
_WORDS = frozenset(
    {
        *("api", "ping", "health", "server", "version", "status", "sessions", "start", "stop", "restart", "logout"),
        *("auth", "qr", "request-code", "me", "timelock", "capping", "keys", "chats", "overview", "messages", "lids"),
        *("sendText", "sendImage", "sendFile", "sendSeen", "startTyping", "stopTyping", "reaction", "contacts"),
        *("check-exists", "files", "presence", "profile", "new-message-id", "passkey", "confirmation", "challenge"),
    }
)


def route_of(method: str, path: str) -> str:
    """`POST`, `/api/sessions/acme-1/start` -> `POST /api/sessions/*/start`."""
    segments = [segment if segment in _WORDS else "*" for segment in path.partition("?")[0].split("/") if segment]
    return f"{method} /{'/'.join(segments)}"
