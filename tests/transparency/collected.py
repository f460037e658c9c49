"""Runs one module of the interpreter's own test package and says how each test ended.

A file of the build like the tests beside it: in recording mode `handler` is what the session runs.
"""

import random
import traceback
import unittest
import warnings

ABSENT = "this interpreter has no such module"


class Outcomes(unittest.TestResult):
    """Remembers how each test ended; the worst counts where subtests differ."""

    def __init__(self):
        super().__init__()
        self.of = {}
        self.details = {}

    def note(self, test, outcome, error=None):
        self.of.setdefault(str(test.id()), outcome)
        if error is not None:
            self.details[str(test.id())] = "".join(traceback.format_exception(*error))[-4000:]

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


def run(name):
    """{"outcomes": {test: outcome}, "details": {test: traceback}} of `test.NAME`."""
    random.seed(0)
    warnings.simplefilter("default")  # as regrtest does
    outcomes = Outcomes()
    try:
        from test import support

        support.use_resources = {}  # as regrtest's default: no network, nothing that takes minutes
        support.verbose = 0
        __import__(f"test.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"test.{name}":
            raise
        return {"outcomes": {name: ABSENT}, "details": {}}
    except unittest.SkipTest:
        return {"outcomes": {name: "skip"}, "details": {}}
    unittest.defaultTestLoader.loadTestsFromName(f"test.{name}").run(outcomes)
    return {"outcomes": outcomes.of, "details": outcomes.details}


def handler(event):
    return run(event["module"])
