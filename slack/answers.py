"""What Slack answers, cut down to what is used. An answer that does not fit is an unknown outcome, not a success."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field

POST_EVENT_TYPE = "switchboard_post"


def _dict_or_empty(value: object) -> object:
    return value if isinstance(value, dict) else {}


# Any app may attach metadata of any shape to its messages; a strange one is simply not ours.
_Lenient = Annotated[dict[str, Any], BeforeValidator(_dict_or_empty)]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Done(Answer):
    """Slack said `ok` and nothing else matters."""


class Posted(Answer):
    ts: str


class Identity(Answer):
    """Whom the token belongs to."""

    team_id: str
    team: str = ""
    user_id: str
    bot_id: str = ""
    url: str = ""


@dataclass(frozen=True)
class Granted:
    """The scopes of a token, None where Slack did not tell; and Slack's clock."""

    scopes: frozenset[str] | None
    clock: datetime | None


def clock_in(header: str | None) -> datetime | None:
    """The `Date` of an HTTP answer."""
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None


class Person(Answer):
    """`team_id` differs from the installation's for people of another workspace; `is_stranger` shares no channel."""

    id: str
    team_id: str = ""
    handle: str = Field("", validation_alias="name")
    display_name: str = Field("", validation_alias=AliasPath("profile", "display_name"))
    real_name: str = Field("", validation_alias=AliasPath("profile", "real_name"))
    email: str | None = Field(None, validation_alias=AliasPath("profile", "email"))
    is_bot: bool = False
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False

    @property
    def name(self) -> str:
        """The name that Slack itself shows; a person need not have chosen a display name."""
        return self.display_name or self.real_name or self.handle or self.id


class Channel(Answer):
    """A direct conversation (`is_im`) has no name, and says nothing about membership."""

    id: str
    name: str = ""
    is_member: bool = False
    is_archived: bool = False
    is_private: bool = False
    is_ext_shared: bool = False
    is_im: bool = False


class Share(Answer):
    """One message that shows a file; `thread_ts` is None when it is not in a thread."""

    channel: str
    ts: str
    thread_ts: str | None = None


class UploadSlot(Answer):
    """Where to put a file's bytes. Keep `file_id` before completing: it is what a lost outcome is looked up by."""

    file_id: str
    upload_url: str


class UserAnswer(Answer):
    user: Person


class ChannelAnswer(Answer):
    channel: Channel


class FileAnswer(Answer):
    """`shares` is `{"public" | "private": {channel: [{"ts": …, "thread_ts": …}]}}` and grows some time after upload."""

    shares: dict[str, dict[str, list[dict[str, Any]]]] = Field(
        default_factory=dict, validation_alias=AliasPath("file", "shares")
    )

    mimetype: str = Field("", validation_alias=AliasPath("file", "mimetype"))

    @property
    def is_looked_through(self) -> bool:
        """Slack tells what a file is once it has looked through it."""
        return bool(self.mimetype)

    def all_shares(self) -> list[Share]:
        return [
            Share.model_validate({**message, "channel": channel})
            for by_channel in self.shares.values()
            for channel, messages in by_channel.items()
            for message in messages
        ]


class Page(Answer):
    """One page of a channel's or a thread's messages, each as Slack sent it."""

    messages: list[dict[str, Any]]
    response_metadata: _Lenient = Field(default_factory=dict)

    @property
    def next_cursor(self) -> str:
        return str(self.response_metadata.get("next_cursor") or "")


class OurMetadata(Answer):
    """The part of a message's metadata that says which row of ours it came from."""

    event_type: str = ""
    event_payload: _Lenient = Field(default_factory=dict)


class PossiblyOurs(Answer):
    ts: str
    metadata: Annotated[OurMetadata, BeforeValidator(_dict_or_empty)] = OurMetadata()

    def carries(self, outbox_id: str) -> bool:
        return self.metadata.event_type == POST_EVENT_TYPE and self.metadata.event_payload.get("id") == outbox_id
