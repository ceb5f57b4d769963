"""`python -m daemon` as a person types it."""

from __future__ import annotations

from click.testing import CliRunner

from daemon.__main__ import main


def test_help_says_what_it_is_and_starts_nothing() -> None:
    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    assert "Run the WhatsApp sessions" in result.output


def test_what_it_does_not_know_is_refused_and_nothing_is_started() -> None:
    result = CliRunner().invoke(main, ["--port", "1"])

    assert result.exit_code == 2
    assert "No such option" in result.output
