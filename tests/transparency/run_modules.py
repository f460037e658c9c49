"""Run modules of the interpreter's own test package: natively, through the hook with sites that do nothing ("hooked"),
or with sites that decide about every call ("routed").

Usage: python run_modules.py native|hooked|routed OUT_DIR MODULE...

Runs under the interpreter that is tested, so it imports the standard library and, if hooked, the child half only.
Each module runs in a fork of its own and leaves OUT_DIR/MODULE.json: {test id: outcome}, sorted.
"""

import json
import os
import random
import signal
import sys
import tempfile
import traceback
import unittest
import warnings

SECONDS_PER_MODULE = 100
ABSENT = "this interpreter has no such module"


class Outcomes(unittest.TestResult):
    """Remembers how each test ended; the worst counts where subtests differ."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, str] = {}
        self.details: dict[str, str] = {}

    def note(self, test, outcome, error=None):
        self.of.setdefault(str(test.id()), outcome)
        if error is not None:
            self.details[str(test.id())] = "".join(traceback.format_exception(*error))[-2000:]

    def addSuccess(self, test):
        self.note(test, "pass")

    def addError(self, test, err):
        self.note(test, "fail", err)

    addFailure = addError

    def addSkip(self, test, reason):
        self.note(test, "skip")

    def addExpectedFailure(self, test, err):
        self.note(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        self.note(test, "unexpected success")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.note(test, "fail", err)


class RunEverything:
    """A router for which nothing is recorded: what is external is called through its site, and is itself."""

    def direct(self):
        return False

    def route(self, f, verdict, site):
        return f


def run_module(name: str) -> dict[str, object]:
    outcomes = Outcomes()
    try:
        __import__(f"test.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"test.{name}":
            raise
        return {"outcomes": {name: ABSENT}}
    except unittest.SkipTest:
        return {"outcomes": {name: "skip"}}
    unittest.defaultTestLoader.loadTestsFromName(f"test.{name}").run(outcomes)
    return {"outcomes": dict(sorted(outcomes.of.items())), "details": outcomes.details}


def child(name: str, out: str) -> None:
    signal.alarm(SECONDS_PER_MODULE)
    random.seed(0)
    warnings.simplefilter("default")  # as regrtest does
    devnull = os.open(os.devnull, os.O_RDWR)
    os.dup2(devnull, 0)
    with open(os.path.join(out, f"{name}.log"), "wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        result = run_module(name)
        os.chdir("/")
    with open(os.path.join(out, f"{name}.json"), "w") as file:
        json.dump(result, file, indent=1)


def main() -> None:
    mode, out, *modules = sys.argv[1:]
    import test

    if mode != "native":
        import perdure_runner.child.hook as hook

        router = RunEverything() if mode == "routed" else None
        hook.install(os.path.dirname(test.__file__), os.environ["PERDURE_TEST_CACHE"], router)
    for name in modules:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child(name, out)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
