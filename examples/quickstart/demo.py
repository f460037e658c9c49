"""What `make run` shows: the handler of main.py is killed half-way and goes on, and no completed call is repeated."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
PERDURE = [sys.executable, "-m", "perdure_server"]


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def requests_seen(shop):
    with urllib.request.urlopen(f"{shop}/ledger") as answer:
        return json.load(answer)["requests"]


def main():
    shop_process = subprocess.Popen([sys.executable, HERE / "shop.py"], stdout=subprocess.PIPE, text=True)
    shop = shop_process.stdout.readline().strip()
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as home:
        try:
            say("$ perdure run examples/quickstart        (plain Python: requests, time.sleep, random)")
            event = json.dumps({"shop": shop})
            run = subprocess.Popen([*PERDURE, "run", str(HERE), "--event", event, "--home", home], start_new_session=True)
            while len(requests_seen(shop)) < 3 and run.poll() is None:
                time.sleep(0.02)
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            seen = requests_seen(shop)
            say(f"kill -9: coordinator, host and runner are gone. The shop has seen {len(seen)} requests:")
            print("  " + "\n  ".join(seen))

            say("$ perdure resume")
            finished = subprocess.run([*PERDURE, "resume", "--home", home], check=False)
            everything = requests_seen(shop)
            say(f"The shop has seen {len(everything)} requests in all:")
            print("  " + "\n  ".join(everything))
            repeated = len(everything) - len(set(everything))
            say(f"{repeated} of them twice (the one in flight when it was killed may be).")
            if finished.returncode or repeated > 1 or len(set(everything)) != 5:
                sys.exit("the demo did not go as it should")
        finally:
            shop_process.kill()
            shop_process.wait()


if __name__ == "__main__":
    main()
