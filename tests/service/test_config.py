from __future__ import annotations

from pathlib import Path

import pytest

from service.config import Config, load_config, nearest, setting_rows
from service.errors import InvalidInput


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_defaults_alone_are_a_config():
    loaded = load_config()
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}


def test_flags_beat_environment_beats_file_beats_default(tmp_path: Path):
    file = write(tmp_path, "[server]\nport = 1\nhost = '::1'\nkeepalive_s = 5\n[data]\ndir = 'here'\n")
    environment = {"NARTHEX_SERVER_PORT": "2", "NARTHEX_SERVER_HOST": "localhost", "PATH": "x"}
    loaded = load_config(file, environment, {"server.port": 3, "work.workers": None})
    assert (loaded.config.server.port, loaded.config.server.host) == (3, "localhost")
    assert loaded.config.server.keepalive_s == 5.0
    assert loaded.config.data.dir == Path("here")
    assert loaded.origins["server.port"] == "flag"
    assert loaded.origins["server.host"] == "NARTHEX_SERVER_HOST"
    assert loaded.origins["data.dir"] == str(file)
    assert loaded.origins["work.workers"] == "default"


def test_the_file_in_the_working_folder_is_read(tmp_path: Path):
    (tmp_path / "narthex.toml").write_text("[work]\nworkers = 3\n")
    loaded = load_config()
    assert loaded.config.work.workers == 3
    assert loaded.origins["work.workers"] == "narthex.toml"


def test_a_file_that_is_named_by_the_environment_must_exist(tmp_path: Path):
    with pytest.raises(InvalidInput, match="NARTHEX_CONFIG: there is no file"):
        load_config(environment={"NARTHEX_CONFIG": str(tmp_path / "no.toml")})
    with pytest.raises(InvalidInput, match="--config: there is no file"):
        load_config(tmp_path / "no.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nprot = 1\n", r"settings\.toml: unknown key prot in \[server\]; did you mean port\?"),
        ("[sever]\nport = 1\n", r"settings\.toml: unknown section \[sever\]; did you mean \[server\]\?"),
        ("[server]\nzzzzzzzz = 1\n", r"unknown key zzzzzzzz in \[server\]; known are host, port"),
        ("server = 1\n", r"server must be a section"),
        ("[server]\nport = 'x'\n", r"server\.port: got 'x', expected a whole number"),
        ("[server]\nport = true\n", r"server\.port: got True, expected a whole number"),
        ("[server]\nport = 70000\n", r"settings\.toml: server\.port: got 70000, allowed 0 \.\. 65535"),
        ("[model]\nguidance = nan\n", r"model\.guidance: got nan, allowed 0 \.\. 20"),
        ("[log]\nlevel = 'loud'\n", r"log\.level: got 'loud', allowed debug, info, warning, error"),
        ("[auth]\nserver_keys = ['short']\n", r"auth\.server_keys: got a key shorter than 16"),
        ("[auth]\nserver_keys = 'abcdefghijklmnopqrst'\n", r"expected a list of strings"),
        ("[auth]\ntoken_secret = 'weak'\n", r"auth\.token_secret: got 4 characters, needs 32"),
        ("[server\n", r"not a TOML file"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, expected: str):
    with pytest.raises(InvalidInput, match=expected):
        load_config(write(tmp_path, text))


def test_a_binary_file_is_refused(tmp_path: Path):
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not a TOML file"):
        load_config(path)


def test_unknown_variables_and_flags_are_errors():
    with pytest.raises(InvalidInput, match="NARTHEX_SERVR_PORT; did you mean NARTHEX_SERVER_PORT"):
        load_config(environment={"NARTHEX_SERVR_PORT": "1"})
    with pytest.raises(InvalidInput, match=r"unknown setting server\.prot; did you mean server\.port"):
        load_config(flags={"server.prot": 1})
    with pytest.raises(InvalidInput, match=r"NARTHEX_SERVER_PORT: server\.port: got 'x', expected a whole number"):
        load_config(environment={"NARTHEX_SERVER_PORT": "x"})


def test_all_wrong_fields_of_a_section_are_named_at_once(tmp_path: Path):
    with pytest.raises(InvalidInput) as caught:
        load_config(write(tmp_path, "[work]\nworkers = -1\nmax_attempts = 0\n"))
    assert [problem.field for problem in caught.value.fields] == ["work.workers", "work.max_attempts"]


def test_lists_come_from_the_environment_by_commas():
    keys = "a" * 16 + " , " + "b" * 16
    assert load_config(environment={"NARTHEX_AUTH_SERVER_KEYS": keys}).config.auth.server_keys == ("a" * 16, "b" * 16)


def test_rows_name_every_setting_once_and_hide_secrets():
    loaded = load_config(environment={"NARTHEX_AUTH_SERVER_KEYS": "s" * 16})
    rows = {row.name: row for row in setting_rows(loaded)}
    assert set(rows) == set(loaded.origins)
    assert rows["auth.server_keys"].value == "***"
    assert rows["auth.token_secret"].value == ""
    assert "s" * 16 not in repr(rows)
    assert all(row.about.endswith(".") for row in rows.values())


def test_weights_folder_defaults_to_the_shipped_one(tmp_path: Path):
    assert load_config().config.model.folder.parts[-2:] == ("model", "weights")
    assert load_config(flags={"model.weights_dir": str(tmp_path)}).config.model.folder == tmp_path


def test_nearest_says_nothing_for_something_quite_different():
    assert nearest("qqqq", ["port", "host"]) == ""
    assert nearest("hots", ["port", "host"]) == "host"
