"""What is wrong with the settings, in sentences that a person can act on and that repeat no value."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic_core import ErrorDetails

from settings.keys import Key, names_below, nearest, variable_of


class SettingsError(Exception):
    """The settings cannot be used; `problems` has a line for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def unknown_key(key: Key, *, in_environment: bool = False) -> str:
    """Such as "slack.bot_tokn is not a setting; did you mean slack.bot_token?"."""
    said = variable_of if in_environment else ".".join
    if meant := nearest(key):
        return f"{said(key)} is not a setting; did you mean {said(meant)}?"
    parent = key[:-1] if names_below(key[:-1]) else ()
    of_table = f"keys of {'.'.join(parent)}" if parent else "tables"
    return f"{said(key)} is not a setting; the {of_table} are {', '.join(names_below(parent))}"


def in_words(error: ErrorDetails, key: Key) -> str:
    """One error of pydantic's. `key` is where it points, without the index of an item in a list."""
    match error["type"]:
        case "missing":
            return f"{'.'.join(key)} is missing; it can also be set as {variable_of(key)}"
        case "extra_forbidden":
            return unknown_key(key)
        case "model_type" | "mapping_type" | "dict_type":
            return f"{'.'.join(key)} must be a table: [{'.'.join(key)}]"
        case "tuple_type":
            return f'{".".join(key)} must be a list such as ["one", "two"]'
    items = [part for part in error["loc"] if isinstance(part, int)]
    place = ".".join(key) + (f", item {items[-1] + 1}," if items else "")
    return f"{place} {_sentence(error['msg'])}"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "must be").replace("Input", "it")
