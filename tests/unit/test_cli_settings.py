"""Flag, then variable, then `perdure.toml`, then the user's file, then default; each says where it came from."""

from pathlib import Path

import pytest
from perdure_server.cli.settings import SETTINGS, Settings
from perdure_server.core.errors import PerdureError


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_nearest_source_wins_and_is_named(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}
    settings = Settings.load(tmp_path, environ)
    assert (settings.resolve("home").value, settings.resolve("home").origin) == (".perdure", "default")

    user = write(tmp_path / "xdg" / "perdure" / "perdure.toml", 'home = "user"\ngrace = 3\n')
    settings = Settings.load(tmp_path, environ)
    assert (settings.resolve("home").value, settings.resolve("home").origin) == ("user", str(user))

    project = write(tmp_path / "perdure.toml", 'home = "project"\n')
    settings = Settings.load(tmp_path, environ)
    assert (settings.resolve("home").value, settings.resolve("home").origin) == ("project", str(project))
    assert settings.resolve("grace").value == 3.0

    environ["PERDURE_HOME"] = "variable"
    settings = Settings.load(tmp_path, environ)
    assert (settings.resolve("home").value, settings.resolve("home").origin) == ("variable", "PERDURE_HOME")
    assert (settings.resolve("home", "flag").value, settings.resolve("home", "flag").origin) == ("flag", "flag")


def test_the_users_file_is_below_dot_config_without_xdg(tmp_path: Path) -> None:
    write(tmp_path / ".config" / "perdure" / "perdure.toml", "list_limit = 7\n")
    assert Settings.load(tmp_path / "elsewhere", {"HOME": str(tmp_path)}).resolve("list_limit").value == 7


def test_an_unknown_setting_is_refused_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path / "perdure.toml", '# mine\nhoem = "x"\n')
    with pytest.raises(PerdureError) as caught:
        Settings.load(tmp_path, {"HOME": str(tmp_path)})
    error = caught.value
    assert (error.code, error.line, error.source) == ("P0102", 2, 'hoem = "x"')
    assert error.help == "did you mean 'home'?"


def test_broken_toml_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "perdure.toml", "home = \n")
    with pytest.raises(PerdureError, match="TOML") as caught:
        Settings.load(tmp_path, {"HOME": str(tmp_path)})
    assert caught.value.code == "P0101"


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("grace", "soon"),
        ("grace", "-1"),
        ("grace", "inf"),
        ("list_limit", "0"),
        ("list_limit", "1.5"),
        ("runner", "fog"),
    ],
)
def test_a_bad_value_is_refused_with_its_origin(name: str, raw: str) -> None:
    settings = Settings([], {f"PERDURE_{name.upper()}": raw})
    with pytest.raises(PerdureError, match=f"PERDURE_{name.upper()}") as caught:
        settings.resolve(name)
    assert caught.value.code == "P0103"


@pytest.mark.parametrize("text", ["home = 3\n", "grace = true\n", "list_limit = [1]\n", "list_limit = true\n"])
def test_a_value_of_the_wrong_type_in_a_file_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    write(tmp_path / "perdure.toml", text)
    settings = Settings.load(tmp_path, {"HOME": str(tmp_path)})
    with pytest.raises(PerdureError) as caught:
        settings.resolve(text.split(maxsplit=1)[0])
    assert (caught.value.code, caught.value.line, caught.value.source) == ("P0103", 1, text.strip())


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_is_a_value_of_its_setting(setting: object) -> None:
    assert Settings([], {}).resolve(setting.name, setting.default).value == setting.default  # type: ignore[attr-defined]
    assert setting.doc.endswith(".")  # type: ignore[attr-defined]
    assert setting.unit  # type: ignore[attr-defined]
