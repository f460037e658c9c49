"""Generated code in the repository is what its source generates now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROTO = Path(__file__).parent.parent.parent / "proto"
OLD_ENOUGH = sys.version_info < (3, 13)


@pytest.mark.slow
@pytest.mark.skipif(not OLD_ENOUGH, reason="the pinned generator has wheels for CPython up to 3.12")
def test_protobuf_code_is_not_stale(tmp_path):
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv, "the development environment brings uv"
    environment = tmp_path / "generator"
    subprocess.run([uv, "-q", "venv", "-p", sys.executable, environment], check=True)
    target = ["--python", environment / "bin/python", "-r", PROTO / "requirements.txt"]
    subprocess.run([uv, "-q", "pip", "install", *target], check=True, cwd=PROTO.parent)

    fresh = tmp_path / "fresh"
    fresh.mkdir()
    run = {**os.environ, "PERDURE_PROTO_ENV": str(environment)}
    subprocess.run([PROTO / "generate.sh", fresh], check=True, env=run)

    made = sorted(path.relative_to(fresh) for path in fresh.rglob("*_pb2*"))
    committed = sorted(path.relative_to(PROTO) for path in PROTO.rglob("*_pb2*") if path.suffix in {".py", ".pyi"})
    assert made == committed, "run `make proto`"
    for path in made:
        assert (fresh / path).read_text() == (PROTO / path).read_text(), f"{path} is stale: run `make proto`"
