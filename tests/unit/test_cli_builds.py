"""From a target to what is sent: the manifest's name, the tarball in chunks, variables given on the command line."""

import io
import tarfile
from pathlib import Path

import cli_samples as samples
import pytest
import yaml
from perdure_server.cli import builds
from perdure_server.core.errors import PerdureError

MANIFEST = """\
name: demo
vars:
  plain: one
  token: {env: TOKEN, secret: true}
limits: {payload: 1MiB}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text("def main(event):\n    return event\n")
    (tmp_path / "perdure.yaml").write_text(MANIFEST)
    return tmp_path


def manifest_of(tarball: bytes) -> dict[str, object]:
    with tarfile.open(fileobj=io.BytesIO(tarball)) as tar:
        assert sorted(tar.getnames()) == ["main.py", "perdure.yaml"]
        content = tar.extractfile("perdure.yaml")
        assert content is not None
        loaded: dict[str, object] = yaml.safe_load(content.read())
        return loaded


def sent(remote: samples.FakeControl) -> bytes:
    return b"".join(part.chunk for part in remote.asked)


def test_a_target_is_a_folder_and_an_entry_point(folder: Path) -> None:
    source = builds.resolve(f"{folder}:main.py:main", None)
    assert (source.folder, source.project, source.entry_point) == (folder, "demo", "main.py:main")
    assert builds.resolve(str(folder), "other").project == "other"


async def test_a_build_is_sent_after_its_header(folder: Path) -> None:
    remote = samples.FakeControl()
    made = await builds.send(remote, builds.folder(folder, None), build_only=True)
    assert made.deployment_id == "d1"
    assert (remote.asked[0].header.project, remote.asked[0].header.build_only) == ("demo", True)
    assert manifest_of(sent(remote)) == yaml.safe_load(MANIFEST)


async def test_variables_on_the_command_line_replace_the_manifests(folder: Path) -> None:
    remote = samples.FakeControl()
    given = {"plain": "two", "new": "true"}
    await builds.send(remote, builds.resolve(str(folder), None, given), build_only=True)
    manifest = manifest_of(sent(remote))
    assert manifest["vars"] == {
        "plain": {"value": "two"},
        "token": {"env": "TOKEN", "secret": True},
        "new": {"value": "true"},
    }
    assert manifest["limits"] == {"payload": "1MiB"}


async def test_variables_need_no_manifest(folder: Path) -> None:
    (folder / "perdure.yaml").unlink()
    remote = samples.FakeControl()
    await builds.send(remote, builds.resolve(str(folder), None, {"a": "1"}), build_only=True)
    assert manifest_of(sent(remote)) == {"vars": {"a": {"value": "1"}}}


def test_a_folder_that_is_not_there_is_p0110(tmp_path: Path) -> None:
    with pytest.raises(PerdureError) as caught:
        builds.folder(tmp_path / "none", None)
    assert caught.value.code == "P0110"
