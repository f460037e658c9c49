"""Markers with arguments: what `random` chooses is the object itself, and what it shuffles is shuffled."""

import random
import secrets

from web import get


class Card:
    def __init__(self, name):
        self.name = name


def main(event):
    cards = [Card(n) for n in "abcdef"]
    deck = [*cards]
    chosen = random.choice(cards)
    sample = random.sample(cards, 3)
    several = random.choices(cards, k=4)
    secret = secrets.choice(cards)
    random.shuffle(deck)
    chosen.name = "chosen"
    get(event["url"] + "/" + deck[0].name)
    return [
        any(card is chosen for card in cards),
        [card.name for card in cards].count("chosen"),
        all(any(card is each for card in cards) for each in (*sample, *several, secret)),
        sorted(map(id, deck)) == sorted(map(id, cards)),
    ]


CASE = {"check": "result == [True, 1, True, True]", "effects": 1}
