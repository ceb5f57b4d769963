from __future__ import annotations

import peewee

from models.base import Model, Stamp, Timestamp, Words
from models.enums import WorkspaceState


class SlackWorkspace(Model):
    """A Slack workspace besides the one of the settings; its tokens are envelopes, and gone once the app is.

    `app_token` and `signing_secret` are null where the app is the one of the settings. `why` it was removed.
    """

    slack_team_id = peewee.TextField()
    name = peewee.TextField()
    bot_user_id = peewee.TextField()
    bot_id = peewee.TextField()
    bot_token = peewee.TextField(null=True)
    app_token = peewee.TextField(null=True)
    signing_secret = peewee.TextField(null=True)
    state = Words(WorkspaceState, default=WorkspaceState.ACTIVE)
    why = peewee.TextField(default="")
    added_by = peewee.TextField()
    active_since = Stamp()
    removed_at = Timestamp(null=True)
    told_at = Timestamp(null=True)
    updated_at = Stamp()

    class Meta:
        table_name = "slack_workspaces"
