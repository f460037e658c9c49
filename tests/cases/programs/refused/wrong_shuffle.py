"""random.shuffle of something that is no list."""

import random


def main(event):
    random.shuffle(5)


CASE = {"error": "TypeError", "says": "len()"}
