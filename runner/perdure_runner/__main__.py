"""How a host starts runners: `python -P -m perdure_runner MODE`, or `python -P PATH/perdure_runner/__main__.py MODE`.

Run by its path, it needs nothing installed in the interpreter: the host says with `--package NAME=PATH` where the
packages are that it carries along. Standard library only.
"""

import argparse
import importlib
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec

MAIN = "perdure_runner.child.process:main"


class Carried:
    """Finds the host's own packages, and only these exact names, where the host says they are.

    It stands first, so that an older copy in the project's environment cannot meet the half of it that came from the
    host; nothing else of ours can be imported through it.
    """

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places

    def find_spec(self, name: str, _path: object = None, _target: object = None, /) -> ModuleSpec | None:
        place = self._places.get(name)
        if place is None:
            return None
        if place.endswith(".py"):
            return importlib.util.spec_from_file_location(name, place)
        init = os.path.join(place, "__init__.py")
        return importlib.util.spec_from_file_location(name, init, submodule_search_locations=[place])


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="perdure_runner", description="Started by a host, not by people.")
    parser.add_argument("--package", action="append", default=[], metavar="NAME=PATH", help="a package of the host's")
    modes = parser.add_subparsers(dest="mode", required=True)
    zygote = modes.add_parser("zygote", help="fork a runner for each request on a socket")
    control = zygote.add_mutually_exclusive_group(required=True)
    control.add_argument("--control", type=int, metavar="FD")
    control.add_argument("--connect", metavar="PATH", help="where its host listens, as seen in its container")
    zygote.add_argument("--main", default=MAIN, metavar="MODULE:FUNCTION")
    zygote.add_argument("--isolation", default="plain", help="how runners are held (child/sandbox/cell.py)")
    zygote.add_argument(
        "--state", default="", metavar="DIR", help="the host's folder: sessions see their own files only"
    )
    probe = modes.add_parser("probe", help="say, as JSON, how runners could be held here")
    probe.add_argument("--state", required=True, metavar="DIR")
    compiler = modes.add_parser("compile", help="fill a build's code cache")
    compiler.add_argument("--root", required=True, metavar="DIR")
    compiler.add_argument("--cache", required=True, metavar="DIR")
    build = modes.add_parser("build", help="run a program that may run code of packages (child/building.py)")
    build.add_argument("--state", required=True, metavar="DIR")
    build.add_argument("--folder", required=True, metavar="DIR")
    build.add_argument("--result", required=True, metavar="NAME")
    build.add_argument("--show", action="append", default=[], metavar="PATH")
    build.add_argument("command", nargs="+")
    attach = modes.add_parser("attach", help="run one session in the foreground")
    attach.add_argument("--fd", type=int, required=True)
    attach.add_argument("--main", default=MAIN, metavar="MODULE:FUNCTION")
    attach.add_argument("--confine", default="", metavar="JSON", help="limits, where others made the sandbox")
    attach.add_argument("--groups", default="", metavar="FD,...", help="files by which to join control groups")
    attach.add_argument("--egress", type=int, metavar="FD", help="where the host gets the listener of its proxy")
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> int:
    """Do what the mode says; give the exit status."""
    here = os.path.dirname(os.path.abspath(__file__))
    places = {"perdure_runner": here} | dict(item.split("=", 1) for item in options.package)
    sys.meta_path.insert(0, Carried(places))
    return _MODES[options.mode](options, [*places.values()])


def _zygote(options: argparse.Namespace, places: list[str]) -> int:
    sys.dont_write_bytecode = False  # as long as only our own code runs: not every installer compiles it
    from perdure_runner.child import zygote
    from perdure_runner.child.sandbox import cell, nest

    settings = cell.Settings(cell.Isolation(options.isolation), options.state, places)
    held = nest.open_cell(settings)  # another process may go on from here, so there is little to copy yet
    zygote.preload()
    main = function(options.main)  # before there is a socket that would close while its error is being printed
    module = sys.modules[main.__module__]
    if prepare := getattr(module, "prepare", None):
        prepare()
    sys.dont_write_bytecode = True
    learn = getattr(module, "learn", None)
    if not options.connect:
        return zygote.serve(socket.socket(fileno=options.control), main, held, learn)
    from perdure_runner.child import contained

    learn = learn and contained.before_runners(learn)
    return zygote.serve(contained.connect(options.connect), contained.guarded(main), held, learn)


def _probe(options: argparse.Namespace, places: list[str]) -> int:
    from perdure_runner.child.sandbox import probe

    print(json.dumps(probe.run(options.state, places)))
    return 0


def _build(options: argparse.Namespace, places: list[str]) -> int:
    from perdure_runner.child import building

    held_by = building.confinement(options.state, [*places, *options.show])
    return building.run(held_by, options.folder, options.result, options.command)


def _attach(options: argparse.Namespace, _places: list[str]) -> int:
    main = function(options.main)
    if options.confine:
        from perdure_runner.child.sandbox import locked

        groups = [int(number) for number in options.groups.split(",") if number]
        os.set_inheritable(options.fd, False)
        locked.lock(json.loads(options.confine), groups, options.egress)
    return main(socket.socket(fileno=options.fd))


def _compile(options: argparse.Namespace, _places: list[str]) -> int:
    from perdure_runner.child import zygote

    zygote.limit_compiler()
    hook = importlib.import_module("perdure_runner.child.patching.hook")
    print(json.dumps(hook.compile_tree(options.root, options.cache), default=str))
    return 0


_MODES: dict[str, Callable[[argparse.Namespace, list[str]], int]] = {
    "zygote": _zygote,
    "probe": _probe,
    "build": _build,
    "attach": _attach,
    "compile": _compile,
}


def function(name: str) -> Callable[[socket.socket], int]:
    """Import what `module:function` names."""
    module, _, attribute = name.partition(":")
    found: Callable[[socket.socket], int] = getattr(importlib.import_module(module), attribute)
    return found


if __name__ == "__main__":
    sys.exit(run(arguments()))
