"""Looking at a home that has no server, and at the machine."""

import resource
from pathlib import Path

import pytest
from perdure_server.cli import probes
from perdure_server.cli.onlooker import holder, onlooker
from perdure_server.cli.probes import Verdict
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.store import HomeLock


def test_the_holder_of_a_home_is_named_while_it_holds_it(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with HomeLock(tmp_path):
        assert (holder(tmp_path) or "").startswith("process ")
        assert "a coordinator runs on it" in probes.home_state(tmp_path).detail
    assert holder(tmp_path) is None
    assert probes.home_state(tmp_path).detail.endswith("writable, free")


def test_a_folder_without_a_journal_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(PerdureError) as caught, onlooker(tmp_path):
        pass
    assert caught.value.code == "P0110"
    assert not list(tmp_path.iterdir())


def test_a_journal_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "perdure.db").write_bytes(b"not a database" * 100)
    with pytest.raises(PerdureError) as caught, onlooker(tmp_path):
        pass
    assert caught.value.code == "P0209"


def test_every_probe_has_a_verdict_and_leaves_nothing_behind(tmp_path: Path) -> None:
    findings = list(probes.probe(Settings([], {}), tmp_path / "not" / "yet"))
    assert len({found.name for found in findings}) == len(findings) == 8
    assert all(found.remedy for found in findings if found.verdict in {Verdict.WARN, Verdict.FAIL})
    assert not list(tmp_path.iterdir())


def test_an_address_in_use_is_a_warning_with_a_remedy() -> None:
    found = probes.listening("127.0.0.1:notaport")
    assert (found.verdict, found.remedy) == (Verdict.WARN, "serve --grpc 127.0.0.1:0")


def test_a_home_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert probes.home_state(tmp_path / "file").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("soft", "hard", "remedy"),
    [
        (40, 40, "have root raise the hard limit of 40 (1024 at least)"),
        (40, 4096, "ulimit -n 4096"),
        (40, 1 << 20, "ulimit -n 65536"),
        (40, resource.RLIM_INFINITY, "ulimit -n 65536"),
        (1024, 1024, ""),
    ],
)
def test_the_remedy_for_few_open_files_can_be_followed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, remedy: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    found = probes.open_files()
    assert found.remedy.partition(":")[0] == remedy
