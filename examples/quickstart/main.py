"""A plain Python handler: it orders a few things from a shop. Kill it anywhere; it goes on where it was."""

import random
import subprocess
import sys
import time
from pathlib import Path

import perdure
import requests


@perdure.activity
def open_shop() -> str:
    """Start the little shop beside this file; it closes by itself after a minute without customers."""
    shop = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("shop.py"))],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    return shop.stdout.readline().strip()


def price_of(shop, order, item):
    answer = requests.post(f"{shop}/orders/{order}/items", json={"item": item}, timeout=10)
    answer.raise_for_status()
    return answer.json()["price"]


def main(event):
    shop = (event or {}).get("shop") or open_shop()
    order = requests.post(f"{shop}/orders", json={"customer": "Ada"}, timeout=10).json()["order"]
    print(f"order {order} is open")

    total = 0
    for item in ["tea", "two cups", "honey"]:
        price = price_of(shop, order, item)
        total += price
        print(f"  {item}: {price}")
        time.sleep(0.2)

    coupon = random.randrange(1000, 10000)
    paid = requests.post(f"{shop}/orders/{order}/payment", json={"total": total, "coupon": coupon}, timeout=10).json()
    print(f"paid {paid['amount']} with coupon {coupon}")
    return {"order": order, "paid": paid["amount"]}
