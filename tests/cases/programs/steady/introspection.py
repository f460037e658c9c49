"""Programs that look at themselves: locals, frames, tracebacks with lines, signatures, source, warnings."""

import inspect
import sys
import traceback
import warnings

from web import get


def fails(url):
    value = get(url + "/x")
    raise ValueError(value)


def caller_name():
    return sys._getframe(1).f_code.co_name


def main(event):
    url = event["url"]
    names = sorted(locals())
    try:
        fails(url)
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        trace = [[frame.name, frame.line] for frame in frames]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("careful")
    parameters = list(inspect.signature(fails).parameters)
    return [names, trace, caller_name(), parameters, caught[0].lineno, inspect.getsource(caller_name).count("\n")]


CASE = {
    "result": [
        ["event", "url"],
        [["main", "fails(url)"], ["fails", "raise ValueError(value)"]],
        "main",
        ["url"],
        30,
        2,
    ],
    "calls": ["activity web.get"],
    "effects": 1,
}
