"""`perdure images`: the images that the Docker backend runs sessions from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from perdure_server.cli import documents, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_runner.host.docker.engine import Engine
    from perdure_runner.host.docker.images import Images

T = TypeVar("T")

_MIB = 1 << 20
_DIGITS = 12  # of a lock's digest, in tables

images = LazyGroup(
    {
        "build-base": Lazy("images", "build_base", "Make the image that all runner images begin with."),
        "list": Lazy("images", "list_images", "List perdure's images in the Docker Engine."),
        "prune": Lazy("images", "prune", "Remove runner images that nothing would use any more."),
    },
    name="images",
    help="Make, list and remove the images that `host --backend docker` and `serve --runner docker` use.",
)


@click.command("build-base")
@click.option("--from", "image", metavar="IMAGE", help="An image of the engine's with Python 3.11 or newer.")
@click.option("--suite", metavar="NAME", help="A release of Debian or Ubuntu [default: this machine's].")
@options.JSON
def build_base(image: str | None, suite: str | None, as_json: bool) -> None:
    """Make the base image of runners: from packages of this machine's apt sources, without a registry, or --from IMAGE.

    It is called perdure-base:X.Y after its Python, and takes the place of one of that name.
    """
    from perdure_runner.host.docker import base

    if image and suite:
        raise click.UsageError("--from and --suite exclude each other")

    def build(engine: Engine) -> base.Base:
        if image:
            return base.build_from(engine, image, render.say)
        return base.build_debian(engine, suite or "", render.say)

    made = _with_engine(build)
    version = ".".join(map(str, made.python.version))
    if as_json:
        documents.emit({"image": made.tag, "id": made.image, "python": version})
    else:
        render.show(made.tag)


@click.command("list")
@options.JSON
def list_images(as_json: bool) -> None:
    """List perdure's images in the Docker Engine: bases, and what is built on them for projects' requirements."""
    found = _with_engine(lambda engine: engine.ask(_images(engine).describe))
    if as_json:
        documents.emit([dataclasses.asdict(each) for each in found])
        return
    rows = (
        (each.tag, each.kind, each.python, each.lock[:_DIGITS], f"{each.bytes // _MIB} MiB", "stale" * each.stale)
        for each in found
    )
    render.table(("IMAGE", "KIND", "PYTHON", "REQUIREMENTS", "SIZE", ""), rows)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those in use by this version; they are made again.")
@options.JSON
def prune(everything: bool, as_json: bool) -> None:
    """Remove runner images of bases and versions that are not there any more. Bases stay; so does what runs."""
    removed = _with_engine(
        lambda engine: engine.ask(lambda client: _images(engine).prune(client, everything=everything))
    )
    if as_json:
        documents.emit(removed)
        return
    for tag in removed:
        render.show(tag)
    render.say(f"removed {len(removed)} images")


def _with_engine(work: Callable[[Engine], T]) -> T:
    """Do something with the configured engine. Raises `PerdureError` P0219 when that cannot be."""
    from perdure_runner.host.docker.engine import Engine, EngineError

    try:
        engine = Engine(Settings.load().text("docker_url"))
        try:
            return work(engine)
        finally:
            engine.close()
    except EngineError as error:
        raise PerdureError("P0219", str(error), help=getattr(error, "help", None)) from None


def _images(engine: Engine) -> Images:
    from perdure_runner.host.config import HostConfig
    from perdure_runner.host.docker.images import Images

    return Images(engine, HostConfig(state_dir=Path()), marks={})
