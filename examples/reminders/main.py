"""Remind a customer of an invoice until it is paid; every reminder comes later than the last.

    perdure run examples/reminders --var DAY_S=86400      # sleeps for days, without a process
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import perdure


@perdure.activity
def start_bank() -> str:
    """The bank beside this file: the invoice is paid when it has been asked for three times."""
    bank = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bank.py"))],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    return bank.stdout.readline().strip()


def is_paid(bank, invoice):
    return httpx.get(f"{bank}/invoices/{invoice}").json()["paid"]


def on_invoice(event):
    event = event or {"invoice": "2026-117", "customer": "grace@example.org"}
    bank = event.get("bank") or start_bank()
    day = float(os.environ["DAY_S"])

    for reminder, days in enumerate([14, 7, 3, 1], start=1):
        time.sleep(days * day / 14)
        if is_paid(bank, event["invoice"]):
            print(f"paid after {reminder - 1} reminder(s)")
            return {"paid": True, "reminders": reminder - 1}
        sent = httpx.post(f"{bank}/reminders", json={"to": event["customer"], "number": reminder})
        print(f"reminder {reminder}: {sent.json()['subject']}")
    return {"paid": False, "reminders": 4}
