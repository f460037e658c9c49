"""Where packages come from is the operator's to say: with uv's variables, pip's, or pip's files."""

from __future__ import annotations

from pathlib import Path

from perdure_runner.host.indexes import indexes, pip_files
from perdure_runner.host.uv import without_credentials


def pip_conf(path: Path, text: str) -> Path:
    path.write_text(f"[global]\n{text}\n")
    return path


def test_uv_comes_before_pip_and_pip_before_its_files(tmp_path: Path) -> None:
    file = pip_conf(tmp_path / "pip.conf", "index-url = http://file\nfind-links = /a\n  /b\ncert = /c.pem")
    assert indexes({}, [file]).environment == {
        "UV_DEFAULT_INDEX": "http://file",
        "UV_FIND_LINKS": "/a,/b",
        "SSL_CERT_FILE": "/c.pem",
    }
    assert indexes({"PIP_INDEX_URL": "http://pip"}, [file]).environment["UV_DEFAULT_INDEX"] == "http://pip"
    found = indexes({"PIP_INDEX_URL": "http://pip", "UV_INDEX_URL": "http://uv"}, [file]).environment
    assert "UV_DEFAULT_INDEX" not in found
    assert found["UV_INDEX_URL"] == "http://uv"


def test_the_last_file_counts_most(tmp_path: Path) -> None:
    first, last = pip_conf(tmp_path / "1", "index-url = http://1"), pip_conf(tmp_path / "2", "index_url = http://2")
    assert indexes({}, [first, tmp_path / "missing", last]).environment == {"UV_DEFAULT_INDEX": "http://2"}


def test_what_pip_calls_extra_is_asked_as_well(tmp_path: Path) -> None:
    file = pip_conf(tmp_path / "pip.conf", "extra-index-url = http://one http://two")
    found = indexes({}, [file]).environment
    assert found["UV_EXTRA_INDEX_URL"] == "http://one http://two"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-first-match"
    assert indexes({"UV_INDEX_STRATEGY": "first-index"}, [file]).environment["UV_INDEX_STRATEGY"] == "first-index"


def test_no_index_is_an_argument_and_nothing_secret_is(tmp_path: Path) -> None:
    quiet = indexes({"PIP_NO_INDEX": "true"}, [])
    assert quiet.arguments == ["--no-config", "--no-index"]
    secret = indexes({"UV_DEFAULT_INDEX": "http://me:secret@index", "UV_CONFIG_FILE": str(tmp_path)}, [])
    assert secret.arguments == []
    assert "secret" in secret.environment["UV_DEFAULT_INDEX"]


def test_nothing_else_of_the_environment_gets_through() -> None:
    given = {"UV_INDEX_MINE_PASSWORD": "x", "UV_PYTHON": "x", "PYTHONPATH": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    assert indexes(given | {"UV_CONSTRAINT": "x"}, []).environment == {"UV_INDEX_MINE_PASSWORD": "x"}


def test_the_files_of_pip(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert tmp_path / ".config/pip/pip.conf" in pip_files(home)
    assert pip_files(home | {"PIP_CONFIG_FILE": "/x"})[-1] == Path("/x")
    assert pip_files(home | {"PIP_CONFIG_FILE": "/dev/null"}) == []


def test_passwords_of_addresses_are_masked() -> None:
    assert without_credentials("at https://me:pw@host/simple, not b@c") == "at https://***@host/simple, not b@c"
