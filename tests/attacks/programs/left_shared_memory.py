"""A segment of shared memory that stays when the session has ended."""

from probing import libc


def main(event):
    libc.shmget(event["keys"]["left"], 4096, 0o1666)
    return {"leaked": False, "detail": "whether it stays is seen from outside"}
