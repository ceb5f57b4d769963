"""What every file of the repository has to keep to, and what several files have to agree on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import settings
from settings.keys import PREFIX, is_setting, key_of, type_at

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCKS = [ROOT / name for name in ("requirements.txt", "requirements-dev.txt", "requirements-browser.txt")]
# A person's or a machine's own directories, which nobody else has.
OWN_DIRECTORY = re.compile(r"(?<![\w.])/(?:home|Users)/\w+/|[A-Z]:\\\\Users\\\\")


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def pins_of(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.\[\]-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def test_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert set(re.findall(r"^  make ([\w-]+)", listed, re.MULTILINE)) == targets


def test_no_target_is_mistaken_for_a_file() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

    [phony] = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)

    assert set(phony.split()) == targets


@pytest.mark.parametrize("lock", [*LOCKS, ROOT / "requirements-waha-py.txt"], ids=lambda lock: lock.name)
def test_a_lock_pins_by_hash_and_holds_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")

    assert not re.search(r"://|index-url|find-links", text)
    assert not re.search(
        r"^\s*-", re.sub(r"^    --hash=sha256:\w{64}( \\)?$", "", text, flags=re.MULTILINE), re.MULTILINE
    )
    assert len(re.findall(r"^\S+==.*\\\n    --hash", text, re.MULTILINE)) == len(pins_of(lock)) > 0


def test_what_is_run_is_what_was_tested() -> None:
    run, tested, in_a_browser = (pins_of(lock) for lock in LOCKS)

    assert run.items() <= tested.items() <= in_a_browser.items()


def test_no_file_names_a_directory_of_one_machine() -> None:
    here = f"{ROOT.parent}/" if len(ROOT.parts) > 2 else str(ROOT)

    named = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path != Path(__file__)
        and (here in (text := path.read_bytes().decode(errors="replace")) or OWN_DIRECTORY.search(text))
    ]

    assert named == []


def test_the_image_holds_every_room_that_runs() -> None:
    copied = set(re.findall(r"^COPY (\w+) \w+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"sandbox", "benchmarks"}

    assert rooms <= copied
    assert "migrations" in copied


def test_compose_sets_settings_that_exist_and_load() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    environ = {name: str(value) for name, value in compose["services"]["switchboard"]["environment"].items()}
    filled = {
        **environ,
        PREFIX + "SECURITY__ENCRYPTION_KEYS": "",
        PREFIX + "SLACK__OPERATORS": "",
        PREFIX + "DATABASE__URL": "postgresql://switchboard:secret@postgres:5432/switchboard",
    }

    settings.load(environ=filled)

    assert [name for name in environ if is_setting(name) and type_at(key_of(name)) is None] == []


def test_every_variable_that_a_text_names_is_one() -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "config.toml"]
    named = {
        name for text in texts for name in re.findall(r"SWITCHBOARD_[A-Z0-9_]+__[A-Z0-9_]+", text.read_text("utf-8"))
    }

    assert [name for name in named if type_at(key_of(name)) is None] == []
