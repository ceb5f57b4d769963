"""How a function becomes a method of the Web API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sandbox.slack.methods.scopes import refuse_without
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.state import State

    Body: TypeAlias = Callable[[State, Arguments], Json]

Caller = Literal["bot", "app"]


@dataclass(frozen=True)
class Method:
    """A method, the scope that it needs (none: an empty string) and which of the two tokens it takes."""

    name: str
    scope: str
    caller: Caller
    body: Body


METHODS: dict[str, Method] = {}


def method(name: str, *, scope: str = "", caller: Caller = "bot") -> Callable[[Body], Body]:
    """Answer calls of `name` with the function's result, to which `ok` is added."""

    def register(body: Body) -> Body:
        METHODS[name] = Method(name, scope, caller, body)
        return body

    return register


def call(state: State, name: str, token: str, arguments: Arguments) -> Json:
    """Carry out a call.

    Raises:
        Refusal: the token, the scope, or whatever the method itself refuses.
    """
    wanted = METHODS.get(name)
    if wanted is None:
        raise Refusal("unknown_method", req_method=name)
    _refuse_wrong_token(state, wanted, token)
    if wanted.scope:
        refuse_without(state, wanted.scope)
    return {"ok": True, **wanted.body(state, arguments)}


def _refuse_wrong_token(state: State, wanted: Method, token: str) -> None:
    installation = state.workspace.installation
    right, other = installation.bot_token, installation.app_token
    if wanted.caller == "app":
        right, other = other, right
    if not token:
        raise Refusal("not_authed")
    if token == other:
        raise Refusal("not_allowed_token_type")
    if token != right:
        raise Refusal("invalid_auth")
