from __future__ import annotations

import base64
import contextlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import settings
from settings import SettingsError
from settings.keys import every_key, key_of, variable_of

ROOT = Path(__file__).parents[2]
SERVER = """
[waha.servers.main]
url = "http://127.0.0.1:3000"
webhook_url = "http://127.0.0.1:8080/webhooks/waha/main"
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a file with one good server and the given lines before it."""

    def write(lines: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(lines + SERVER, encoding="utf-8")
        return file

    return write


def problems_of(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings.load(path, environ or {})
    return caught.value.problems


def test_the_file_of_the_repository_says_the_defaults(written: Callable[[str], Path]) -> None:
    shipped = settings.load(ROOT / "config.toml", {})

    defaults = settings.load(written(""), {})

    assert shipped.model_copy(update={"database": defaults.database}) == defaults
    assert shipped.database.data_dir == ROOT / "var/postgres"


def test_without_a_name_the_file_of_the_repository_is_read() -> None:
    assert settings.load(environ={}) == settings.load(ROOT / "config.toml", {})


def test_the_environment_wins_over_the_file(written: Callable[[str], Path]) -> None:
    file = written('[daemon]\nport = 1\nhost = "10.0.0.1"\n')

    loaded = settings.load(file, {"SWITCHBOARD_DAEMON__PORT": "2"})

    assert (loaded.daemon.port, loaded.daemon.host) == (2, "10.0.0.1")


@pytest.mark.parametrize("text", ["T1/U1,T1/U2", " T1/U1 , T1/U2 ", '["T1/U1", "T1/U2"]'])
def test_a_list_in_the_environment_is_json_or_comma_separated(written: Callable[[str], Path], text: str) -> None:
    loaded = settings.load(written(""), {"SWITCHBOARD_SLACK__OPERATORS": text})

    assert loaded.slack.operators == ("T1/U1", "T1/U2")


def test_a_list_without_one_right_item_is_refused_once(written: Callable[[str], Path]) -> None:
    with pytest.raises(SettingsError) as refusal:
        settings.load(written(""), {"SWITCHBOARD_DAEMON__ROLES": "foo"})

    [problem] = refusal.value.problems
    assert "daemon.roles, item 1, must be" in problem


def test_an_empty_variable_is_an_empty_list_or_text(written: Callable[[str], Path]) -> None:
    environ = {"SWITCHBOARD_SLACK__TEAMS": "", "SWITCHBOARD_SLACK__BOT_TOKEN": ""}

    loaded = settings.load(written('[slack]\nteams = ["T1"]\nbot_token = "xoxb-1"\n'), environ)

    assert loaded.slack.teams == ()
    assert not loaded.slack.bot_token.get_secret_value()


def test_the_environment_reaches_one_server_and_adds_another(written: Callable[[str], Path]) -> None:
    environ = {
        "SWITCHBOARD_WAHA__SERVERS__MAIN__API_KEY": "one",
        "SWITCHBOARD_WAHA__SERVERS__EU_1__URL": "http://eu:3000/",
        "SWITCHBOARD_WAHA__SERVERS__EU_1__WEBHOOK_URL": "http://us:8080/webhooks/waha/eu-1",
    }

    servers = settings.load(written(""), environ).waha.servers

    assert servers["main"].api_key.get_secret_value() == "one"
    assert servers["eu-1"].url == "http://eu:3000"


def test_the_file_may_be_named_by_the_environment(written: Callable[[str], Path]) -> None:
    file = written("[daemon]\nport = 4711\n")

    assert settings.load(environ={"SWITCHBOARD_CONFIG": str(file)}).daemon.port == 4711


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"

    with pytest.raises(SettingsError, match=r"none\.toml: there is no such file"):
        settings.load(environ={"SWITCHBOARD_CONFIG": str(missing)})


def test_a_relative_data_dir_starts_at_the_folder_of_the_file(written: Callable[[str], Path]) -> None:
    file = written('[database]\ndata_dir = "rows"\n')

    assert settings.load(file, {}).database.data_dir == file.parent / "rows"


def test_loaded_settings_are_frozen(written: Callable[[str], Path]) -> None:
    loaded = settings.load(written(""), {})

    with pytest.raises(ValidationError, match="frozen"):
        loaded.daemon.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("lines", "meant"),
    [
        ('[slack]\nbot_tokn = ""\n', "did you mean slack.bot_token?"),
        ('[slak]\nbot_token = ""\n', "did you mean slack?"),
        ('[slack]\napi_key = ""\n', "did you mean waha.servers.main.api_key?"),
        ("[delivery]\npoll_seconds = 1\n", "did you mean daemon.poll_seconds?"),
        ("keep_days = 1\n", "did you mean daemon.keep_days?"),
        ("[log]\nqqq = 1\n", "the keys of log are level, format"),
        ("[waha.server.main]\n", "did you mean waha.servers?"),
        ('[waha.servers.eu]\nurl = "http://a"\nwebhook_url = "http://b"\napikey = ""\n', "waha.servers.eu.api_key?"),
    ],
)
def test_an_unknown_key_names_the_nearest_right_one(written: Callable[[str], Path], lines: str, meant: str) -> None:
    [problem] = problems_of(written(lines))

    assert "is not a setting" in problem
    assert meant in problem


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SWITCHBOARD_SLACK_BOT_TOKEN", "did you mean SWITCHBOARD_SLACK__BOT_TOKEN?"),
        ("SWITCHBOARD_SLACK__BOT_TOKN", "did you mean SWITCHBOARD_SLACK__BOT_TOKEN?"),
        ("SWITCHBOARD_SLACK__MODE__X", "is not a setting"),
        ("SWITCHBOARD_SLACK", "set its keys: SWITCHBOARD_SLACK__…"),
        ("SWITCHBOARD_WAHA__SERVERS__MAIN", "set its keys: SWITCHBOARD_WAHA__SERVERS__MAIN__…"),
        ("SWITCHBOARD_", "is not a setting"),
    ],
)
def test_an_unknown_variable_names_the_nearest_right_one(
    written: Callable[[str], Path], variable: str, meant: str
) -> None:
    [problem] = problems_of(written(""), {variable: "1"})

    assert problem.startswith("environment: ")
    assert meant in problem


