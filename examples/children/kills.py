"""Fifty children and their parent, while coordinator, host and runners are killed: every result arrives once."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
PERDURE = [sys.executable, "-m", "perdure_server"]
CHILDREN, KILLS = 50, 8
EVERYTHING = CHILDREN * 3


def ask(*arguments):
    """What a command of perdure prints as JSON; None while the coordinator is away."""
    ran = subprocess.run([*PERDURE, *arguments, "--json"], capture_output=True, text=True, check=False)
    return json.loads(ran.stdout) if ran.returncode == 0 and ran.stdout else None


def serve(home):
    server = subprocess.Popen([*PERDURE, "serve", "--home", home], stderr=subprocess.PIPE, text=True)
    while not server.stderr.readline().startswith("ready "):
        if server.poll() is not None:
            sys.exit("the server has ended")
    return server


def strike(server, home):
    """Kill the coordinator, or one of the processes that run sessions. Returns the server, perhaps a new one."""
    sessions = ask("sessions", "list", "--home", home, "--limit", "1000") or []
    runners = [session["runner_pid"] for session in sessions if session["runner_pid"]]
    if runners and random.random() < 0.6:
        pid = random.choice(runners)
        print(f"  kill -9 {pid}, a runner")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it had just ended
        return server
    print(f"  kill -9 {server.pid}, the coordinator")
    server.kill()
    server.wait()
    return serve(home)


def main():
    with tempfile.TemporaryDirectory(prefix="perdure-children-") as home:
        server = serve(home)
        try:
            ask("deploy", str(HERE), "--home", home)
            parent = ask("start", "main.py:on_order", "--event", json.dumps({"items": CHILDREN, "step_s": 0.8}), "--home", home)
            for moment in sorted(random.sample(range(1, EVERYTHING - 10), KILLS)):
                while ((found := ask("store", "get", "steps", "--home", home)) or {"value": 0})["value"] < moment:
                    time.sleep(0.05)
                print(f"{found['value']} of {EVERYTHING} steps are done")
                server = strike(server, home)
            while not (shown := ask("sessions", "show", parent["session_id"], "--home", home)) or not shown["ended_at"]:
                time.sleep(0.1)
            steps = ask("store", "get", "steps", "--home", home)["value"]
            sessions = ask("sessions", "list", "--home", home, "--limit", "1000")
            print("\n".join(shown["prints"][:3] + ["..."] + shown["prints"][-2:]))
            print(f"{shown['state']}: {shown['result']}; {len(sessions)} sessions, {steps} steps, {KILLS} kills")
            lost = len([number for number in range(CHILDREN) if number % 10 == 7])
            expected = {"parcels": CHILDREN - lost, "lost": lost}
            if shown["result"] != expected or steps != EVERYTHING or len(sessions) != CHILDREN + 1:
                sys.exit(f"that is not as it should be: {expected}, {CHILDREN + 1} sessions, {EVERYTHING} steps")
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
