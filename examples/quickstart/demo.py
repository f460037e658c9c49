"""What `make run` shows: the handler of main.py is killed half-way and goes on, and no completed call is repeated."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from shop import Shop

HERE = Path(__file__).parent
PERDURE = [sys.executable, "-m", "perdure_server"]
at_the_door, killed = threading.Event(), threading.Event()


class SlowShop(Shop):
    """It has the fourth request wait until who sent it is dead."""

    def do_POST(self):
        if len(self.ledger) == 3 and not killed.is_set():
            at_the_door.set()
            threading.Event().wait()
        super().do_POST()


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def main():
    shop = ThreadingHTTPServer(("127.0.0.1", 0), SlowShop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as home:
        say("$ perdure run examples/quickstart        (plain Python: requests, time.sleep, random)")
        event = json.dumps({"shop": f"http://127.0.0.1:{shop.server_port}"})
        run = subprocess.Popen([*PERDURE, "run", str(HERE), "--event", event, "--home", home], start_new_session=True)
        while not at_the_door.wait(0.1):
            if run.poll() is not None:
                sys.exit("it ended before it could be killed")
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        killed.set()
        say(f"kill -9: coordinator, host and runner are gone. The shop has seen {len(Shop.ledger)} requests:")
        print("  " + "\n  ".join(Shop.ledger))

        say("$ perdure resume")
        finished = subprocess.run([*PERDURE, "resume", "--home", home], check=False)
        say(f"The shop has seen {len(Shop.ledger)} requests in all:")
        print("  " + "\n  ".join(Shop.ledger))
        repeated = len(Shop.ledger) - len(set(Shop.ledger))
        say(f"{repeated} of them twice (the one in flight when it was killed may be).")
        if finished.returncode or repeated > 1 or len(set(Shop.ledger)) != 5:
            sys.exit("the demo did not go as it should")


if __name__ == "__main__":
    main()
