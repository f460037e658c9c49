"""How what is compiled is built, and how compiled call sites are found, and done without."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHICH = "from perdure_runner.child.patching import sites; print(sites.twin.__name__.rpartition('_')[2])"


@pytest.fixture
def builder():
    return runpy.run_path(str(ROOT / "build_sites.py"))


def which(*options, **environ):
    folders = os.pathsep.join(str(ROOT / name) for name in ("sdk", "runner"))
    ran = subprocess.run(
        [sys.executable, *options, "-c", WHICH],
        env={"PYTHONPATH": folders, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


def test_it_is_built_for_this_interpreter(builder, tmp_path):
    if reason := builder["unsupported"]():
        pytest.skip(reason)
    modules = [builder["build"](tmp_path, name) for name in builder["MODULES"]]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(modules)
    paths = f"import sys; sys.path[:0] = {[str(module.parent) for module in modules]!r}"
    code = f"{paths}; import _sharing, _sites; print(_sites.CallGuard().call.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "call\n"


def test_versions_that_it_was_ported_to_have_a_header(builder):
    headers = {path.name for path in builder["SOURCES"].glob("_sites_py*.h")}
    assert headers == {f"_sites_py{major}{minor}.h" for major, minor in builder["PORTED"]}


@pytest.mark.parametrize("compiler", ["/nonexistent/cc", "false"])
def test_without_a_compiler_it_says_so(builder, tmp_path, monkeypatch, compiler):
    monkeypatch.setenv("LDSHARED", compiler)
    with pytest.raises(RuntimeError, match=compiler):
        builder["build"](tmp_path, "patching/_sites")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_interpreters_are_told(builder, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert builder["unsupported"]() == "the guards have not been ported to CPython 3.99"


def test_the_switch(builder):
    assert which(PERDURE_PURE="1") == "pure"
    if list(builder["SOURCES"].glob(f"_sites.{sys.implementation.cache_tag}-*.so")):
        assert which() == which(PERDURE_PURE="0") == which(PERDURE_PURE="") == "compiled"


def test_hosts_hand_the_switch_on(monkeypatch, tmp_path):
    from perdure_runner.host import launch
    from perdure_runner.host.config import HostConfig

    config = HostConfig(state_dir=tmp_path)
    monkeypatch.delenv("PERDURE_PURE", raising=False)
    assert "PERDURE_PURE" not in launch.environment(config, 0)
    monkeypatch.setenv("PERDURE_PURE", "1")
    assert launch.environment(config, 0)["PERDURE_PURE"] == "1"


def test_hosts_say_when_call_sites_are_slow(monkeypatch, tmp_path):
    from perdure_runner.host import launch

    monkeypatch.setattr(launch, "_COMPILED_SITES", tmp_path)
    monkeypatch.delenv("PERDURE_PURE", raising=False)
    (tmp_path / "_sites.cpython-311-x86_64-linux-gnu.so").touch()
    assert launch.pure_notice("cpython-311") == ""
    assert launch.pure_notice("cpython-399").endswith("no compiled ones for cpython-399")
    monkeypatch.setenv("PERDURE_PURE", "1")
    assert launch.pure_notice("cpython-311").startswith("perdure: call sites run in pure Python (about twice slower): ")
