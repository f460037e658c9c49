"""Exceptions that are no `Exception`, raised inside activities: each reaches user code, and can be caught there."""

import asyncio
import sys

import perdure
from web import get, request


@perdure.activity
def fail(url, name):
    request("GET", f"{url}/{name}")
    if name == "exit":
        sys.exit(3)
    if name == "deep":
        fail_deeply()
    raise {"interrupt": KeyboardInterrupt, "generator": GeneratorExit, "cancelled": asyncio.CancelledError}[name](name)


def fail_deeply():
    fail_deeply()


def main(event):
    facts = []
    for name in ["exit", "interrupt", "generator", "cancelled", "deep"]:
        try:
            fail(event["url"], name)
        except SystemExit as error:
            facts.append(["exit", error.code])
        except KeyboardInterrupt as error:
            facts.append(["interrupt", *error.args])
        except GeneratorExit as error:
            facts.append(["generator", *error.args])
        except asyncio.CancelledError as error:
            facts.append(["cancelled", *error.args])
        except RecursionError as error:
            facts.append(["deep", "recursion" in str(error)])
        get(f"{event['url']}/after-{name}")
    return facts


CASE = {
    "result": [["exit", 3], ["interrupt", "interrupt"], ["generator", "generator"], ["cancelled", "cancelled"], ["deep", True]],
    "effects": 10,
}