def test_variables_of_others_are_left_alone(written: Callable[[str], Path]) -> None:
    environ = {"SWITCHBOARD_TEST_URL": "x", "SWITCHBOARD_SANDBOX_STATE": "y", "HOME": "/", "SLACK__MODE": "?"}

    assert settings.load(written(""), environ) == settings.load(written(""), {})


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('[daemon]\nport = "8080"\n', "daemon.port must be a valid integer"),
        ("[daemon]\nport = true\n", "daemon.port must be a valid integer"),
        ("[daemon]\nport = 70000\n", "daemon.port must be less than or equal to 65535"),
        ("[daemon]\nroles = []\n", "daemon.roles"),
        ('[daemon]\nroles = ["inbox", "sendr"]\n', "daemon.roles, item 2, must be 'ingress'"),
        ('[daemon]\nroles = "inbox"\n', "daemon.roles must be a list"),
        ("[daemon]\npoll_seconds = 0\n", "daemon.poll_seconds must be greater than 0"),
        ("[daemon]\npoll_seconds = inf\n", "daemon.poll_seconds must be a finite number"),
        ('daemon = "x"\n', "daemon must be a table: [daemon]"),
        ('[slack]\nmode = "sockets"\n', "slack.mode must be 'socket' or 'http'"),
        ('[slack]\napi_url = "slack.com"\n', "slack.api_url must be an address that starts with http:// or https://"),
        ('[slack]\ncommand = "wa"\n', "slack.command must be / and up to 31"),
        ('[slack]\noperators = ["U1"]\n', "slack.operators, item 1, must be a team id and a user id"),
        ('[database]\nurl = "mysql://a:b@c"\n', "database.url must be postgresql://"),
        ('[database]\nurl = "postgresql://a:b@c:port/d"\n', "database.url must be postgresql://"),
        ('[security]\nencryption_keys = ["short"]\n', "security.encryption_keys, item 1, must be 32 random bytes"),
        (
            '[security]\npublic_url = "http://wa.example"\n',
            "security.public_url must start with https://, since people",
        ),
        ('[security]\npublic_url = "https://wa.example?x=1"\n', "security.public_url must be an address alone"),
        (
            '[daemon]\ntrusted_proxies = ["10.0.0.0/33"]\n',
            "daemon.trusted_proxies, item 1, must be an address or a net",
        ),
        ('[reports]\nschedule = "daily"\n', "reports.schedule must be five cron fields"),
        ('[reports]\ntime_zone = "Berlin"\n', "reports.time_zone must be the name of a time zone"),
        ('[log]\nlevel = "loud"\n', "log.level must be 'DEBUG'"),
    ],
)
def test_a_bad_value_is_refused_in_words(written: Callable[[str], Path], lines: str, problem: str) -> None:
    file = written(lines)

    [found] = problems_of(file)

    assert found.startswith(f"{file}: {problem}")


