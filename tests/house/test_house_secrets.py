"""Nothing that holds a secret shows it where somebody prints the object: in a log, a trace, a failed assertion."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic
import pytest

ROOMS = ("settings", "database", "models", "waha", "slack", "operations", "bot", "daemon")
SECRET = re.compile(r"(?i)token|secret|passw|hmac|api_?key|webhook_key|signature|cookie|response_url|^typed$|^values$")
# What arrived, as bytes or as Slack's whole payload. A body that is text is what people wrote: `settings.redaction`.
ARRIVED = re.compile(r"^body$|^config$")
# Said by their names and types: a lease is worthless without the database.
HARMLESS = {"lease_token", "poll_lease_token", "is_secret", "has_password", "without_password"}


def classes() -> Iterator[type]:
    for room in ROOMS:
        for module in pkgutil.iter_modules(importlib.import_module(room).__path__, f"{room}."):
            if not module.name.endswith("__main__"):
                loaded = importlib.import_module(module.name)
                yield from (
                    found for _, found in inspect.getmembers(loaded, inspect.isclass) if found.__module__ == module.name
                )


def shown_fields(found: type) -> Mapping[str, Any]:
    """The fields that `repr()` prints, with their types."""
    if dataclasses.is_dataclass(found):
        return {field.name: field.type for field in dataclasses.fields(found) if field.repr}
    if issubclass(found, pydantic.BaseModel):
        return {name: field.annotation for name, field in found.model_fields.items() if field.repr}
    return {}


def holds_text(of: Any) -> bool:
    """Whether a secret could stand in it as it is: not in a number, an id, a SecretStr, a view of memory."""
    if isinstance(of, str):
        return bool(re.search(r"\b(str|bytes|dict|Mapping|Any)\b", of))
    if isinstance(of, types.UnionType) or typing.get_origin(of) in {typing.Union, typing.Annotated}:
        return any(holds_text(one) for one in typing.get_args(of))
    return (typing.get_origin(of) or of) in {str, bytes, dict, Any, Mapping}


def revealing(found: type) -> list[str]:
    return [
        f"{found.__module__}.{found.__name__}.{name}"
        for name, of in shown_fields(found).items()
        if name not in HARMLESS and holds_text(of)
        if SECRET.search(name) or (ARRIVED.search(name) and re.search(r"bytes|dict|Mapping", str(of)))
    ]


def test_no_field_with_a_secret_is_in_a_repr() -> None:
    found = list(classes())

    assert len(found) > 100
    # Envelopes and fingerprints: whoever reads them has nothing.
    sealed = {"operations.controlling.Creation.config", "operations.servers._Key.webhook_hmac_key"}
    assert {name for one in found for name in revealing(one)} - sealed == set()


@dataclasses.dataclass
class Plain:
    bot_token: str
    body: bytes
    lease_token: str
    text: str


class Model(pydantic.BaseModel):
    password: str | None
    api_key: pydantic.SecretStr
    config: dict[str, Any]


@pytest.mark.parametrize(
    ("kind", "names"), [(Plain, ["bot_token", "body"]), (Model, ["password", "config"]), (int, [])]
)
def test_a_field_that_shows_a_secret_is_noticed(kind: type, names: list[str]) -> None:
    assert [one.rpartition(".")[2] for one in revealing(kind)] == names
