"""Base images: Debian with Python and nothing else, made of packages without any registry; or an image of yours.

`mmdebstrap --variant=extract` unpacks packages and runs nothing of them; what their scripts would have done and a
runner needs is done once, in a container without network: certificates, users, and the compiled standard library,
without which every start would compile it anew.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure_runner.host.docker.ending import OWNER, owner
from perdure_runner.host.docker.engine import Engine, EngineError, NoEngineError, NotThereError
from perdure_runner.host.docker.layers import LABEL, add_layer
from perdure_runner.host.pythons import OLDEST, Interpreter

REPOSITORY = "perdure-base"
"""Base images are `perdure-base:3.11`, one a minor version of Python."""
PACKAGES = ("python3", "ca-certificates", "tzdata", "libstdc++6", "base-passwd", "dash", "coreutils", "libc-bin")
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_RAW = "perdure-base:raw"
_BUILD_S = 900.0
_MOST_SAID = 2000

_FINISH = """
import compileall, json, os, pathlib, ssl, sys, sysconfig
certificates = sorted(pathlib.Path("/usr/share/ca-certificates").rglob("*.crt"))
bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
if certificates and not bundle.exists():
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(file.read_bytes() for file in certificates))
expected = pathlib.Path(ssl.get_default_verify_paths().openssl_cafile)
if bundle.exists() and not expected.exists():
    expected.parent.mkdir(parents=True, exist_ok=True)
    expected.symlink_to(bundle)
for name, root, runner in (
    ("passwd", "root:x:0:0:root:/root:/bin/sh", "runner:x:65532:65532:runner:/tmp:/bin/sh"),
    ("group", "root:x:0:", "runner:x:65532:"),
):
    file = pathlib.Path("/etc") / name
    lines = file.read_text().splitlines() if file.exists() else [root]
    if not any(line.startswith("runner:") for line in lines):
        file.write_text("\\n".join([*lines, runner, ""]))
compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2, workers=os.cpu_count() or 1)
print(json.dumps([sys.executable, sys.version_info[:3], sys.implementation.cache_tag]))
"""


@dataclass(frozen=True, slots=True)
class Base:
    """A base image."""

    image: str  # its id
    tag: str
    python: Interpreter  # its path is one in the image


def build_debian(engine: Engine, suite: str, say: Callable[[str], None]) -> Base:
    """Make a base image of Debian or Ubuntu packages, from where this machine's apt gets its own.

    `suite` ("bookworm"); empty: this machine's own. `say` gets a line for each step. Blocks; some 20 seconds.

    Raises:
        NoEngineError: no engine, or no mmdebstrap. EngineError: a step failed; its message has the last that was said.
    """
    tool = shutil.which("mmdebstrap")
    if tool is None:
        remedy = "apt-get install mmdebstrap; or --from IMAGE with an image that has Python"
        raise NoEngineError("a base image is built by mmdebstrap, which is not installed", remedy)
    suite = suite or _own_suite()
    engine.ask(lambda client: client.ping())  # before minutes are spent
    with tempfile.TemporaryDirectory(prefix="perdure-base-") as work:
        tarball = Path(work) / "base.tar"
        say(f"unpacking packages of {suite}")
        _run([
            tool, "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED), suite, str(tarball),
        ])  # fmt: skip
        say("importing them")
        repository, _, version = _RAW.partition(":")
        engine.ask(lambda client: client.api.import_image_from_file(str(tarball), repository=repository, tag=version))
    base = _finish(engine, _RAW, say)
    engine.ask(lambda client: client.images.remove(_RAW))
    return base


def build_from(engine: Engine, image: str, say: Callable[[str], None]) -> Base:
    """Make a base image of one that the engine has already; errors as of `build_debian`."""
    try:
        engine.ask(lambda client: client.images.get(image))
    except NotThereError:
        raise NoEngineError(f"the engine has no image {image}", f"docker pull {image}, or docker load") from None
    return _finish(engine, image, say)


def bases(client: Any) -> list[Base]:
    """Give all base images of an engine, oldest Python first. Blocks."""
    found = []
    for image in client.images.list(filters={"label": f"{LABEL}=base"}):
        for tag in image.tags:
            if tag.startswith(f"{REPOSITORY}:"):
                python = _interpreter(json.loads(image.labels["perdure.python"]))
                found.append(Base(image.id, tag, python))
    return sorted(found, key=lambda base: base.python.version)


def _finish(engine: Engine, image: str, say: Callable[[str], None]) -> Base:
    say("compiling the standard library")
    draft = f"{REPOSITORY}:draft"
    command = ["python3", "-c", _FINISH]
    marks = {OWNER: owner()}
    _, said = engine.ask(lambda client: add_layer(client, image, draft, command=command, labels={}, marks=marks))
    described = said.strip().splitlines()[-1]
    python = _interpreter(json.loads(described))
    if python.version[:2] < OLDEST:
        raise EngineError(f"{image} has Python {python.version[0]}.{python.version[1]}; 3.11 or newer is needed")
    tag = "{}:{}.{}".format(REPOSITORY, *python.version)
    labels = {LABEL: "base", "perdure.python": described}
    made, _ = engine.ask(
        lambda client: add_layer(client, draft, tag, command=[python.path, "-c", ""], labels=labels, marks=marks)
    )
    engine.ask(lambda client: client.images.remove(draft, noprune=True))
    return Base(made, tag, python)


def _interpreter(described: list[Any]) -> Interpreter:
    path, (major, minor, micro), cache_tag = described
    # A folder of its own in a build's cache: the same version of another build may compile another way.
    return Interpreter(path, (major, minor, micro), f"docker-{cache_tag}", foreign=True)


def _own_suite() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise NoEngineError("this machine is no Debian or Ubuntu release", "perdure images build-base --suite NAME")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_BUILD_S, check=False)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{command[0]} did not end within {_BUILD_S:.0f} s") from None
    if done.returncode:
        raise EngineError(f"{command[0]} exited with {done.returncode}: {done.stderr[-_MOST_SAID:]}")
