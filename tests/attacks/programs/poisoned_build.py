"""Code of one's own build, which later sessions of the project run: changed, and added to."""

import os

from probing import attempt


def main(event):
    attempt(os.chmod, ".", 0o755)
    attempt(os.chmod, "spoiled.py", 0o644)
    for path in ("spoiled.py", f"{event['mark']}.py"):
        attempt(append, path, f"MARK = {event['mark']!r}\n")
    return {"leaked": False, "detail": "whether the build has changed is seen from outside"}


def append(path, text):
    with open(path, "a") as file:
        file.write(text)
