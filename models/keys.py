from __future__ import annotations

import peewee

from models.base import Model, Timestamp


class KeyInUse(Model):
    """The id of a key that secrets are encrypted under, never the key; `retired_at`: none is any more."""

    key_id = peewee.TextField()
    retired_at = Timestamp(null=True)

    class Meta:
        table_name = "keys_in_use"
