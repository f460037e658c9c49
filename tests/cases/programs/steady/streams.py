"""Standard streams as programs use them: flushed, asked, handed to libraries, redirected; and streams in memory."""

import contextlib
import io
import json
import pprint
import sys
import traceback

from web import get


def main(event):
    print("one")
    sys.stdout.flush()
    sys.stderr.flush()
    sys.__stderr__.flush()
    asked = [sys.stdout.isatty(), sys.stdout.writable(), sys.stdout.closed]
    sys.stdout.writelines(["two\n", "three\n"])
    print(get(event["url"] + "/five"), flush=True)
    json.dump({"a": 1}, sys.stdout)
    print()
    pprint.pprint([2], stream=sys.stdout)
    with contextlib.redirect_stdout(io.StringIO()) as caught:
        print(get(event["url"] + "/six"))
        sys.stdout.flush()
    try:
        raise ValueError(caught.getvalue())
    except ValueError:
        text = io.StringIO()
        traceback.print_exc(file=text)
    raw = io.BytesIO(b"abc")
    raw.seek(1)
    raw.flush()
    return [asked, text.getvalue().splitlines()[-2:], raw.readline().decode()]


CASE = {
    "result": [[False, True, False], ["ValueError: six", ""], "bc"],
    "prints": ["one", "two", "three", "five", '{"a": 1}', "[2]"],
    "calls": ["activity web.get", "activity web.get"],
    "effects": 2,
}
