"""Runs one module of the interpreter's own test package, in one of three modes.

    run_module.py plain|routed|recorded BUILD CACHE OUT MODULE

`plain`: natively. `routed`: through the hook, with sites that decide about every call and a router that runs what is
external. `recorded`: as a durable session whose journal is in memory. BUILD is a folder that holds a copy of the
package `test`, and `collected.py`; what that found is written to OUT, as JSON.

Runs under the interpreter that is tested, so it imports the standard library and the child half only.
"""

import json
import os
import sys

MODES = ("plain", "routed", "recorded")


class RunEverything:
    """A router for which nothing is recorded: what is external is called through its site, and is itself."""

    def direct(self):
        return False

    def route(self, f, verdict, site):
        return f


def through_hook(build, cache):
    """Make the modules of the build, and the examples in their docstrings, code with sites."""
    import doctest

    from perdure_runner.child.patching import hook, rewrite

    installed = hook.install(build, cache, RunEverything())

    def compile_example(source, filename, mode, flags, dont_inherit):
        code = rewrite.compile_string(source, filename, mode, flags)
        return rewrite.bind(code, lambda mark: installed._make_site(mark, os.path.join(build, "doctest.py")))

    doctest.compile = compile_example


def recorded(build, cache, module):
    """What a durable session makes of the module."""
    import memory_host
    from perdure_runner.child import process
    from perdure_runner.child.values import pickles as values

    values.load_cloudpickle(os.environ.get("PERDURE_TEST_CLOUDPICKLE"))
    start = memory_host.start(build, cache, "collected.py:handler", {"module": module})
    host = memory_host.Host(start)
    process.prepare()
    process.main(host)
    return host.result()


def main():
    mode, build, cache, out, module = sys.argv[1:]
    sys.path[0] = build if mode != "recorded" else os.path.dirname(os.path.abspath(__file__))
    if mode == "recorded":
        sys.__stderr__ = sys.stderr = os.fdopen(os.dup(2), "w")
        result = recorded(build, cache, module)
    else:
        if mode == "routed":
            through_hook(build, cache)
        import collected

        result = collected.run(module)
    with open(out, "w") as file:
        json.dump(result, file)
    sys.stdout.flush()
    os._exit(0)  # threads that a test left behind are not waited for


if __name__ == "__main__":
    main()
