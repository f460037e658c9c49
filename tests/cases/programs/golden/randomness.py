"""Random numbers of every kind are recorded; generators with a seed of their own are plain computation."""

import random
import secrets
import uuid

from web import post


def main(event):
    drawn = [random.random(), random.randint(1, 6), random.choice("abc"), random.sample(range(100), 3)]
    drawn += [secrets.token_hex(4), secrets.randbelow(10), str(uuid.uuid4()), random.gauss(0, 1)]
    deck = list(range(10))
    random.shuffle(deck)
    words = sorted(["x", "y", "z"], key=lambda word: random.random())
    own = random.Random(42)
    seeded = [own.randint(0, 99) for _ in range(3)]
    print(drawn, deck, words)
    post(event["url"] + "/deck", repr(deck))
    return [drawn, deck, words, seeded, sorted(deck) == list(range(10))]


CASE = {
    "check": "prints == [f'{result[0]} {result[1]} {result[2]}'] and result[3:] == [[81, 14, 3], True]",
    "calls": [
        "marker random.random",
        "marker random.randint",
        "marker random.choice",
        "marker random.sample",
        "marker secrets.token_hex",
        "marker secrets.randbelow",
        "marker uuid.uuid4",
        "marker random.gauss",
        "marker random.shuffle",
        "marker random.random",
        "marker random.random",
        "marker random.random",
        "marker random.Random",  # its state is recorded; what it draws then is computed
        "activity web.post",
    ],
    "effects": 1,
}
