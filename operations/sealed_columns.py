"""Every place of a row that holds an envelope, and how SQL reads and writes it there."""

from __future__ import annotations

from dataclasses import dataclass

from operations.encryption import VERSION
from operations.envelopes import ENVELOPE


@dataclass(frozen=True)
class SealedColumn:
    """Envelopes are bound to `table`, `column` and the row's id, wherever in the column they stand.

    Args:
        table: with an `id`.
        column: text, or bytes with `in_bytes`, or JSON with a `path` to the envelope.
        path: names from the outermost object to the envelope.
    """

    table: str
    column: str
    path: tuple[str, ...] = ()
    in_bytes: bool = False

    def __str__(self) -> str:
        return ".".join((self.table, self.column, *self.path))

    @property
    def read(self) -> str:
        """An SQL expression: the envelope as text, or null where there is none."""
        if self.path:
            text = f"({self.column} #>> '{self._sql_path}')"
        elif self.in_bytes:
            return (
                f"(CASE WHEN substring({self.column} FROM 1 FOR {len(VERSION)}) = '{VERSION}'::bytea "
                f"THEN convert_from({self.column}, 'UTF8') END)"
            )
        else:
            text = self.column
        return f"(CASE WHEN starts_with({text}, '{VERSION}') THEN {text} END)"

    @property
    def write(self) -> str:
        """An SQL expression: the column with the envelope that is its parameter."""
        if self.path:
            return f"jsonb_set({self.column}, '{self._sql_path}', to_jsonb(%s::text))"
        return "convert_to(%s, 'UTF8')" if self.in_bytes else "%s"

    @property
    def _sql_path(self) -> str:
        return "{" + ",".join(self.path) + "}"


WHOLE = (ENVELOPE,)

SEALED_COLUMNS = (
    SealedColumn("waha_servers", "webhook_hmac_key"),
    SealedColumn("slack_workspaces", "bot_token"),
    SealedColumn("slack_workspaces", "app_token"),
    SealedColumn("slack_workspaces", "signing_secret"),
    SealedColumn("waha_sessions", "config", ("proxy", "password")),
    SealedColumn("fingerprint_keys", "sealed_key"),
    SealedColumn("slack_posts", "payload", ("file",)),
    SealedColumn("slack_posts", "payload", ("sealed_text",)),
    SealedColumn("slack_events", "body", in_bytes=True),
    SealedColumn("slack_events", "answer", WHOLE),
    SealedColumn("webhook_events", "body", in_bytes=True),
    SealedColumn("contacts", "metadata", WHOLE),
    SealedColumn("users", "preferences", WHOLE),
    SealedColumn("messages", "raw_payload", WHOLE),
)
