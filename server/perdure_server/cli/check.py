"""`perdure check`: run a handler, crash its runner after every entry of the journal, report every difference."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import builds, connect, documents, options, render
from perdure_server.cli.compare import Run
from perdure_server.cli.laboratory import Found, Kills, Laboratory
from perdure_server.core.errors import PerdureError

EXIT_DIFFERS = 4


@click.command()
@click.argument("target")
@options.EVENT
@click.option("--kill", type=click.Choice(["runner"]), default="runner", help="What to crash [default: runner].")
@click.option("--signal", "signals", metavar="NAME=JSON", multiple=True, help="What next_signal gets; repeatable.")
@click.option("--var", "variables", metavar="K=V", multiple=True, help="Set a variable of the project; repeatable.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    default=1,
    help="Runs at once, for handlers whose runs cannot meet outside [default: 1].",
)
@options.JSON
@connect.waits
async def check(
    target: str,
    event: str | None,
    kill: str,
    signals: tuple[str, ...],
    variables: tuple[str, ...],
    jobs: int,
    as_json: bool,
) -> int:
    """Crash a handler after every journal entry; report what differs.

    Runs TARGET once undisturbed, then once for every entry of its journal with the runner killed right after it; the
    rest is replayed and gone on with. Sleeps of a second or more are skipped, of sessions that it starts, too. External
    effects happen once in every run.

    Each run's prints, outcome and calls are compared with the undisturbed run's up to the first answer of the outside
    world that differs, and with a full replay of its own journal to the end. Exit code 0 only when all agree, else 4.
    """
    from perdure_server.app.engine import Engine
    from perdure_server.app.twins import Twins

    assert kill == "runner"
    answers = {name: options.event(text) for name, text in options.pairs(signals, "--signal").items()}
    payload, given = options.event(event), options.pairs(variables, "--var")
    source = builds.with_secrets_of(builds.without_secrets_in(builds.resolve(target, None, given)), os.environ)
    kills = Kills()
    with tempfile.TemporaryDirectory(prefix="perdure-check-") as scratch:
        async with Engine.embedded(Path(scratch), faults=kills.fault, recover=False) as engine:
            built = await builds.send(engine.control, source, build_only=True)
            template = control.StartSessionRequest(
                project=built.project, build_id=built.build_id, entry_point=source.entry_point, event=payload
            )
            laboratory = Laboratory(engine.control, Twins(engine.coordinator), kills, template, answers)
            reference, found, entries = await _examine(laboratory, jobs, as_json)
    if as_json:
        documents.emit(_document(target, entries, found))
    else:
        _report(reference, found, entries)
    return EXIT_DIFFERS if found else 0


async def _examine(laboratory: Laboratory, jobs: int, quiet: bool) -> tuple[Run, list[Found], int]:
    reference = await laboratory.undisturbed()
    found = await laboratory.replayed(reference)
    entries = max((call.seq for call in reference.calls), default=0)
    if not quiet:
        render.say(f"undisturbed: {reference.state}, entries: {entries}, lines of output: {len(reference.lines)}")
    places = asyncio.Semaphore(jobs)

    async def killed(after: int) -> list[Found]:
        async with places:
            return await laboratory.killed(after, reference)

    try:
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(killed(after)) for after in range(1, entries + 1)]
            for after, run in enumerate(runs, 1):
                found += (of_this := await run)
                if of_this and not quiet:
                    render.say(f"killed after entry {after}: differs")
    except* PerdureError as errors:
        raise errors.exceptions[0] from None
    return reference, found, entries


def _document(target: str, entries: int, found: list[Found]) -> documents.Document:
    return {
        "target": target,
        "entries": entries,
        "runs": entries + 1,
        "differences": [{"killed_after": each.after, **dataclasses.asdict(each.difference)} for each in found],
    }


def _report(reference: Run, found: list[Found], entries: int) -> None:
    alike: dict[tuple[str, int, str], list[Found]] = {}
    for each in found:
        alike.setdefault((each.difference.file, each.difference.line, each.difference.what), []).append(each)
    for first, *others in alike.values():
        when = f"runner killed after entry {first.after}" if first.after else "replayed without a crash"
        when += f", and in {len(others)} more runs" if others else ""
        render.show(render.difference(first.difference, when))
    runs = f"{entries + 1} runs of {reference.entry_point}, the runner killed after each of {entries} entries"
    if found:
        render.say(f"{render.state('fail')}: {runs}: {len({each.after for each in found})} of them differ")
    else:
        render.say(f"{render.state('ok')}: {runs}: all agree ({reference.state})")
