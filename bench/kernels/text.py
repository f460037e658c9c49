"""Dictionaries and strings: counting, sorting, splitting and formatting words."""

import re

FRUIT = ("lantern", "oven", "quince")
VOWELS = re.compile("[aeiou]+")


def words(count):
    return [f"{'abcdefgh'[i % 8]}{VOWELS.sub('-', FRUIT[i % 3])}{i % 97}" for i in range(count)]


def counted(items):
    counts = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


def by_initial(counts):
    groups = {}
    for word, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        groups.setdefault(word[0].upper(), []).append(" | ".join((word.strip().title(), str(count))))
    return groups


def run(size):
    total = 0
    for _ in range(size):
        lines = ["\n".join(group) for _, group in sorted(by_initial(counted(words(1000))).items())]
        total += len("".join(lines).replace("|", " | ").encode())
    return total
