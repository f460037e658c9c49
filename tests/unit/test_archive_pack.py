"""Packing a folder: the same bytes for the same content, nothing that does not belong into a build."""

import hashlib
import os
import socket
from pathlib import Path

import pytest
from perdure_runner.host.archive import ArchiveLimits
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.build import digest, extract, pack


def write(root: Path, *paths: str, content: str = "x") -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def unpacked(data: bytes, dest: Path) -> list[str]:
    extract(data, dest)
    return sorted(str(path.relative_to(dest)) for path in dest.rglob("*"))


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "1", "main.py", "lib/a.py", "lib/b.py")
    second = write(tmp_path / "2", "lib/b.py", "lib/a.py", "main.py")
    os.utime(second / "main.py", (1, 1))
    (second / "lib/a.py").chmod(0o600)
    assert pack(first) == pack(second)
    assert digest(pack(first)) == hashlib.sha256(pack(first)).hexdigest()
    (second / "lib/a.py").chmod(0o755)
    assert pack(first) != pack(second)


def test_what_is_packed_comes_back(tmp_path: Path) -> None:
    root = write(tmp_path / "root", "main.py", "data/ä ö.txt", "bin/tool")
    (root / "bin/tool").chmod(0o700)
    (root / "empty").mkdir()
    (root / "alias.py").symlink_to(root / "main.py")
    (root / "bin/up").symlink_to("..")
    dest = tmp_path / "dest"
    names = unpacked(pack(root), dest)
    assert names == sorted(["main.py", "data", "data/ä ö.txt", "bin", "bin/tool", "bin/up", "empty", "alias.py"])
    assert os.readlink(dest / "alias.py") == "main.py"
    assert os.readlink(dest / "bin/up") == ".."
    assert os.access(dest / "bin/tool", os.X_OK)
    assert pack(dest) == pack(root)


def test_caches_and_ignored_files_stay_out(tmp_path: Path) -> None:
    root = write(
        tmp_path / "root",
        "main.py",
        ".git/config",
        "lib/__pycache__/a.pyc",
        "lib/a.py",
        "old.pyc",
        ".venv/bin/python",
        ".perdure/perdure.db",
        ".perdure-host/builds/x",
        "home/perdure.db",
        "home/key",
        "lib/env/pyvenv.cfg",
        "lib/env/bin/python",
        "web/node_modules/x.js",
        "secret.pem",
        "lib/deep/secret.pem",
        "data/big.csv",
        "lib/data",
        "top.txt",
        "lib/top.txt",
        "docs/api/x.md",
    )
    (root / ".perdureignore").write_text("# not needed\n\n*.pem\ndata/\n/top.txt\ndocs/api\n")
    assert unpacked(pack(root), tmp_path / "dest") == [
        ".perdureignore",
        "docs",
        "lib",
        "lib/a.py",
        "lib/data",
        "lib/deep",
        "lib/top.txt",
        "main.py",
        "web",
    ]


def test_negation_in_the_ignore_file_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / ".perdureignore").write_text("*.pem\n!key.pem\n")
    with pytest.raises(PerdureError) as caught:
        pack(tmp_path)
    assert caught.value.render().startswith("error[P0103] .perdureignore:2:1 ")


def test_links_out_and_special_files_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "root", "main.py")
    (root / "out").symlink_to("../elsewhere")
    with pytest.raises(PerdureError, match="link out") as caught:
        pack(root)
    assert caught.value.code == "P0122"
    (root / "out").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s.sock"))
        with pytest.raises(PerdureError) as caught:
            pack(root)
    assert caught.value.code == "P0122"
    (root / ".perdureignore").write_text("*.sock")
    assert pack(root)


def test_limits(tmp_path: Path) -> None:
    root = write(tmp_path, "a", "b", "c", content="x" * 100)
    assert pack(root, ArchiveLimits(files=3, total_bytes=300))
    for limits in (ArchiveLimits(files=2), ArchiveLimits(total_bytes=299)):
        with pytest.raises(PerdureError) as caught:
            pack(root, limits)
        assert caught.value.code == "P0124"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PerdureError) as caught:
        pack(tmp_path / "none")
    assert caught.value.code == "P0110"


def test_errors_of_the_extractor_become_errors_for_people(tmp_path: Path) -> None:
    with pytest.raises(PerdureError) as caught:
        extract(b"no tarball", tmp_path / "dest")
    assert caught.value.code == "P0120"
    assert not (tmp_path / "dest").exists()
