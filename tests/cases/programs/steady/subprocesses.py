"""Programs started by user code: their output and exit codes are outcomes; failures are exceptions."""

import subprocess
import sys

import perdure


@perdure.activity
def tool(*words):
    return subprocess.run(["printf", "%s\\n", *words], stdout=subprocess.PIPE, check=True, text=True).stdout.split()


def main(event):
    marked = tool("a", "b")
    direct = subprocess.check_output(["sh", "-c", "echo direct; exit 0"], text=True)
    try:
        subprocess.run(["sh", "-c", "echo oops >&2; exit 3"], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        failed = [error.returncode, error.stderr]
    return [marked, direct, failed, sys.platform.startswith("linux")]


CASE = {
    "result": [["a", "b"], "direct\n", [3, "oops\n"], True],
    "calls": ["activity subprocesses.tool", "activity subprocess.check_output", "activity subprocess.run"],
    "effects": 0,
}
