"""Settings out of `config.toml` and the environment, checked whole before anything starts."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings.errors import SettingsError, in_words, unknown_key
from settings.keys import FILE_VARIABLE, Key, is_setting, is_table, key_of, type_at
from settings.tables import Settings

DEFAULT_FILE = Path(__file__).resolve().parent.parent / "config.toml"
# EX_CONFIG of sysexits.h: supervisord takes it for "do not start again", since a restart would not help.
CONFIGURATION_ERROR = 78


@dataclass
class _Collected:
    """Values as they were found, and from where."""

    file: Path
    values: dict[str, Any] = field(repr=False)
    variables: dict[Key, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def origin(self, key: Key) -> str:
        return f"environment: {self.variables[key]}" if key in self.variables else str(self.file)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file at `path`, else the one that `SWITCHBOARD_CONFIG` names, else `config.toml`; the environment wins.

    Raises:
        SettingsError: with every problem at once.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    file = named or DEFAULT_FILE
    collected = _Collected(file, _read(file, must_exist=named is not None))
    _overlay(collected, environ)
    return _validate(collected)


def load_or_exit(check: Callable[[Settings], None] | None = None) -> Settings:
    """`load`, then what this process needs; the problems go to stderr and the process ends with code 78."""
    try:
        settings = load()
        if check:
            check(settings)
    except SettingsError as error:
        print("The settings cannot be used:", *error.problems, sep="\n  ", file=sys.stderr)  # noqa: T201 - no log yet
        raise SystemExit(CONFIGURATION_ERROR) from None
    return settings


def _read(file: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise SettingsError([f"{file}: there is no such file"]) from None
        return {}
    except OSError as error:
        raise SettingsError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{file}: is not a text in UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{file}: is not TOML: {error}"]) from None


def _overlay(collected: _Collected, environ: Mapping[str, str]) -> None:
    for variable in sorted(filter(is_setting, environ)):
        key = key_of(variable)
        kind = type_at(key)
        if kind is None:
            collected.problems.append(f"environment: {unknown_key(key, in_environment=True)}")
        elif is_table(kind) or get_origin(kind) is Mapping:
            collected.problems.append(f"environment: {variable} is a whole table; set its keys: {variable}__…")
        else:
            _put(collected.values, key, _from_text(environ[variable], kind))
            collected.variables[key] = variable


def _put(values: dict[str, Any], key: Key, value: Any) -> None:
    *tables, name = key
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            return  # the file has something else in the table's place, which is refused later
    values[name] = value


def _from_text(text: str, kind: Any) -> Any:
    """A text as the file would have written it; what does not fit stays a text, to be refused with all the rest."""
    try:
        if get_origin(kind) is tuple:
            return (
                json.loads(text) if text.startswith("[") else [item.strip() for item in text.split(",") if item.strip()]
            )
        return kind(text) if kind in {int, float} else text
    except ValueError:
        return text


def _validate(collected: _Collected) -> Settings:
    try:
        settings = Settings.model_validate(collected.values)
    except ValidationError as error:
        for detail in _without_consequences(error.errors(include_input=False, include_url=False)):
            key = tuple(part for part in detail["loc"] if isinstance(part, str) and part != "[key]")
            collected.problems.append(f"{collected.origin(key)}: {in_words(detail, key)}")
    if collected.problems:
        raise SettingsError(collected.problems)
    return _with_absolute_paths(settings, collected.file.resolve().parent)


def _without_consequences(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without those that follow from another: a list whose only item is refused is also said to be too short."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if not any(len(place) > len(detail["loc"]) and place[: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    database = settings.database.model_copy(update={"data_dir": base / settings.database.data_dir})
    return settings.model_copy(update={"database": database})
