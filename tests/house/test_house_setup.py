"""The script that makes .venv, on machines that lack something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A checkout without .venv beside a bin/ that holds a shell's tools, apt-get and no Python."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/venv", tmp_path / ".ci")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname", "rm"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    add_program(tmp_path, "apt-get", "exit 1")
    return tmp_path


def add_program(machine: Path, name: str, script: str) -> None:
    program = machine / "bin" / name
    program.write_text(f"#!{shutil.which('sh')}\n{script}\n")
    program.chmod(0o755)


def set_up(machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [machine / ".ci/venv"],
        env={"PATH": str(machine / "bin"), "HOME": str(machine)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_python_the_line_to_type_is_said(bare_machine: Path) -> None:
    ended = set_up(bare_machine)

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("Switchboard needs Python 3.11 or newer, which is not on PATH: ")
    assert line.endswith(": sudo apt-get install -y make python3 python3-venv")


def test_a_python_that_is_too_old_is_no_python(bare_machine: Path) -> None:
    add_program(bare_machine, "python3", "exit 1")

    assert "which is not on PATH" in set_up(bare_machine).stderr


def test_a_python_without_venv_is_said(bare_machine: Path) -> None:
    add_program(bare_machine, "python3.12", 'case "$2" in *ensurepip*) exit 1;; esac')

    ended = set_up(bare_machine)

    assert ended.returncode == 1
    assert ended.stderr == "python3.12 has no venv module: sudo apt-get install -y make python3 python3-venv\n"


def test_a_shim_that_does_not_answer_is_passed_over(bare_machine: Path) -> None:
    add_program(bare_machine, "python3.14", "exit 127")
    (bare_machine / "bin/python3").symlink_to(sys.executable)
    (bare_machine / "requirements-dev.txt").touch()

    ended = set_up(bare_machine)

    assert ended.returncode == 0, ended.stderr
    assert os.access(bare_machine / ".venv/bin/python", os.X_OK)
