"""Source distributions, where a project allows them: built by code of theirs, which can do nothing here."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from perdure_runner.host import confined, installing
from perdure_runner.host.indexes import Indexes
from perdure_runner.host.installing import InstallError
from perdure_runner.host.locks import Lock
from perdure_runner.host.pythons import Interpreter
from perdure_server.core.errors import PerdureError
from perdure_server.environments.lines import Place, Requirement
from perdure_server.environments.reading import Wanted
from perdure_server.environments.resolving import resolve
from wheelhouse import Wheelhouse

HERE = Interpreter(sys.executable, sys.version_info[:3], sys.implementation.cache_tag or "")
PATIENCE_S = 60.0

BACKEND = """
import base64, hashlib, json, os, zipfile
target, secret = {places}
try:
    open(target, "w").write("x")
    wrote = "written"
except OSError:
    wrote = "refused"
SEEN = [wrote, os.path.exists(secret), os.getpid() < 100]
FILES = {
    "sourced-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: sourced\\nVersion: 1.0\\n",
    "sourced-1.0.dist-info/WHEEL":
        "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "sourced.json": json.dumps(SEEN),
}
def build_wheel(folder, *_):
    name, record = "sourced-1.0-py3-none-any.whl", ""
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, text in FILES.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text)}\\n"
        archive.writestr("sourced-1.0.dist-info/RECORD", record + "sourced-1.0.dist-info/RECORD,,\\n")
    return name
"""


async def lock_of(name: str, sources: Indexes) -> Lock:
    """Its lock; the test is left out where nothing could hold a build."""
    requirement = Requirement(name, name, Place("requirements.txt", 1, name))
    python = "{}.{}".format(*sys.version_info)
    try:
        return await resolve(Wanted((requirement,), (), python, sdists=True), sources)
    except PerdureError as error:
        if "there is none" in error.message:
            pytest.skip(error.message)
        raise


async def test_it_is_built_in_a_sandbox(house: Wheelhouse, sources: Indexes, tmp_path: Path) -> None:
    secret, target = tmp_path / "secret", tmp_path / "target"
    secret.write_text("x")
    house.source("sourced", "1.0", BACKEND.replace("{places}", repr((str(target), str(secret)))))
    lock = await lock_of("sourced", sources)
    assert ([str(each) for each in lock.packages], lock.sdists) == (["sourced==1.0"], True)
    site = tmp_path / "made" / "site"
    await installing.install(lock, HERE, sources, site, tmp_path / "notes", PATIENCE_S)
    installing.check(site, 1 << 20)
    wrote, saw_secret, own_processes = json.loads((site / "sourced.json").read_text())
    assert (saw_secret, own_processes) == (False, True)
    assert wrote == "refused" or not target.exists()  # /tmp is its own


async def test_where_wheels_do_nothing_is_built(sources: Indexes) -> None:
    assert not (await lock_of("tiny", sources)).sdists


async def test_a_build_that_fails_is_told(house: Wheelhouse, sources: Indexes) -> None:
    house.source("broken", "1.0", "raise SystemExit('no compiler for me')")
    with pytest.raises(PerdureError, match="no compiler for me") as caught:
        await lock_of("broken", sources)
    assert (caught.value.code, caught.value.help[:28]) == ("P0303", "choose a version that has a ")


async def test_one_that_does_not_end_is_killed(house: Wheelhouse, sources: Indexes, tmp_path: Path) -> None:
    house.source("sourced", "1.0", BACKEND.replace("{places}", repr(("/x", "/y"))))
    await lock_of("sourced", sources)  # or there is no sandbox
    folder = tmp_path / "work"
    await asyncio.to_thread(folder.mkdir)
    house.source("endless", "1.0", "import time\nwhile True:\n    time.sleep(1)\n")
    finished = await confined.run(
        ["pip", "install", "--target=x", "endless"], sources, folder, "x", tmp_path / "into", 2.0, sys.executable
    )
    assert finished.status is None
    assert not (tmp_path / "into").exists()


async def test_code_of_packages_sees_no_password(sources: Indexes, house: Wheelhouse, tmp_path: Path) -> None:
    lock = Lock("{}.{}".format(*sys.version_info), (), sdists=True)
    for name, value in (("UV_DEFAULT_INDEX", "https://me:secret@index"), ("UV_INDEX_MINE_PASSWORD", "secret")):
        secret = Indexes({**sources.environment, name: value})
        with pytest.raises(InstallError, match="hold a password") as caught:
            await installing.install(lock, HERE, secret, tmp_path / "site", tmp_path / name, PATIENCE_S)
        assert caught.value.code == "P0305"
