"""What the Slack app asks for: the manifest is made of it, and the doctor holds against it what Slack granted."""

from __future__ import annotations

SCOPES = (
    "commands",
    "chat:write",
    "channels:history",
    "groups:history",
    "channels:read",
    "groups:read",
    "files:read",
    "files:write",
    "im:history",  # a direct message whose posting ended unknown is looked up there
    "im:write",  # a direct message is opened before the QR code is sent there
    "reactions:read",
    "reactions:write",
    "users:read",
    "users:read.email",  # `user add` takes the address from Slack
)
EVENTS = (
    "message.channels",
    "message.groups",
    "reaction_added",
    "reaction_removed",
    "member_joined_channel",
    "channel_archive",
    "channel_unarchive",
    "channel_deleted",
    "channel_id_changed",
    "channel_shared",
    "group_archive",
    "group_unarchive",
    "group_deleted",
    "user_change",
    "app_home_opened",
    "app_uninstalled",
    "tokens_revoked",
)
