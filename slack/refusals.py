"""What Slack's permanent error words say to a person, and what to do about them.

The words are those of the `Errors` tables in Slack's method reference; a word that is not here is shown as it came.
"""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    sentence: str
    next_step: str


_INVITE = "Invite the bot there with `/invite`, then try again."
_OTHER_CHANNEL = "Choose another channel, or restore this one in Slack."
_REINSTALL = "Install the app in the workspace again and set the new bot token."
_SHORTEN = "Shorten it, or send it in parts."
_REPORT = "This is a mistake in the bot: report it with the log of this moment."
_ADMIN = "Ask an administrator of the Slack workspace to allow it."

# What stands in the way is the place, not the message: the same post is taken as soon as somebody mends it.
PLACE_REASONS = frozenset(
    {
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
        "missing_scope",
        "no_permission",
        "access_denied",
        "ekm_access_denied",
    }
)

_REFUSALS = {
    # where
    "channel_not_found": Refusal("The bot cannot see this channel.", _INVITE),
    "not_in_channel": Refusal("The bot is not a member of this channel.", _INVITE),
    "is_archived": Refusal("The channel is archived.", _OTHER_CHANNEL),
    "thread_not_found": Refusal("The thread no longer exists.", "Start a new thread."),
    "message_not_found": Refusal("The message no longer exists.", "Nothing can be changed on it any more."),
    "cant_update_message": Refusal("Only the bot's own messages can be changed.", _REPORT),
    "cant_delete_message": Refusal("Only the bot's own messages can be deleted.", _REPORT),
    "edit_window_closed": Refusal("The message is too old to be changed.", "Post a new one."),
    "user_not_found": Refusal("Slack does not know this person.", "Check the person's Slack id."),
    "user_not_in_channel": Refusal("The person is not a member of this channel.", "Invite the person there."),
    "user_disabled": Refusal("The person's Slack account is switched off.", "Choose somebody else."),
    "cannot_dm_bot": Refusal("A bot cannot be written to.", "Choose a person."),
    "messages_tab_disabled": Refusal(
        "Direct messages to the app are switched off.",
        "Switch on the Messages tab under App Home in the app's settings.",
    ),
    # who may
    "restricted_action": Refusal("A setting of the workspace forbids posting here.", _ADMIN),
    "restricted_action_read_only_channel": Refusal("The channel is read-only.", _ADMIN),
    "restricted_action_thread_only_channel": Refusal("Only replies in threads are allowed here.", _ADMIN),
    "restricted_action_non_threadable_channel": Refusal("Threads are not allowed in this channel.", _ADMIN),
    "restricted_action_thread_locked": Refusal("The thread is locked.", _ADMIN),
    "not_allowed_token_type": Refusal("The token is not a bot token.", "Set the token that begins with `xoxb-`."),
    "missing_scope": Refusal(
        "The app lacks a permission for this.", "Update the app from the current manifest and install it again."
    ),
    "no_permission": Refusal("The app lacks a permission for this.", _ADMIN),
    "access_denied": Refusal("The app may not use this.", _ADMIN),
    "ekm_access_denied": Refusal("An administrator has suspended posting here.", _ADMIN),
    # what
    "msg_too_long": Refusal("The text is longer than Slack's 40,000 characters.", _SHORTEN),
    "msg_blocks_too_long": Refusal("The blocks are longer than Slack allows.", _SHORTEN),
    "no_text": Refusal("There was nothing to post.", _REPORT),
    "invalid_blocks": Refusal("Slack does not accept these blocks.", _REPORT),
    "invalid_blocks_format": Refusal("Slack cannot read these blocks.", _REPORT),
    "metadata_too_large": Refusal("The message's metadata is too large.", _REPORT),
    "invalid_arguments": Refusal("Slack does not accept these arguments.", _REPORT),
    "invalid_name": Refusal("The workspace has no emoji of this name.", "Use another emoji."),
    "too_many_reactions": Refusal("The message has as many reactions as Slack allows.", "Remove some."),
    "too_many_emoji": Refusal("The message has as many different reactions as Slack allows.", "Remove some."),
    # files
    "file_not_found": Refusal("The file no longer exists.", "Send it again."),
    "file_deleted": Refusal("The file was deleted.", "Send it again."),
    "file_upload_size_restricted": Refusal("The file is larger than the workspace allows.", _ADMIN),
    "file_type_not_allowed": Refusal("The workspace does not allow files of this kind.", _ADMIN),
    "file_uploads_disabled": Refusal("The workspace does not allow files.", _ADMIN),
    "file_uploads_except_images_disabled": Refusal("The workspace allows images only.", _ADMIN),
    "storage_limit_reached": Refusal("The workspace has no room for more files.", _ADMIN),
    # answers to a command or click
    "expired_url": Refusal("The command is too old to be answered.", "Give the command again."),
    "used_url": Refusal("The command was answered as often as Slack allows.", "Give the command again."),
    "login_page": Refusal(
        "The bot may not read files.", "Update the app from the current manifest and install it again."
    ),
    "file_too_large": Refusal("The file is larger than can be passed on.", "Send a smaller one."),
    "foreign_file_url": Refusal("The file is not kept by Slack.", "Upload it to Slack."),
    "foreign_response_url": Refusal("The address to answer to is not Slack's.", _REPORT),
}

_TOKEN_REFUSALS = {
    "not_authed": Refusal("No token was sent.", "Set the bot token, which begins with `xoxb-`."),
    "invalid_auth": Refusal("Slack does not accept the token.", _REINSTALL),
    "token_revoked": Refusal("The token was revoked.", _REINSTALL),
    "token_expired": Refusal("The token has expired.", "Switch off token rotation in the app's settings."),
    "account_inactive": Refusal("The app was removed from the workspace.", _REINSTALL),
    "org_login_required": Refusal("The workspace is being moved to an organisation.", "Wait until the move is over."),
    "team_access_not_granted": Refusal("The app may not work in this workspace.", _ADMIN),
    "team_not_found": Refusal("The workspace no longer exists.", "Set the token of another workspace."),
}

TOKEN_REASONS = frozenset(_TOKEN_REFUSALS)


def refusal_of(reason: str) -> Refusal:
    unknown = Refusal(f"Slack answered `{reason}`.", "Look the word up in Slack's method reference.")
    return _TOKEN_REFUSALS.get(reason) or _REFUSALS.get(reason) or unknown
