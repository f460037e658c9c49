"""A pytest plugin: installs the hook before the library is imported, and writes how each test ended.

Environment: LIBRARY_ROOT is the folder whose modules are user code, LIBRARY_OUT the file to write, and LIBRARY_HOOK
the folder of the code cache, or empty: then everything runs natively. Imports the standard library and the child half.
"""

import json
import os
import sys

HOOKED = os.environ["LIBRARY_HOOK"]


class RunEverything:
    """A router for which nothing is recorded: what is external is called through its site, and is itself."""

    def direct(self):
        return False

    def route(self, f, verdict, site):
        return f


if HOOKED:
    from perdure_runner.child.patching import hook

    hook.install(os.environ["LIBRARY_ROOT"], HOOKED, RunEverything())

outcomes = {}
details = {}


def pytest_sessionstart():
    """The same examples in both modes, however slow the machine is."""
    if "hypothesis" in sys.modules:
        from hypothesis import settings

        settings.register_profile("compared", derandomize=True, database=None, deadline=None)
        settings.load_profile("compared")


def pytest_runtest_logreport(report):
    """Remember the worst of set-up, call and tear-down."""
    outcome = "xfail" if hasattr(report, "wasxfail") else report.outcome
    if report.when == "call" or outcome != "passed":
        outcomes[report.nodeid] = outcome
    if report.failed:
        details[report.nodeid] = report.longreprtext[-4000:]


def pytest_collectreport(report):
    """A module that cannot be imported has failed."""
    if report.failed:
        outcomes[report.nodeid] = "failed"
        details[report.nodeid] = report.longreprtext[-4000:]


def pytest_sessionfinish(session):
    """Write what there is to say."""
    through = sum(type(m.__loader__).__module__ == "perdure_runner.child.patching.hook" for m in _modules())
    with open(os.environ["LIBRARY_OUT"], "w") as file:
        json.dump({"outcomes": outcomes, "details": details, "hooked": through}, file)


def _modules():
    return [module for module in list(sys.modules.values()) if getattr(module, "__loader__", None)]