def test_a_server_needs_a_plain_name_and_both_addresses(written: Callable[[str], Path]) -> None:
    problems = problems_of(written("[waha.servers.EU_1]\n"))

    assert any("the name of a server is made of small letters" in problem for problem in problems)
    assert any("url is missing; it can also be set as SWITCHBOARD_WAHA__" in problem for problem in problems)


def test_at_least_one_server_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")

    [problem] = problems_of(file)

    assert problem.endswith("at least one WAHA server is needed: a table such as [waha.servers.main]")


def test_all_problems_are_told_at_once_each_with_its_origin(written: Callable[[str], Path]) -> None:
    file = written('[slack]\nmode = 3\n[log]\nlevl = "INFO"\n')

    problems = problems_of(file, {"SWITCHBOARD_DAEMON__PORT": "high", "SWITCHBOARD_LOK": "1"})

    assert sorted(problem.split(" ")[0] for problem in problems) == [
        f"{file}:",
        f"{file}:",
        "environment:",
        "environment:",
    ]
    assert any("SWITCHBOARD_DAEMON__PORT: daemon.port must be a valid integer" in problem for problem in problems)


@pytest.mark.parametrize("content", [b"[slack\n", b"a = \n", b"\xff\xfe", b"[log]\n[log]\n"])
def test_a_file_that_is_not_toml_is_one_problem(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)

    [problem] = problems_of(file)

    assert re.match(rf"{re.escape(str(file))}: is not (TOML|a text in UTF-8)", problem)


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path)

    assert problem == f"{tmp_path}: cannot be read: Is a directory"


SECRETS = ["database.url", "database.owner_url", "security.encryption_keys", "slack.bot_token", "slack.signing_secret"]


@pytest.mark.parametrize("name", SECRETS)
def test_no_problem_and_no_settings_show_a_secret(written: Callable[[str], Path], name: str) -> None:
    variable = variable_of(tuple(name.split(".")))
    environ = {variable: "hunter2", variable + "X": "hunter2", "SWITCHBOARD_SLACK__APP_TOKEN": "hunter2"}

    problems = problems_of(written('[log]\nlevel = "hunter2"\n[slack]\noperators = "hunter2"\n'), environ)
    loaded = settings.load(written(""), {"SWITCHBOARD_SLACK__APP_TOKEN": "hunter2"})

    assert "hunter2" not in "".join(problems)
    assert "hunter2" not in repr(loaded) + str(loaded) + loaded.model_dump_json()


def test_encryption_keys_are_handed_out_as_bytes(written: Callable[[str], Path]) -> None:
    keys = [bytes([number]) * 32 for number in (1, 2)]
    text = ",".join(base64.b64encode(key).decode() for key in keys)

    loaded = settings.load(written(""), {"SWITCHBOARD_SECURITY__ENCRYPTION_KEYS": text})

    assert loaded.security.raw_keys == tuple(keys)


@pytest.mark.parametrize("key", list(every_key(("main", "eu-1"))), ids=".".join)
def test_every_key_has_a_variable_that_leads_back_to_it(key: tuple[str, ...]) -> None:
    assert key_of(variable_of(key)) == key


@given(
    st.dictionaries(
        st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", max_size=30).map("SWITCHBOARD_".__add__)
        | st.sampled_from([variable_of(key) for key in every_key()]),
        st.text(),
        max_size=5,
    )
)
def test_no_environment_raises_anything_but_problems(environ: dict[str, str]) -> None:
    environ.pop("SWITCHBOARD_CONFIG", None)

    with contextlib.suppress(SettingsError):
        settings.load(ROOT / "config.toml", environ)


def test_a_process_with_wrong_settings_ends_with_78_and_no_traceback(written: Callable[[str], Path]) -> None:
    file = written("[log]\nlevl = 1\n")

    ended = subprocess.run(
        [sys.executable, "-c", "import settings; settings.load_or_exit()"],
        cwd=ROOT,
        env={"SWITCHBOARD_CONFIG": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 78
    assert "did you mean log.level?" in ended.stderr
    assert "Traceback" not in ended.stderr
