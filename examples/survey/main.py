"""Ask twenty shops at once, for prices with asyncio and for stocks with threads; keep the answers in a database.

Clients, connections and folders live as long as the handler does, across sleeps and crashes.

    perdure run examples/survey
    perdure check examples/survey
"""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import perdure
import requests

SHOPS = range(20)


@perdure.activity
def open_shops() -> str:
    """The shops beside this file."""
    shops = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("shops.py"))],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    return shops.stdout.readline().strip()


async def prices(shops):
    async with httpx.AsyncClient() as client:
        answers = await asyncio.gather(*(client.get(f"{shops}/{n}/price") for n in SHOPS))
    return [answer.json()["price"] for answer in answers]


def stock(address):
    return requests.get(address).json()["stock"]


def stocks(shops):
    with ThreadPoolExecutor(max_workers=20) as pool:
        return list(pool.map(stock, [f"{shops}/{n}/stock" for n in SHOPS]))


@perdure.activity
def keep(database, offers):
    """A transaction is one call: a crash finds it committed, or not begun."""
    with database:
        database.executemany("insert or replace into offers values (?, ?, ?)", offers)


def main(event):
    shops = (event or {}).get("shops") or open_shops()
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(f"{folder}/survey.db")
        database.execute("create table if not exists offers (shop integer primary key, price integer, stock integer)")
        offers = list(zip(SHOPS, asyncio.run(prices(shops)), stocks(shops)))
        keep(database, offers)
        print(f"{len(offers)} shops have answered")

        time.sleep(5)  # or a week: the connection is opened again when it is needed

        cheapest = database.execute("select shop, price from offers where stock > 110 order by price, shop").fetchall()
        print(f"shop {cheapest[0][0]} is the cheapest: {cheapest[0][1]}")
        with requests.Session() as session:
            session.headers["x-survey"] = "2026"
            answer = session.post(f"{shops}/report", json=cheapest)
        print(f"reported {answer.json()['thanks_for']} offers")
        database.close()
    return {"cheapest": {"shop": cheapest[0][0], "price": cheapest[0][1]}, "offers": len(offers)}
