"""A generator that comes out of an activity: its items are recorded one by one."""

import perdure
import web


@perdure.activity
def squares(count):
    for number in range(count):
        yield number * number


@perdure.activity
def halves():
    return [text for text in ("a", "b")], (letter for letter in "xyz")


def main(event):
    numbers = squares(5)
    first = next(numbers)
    answers = [web.get(f"{event['url']}/{number}") for number in numbers if number % 2]
    letters, more = halves()
    return [first, answers, letters, list(more), next(numbers, "no more")]


CASE = {"result": [0, ["1", "9"], ["a", "b"], ["x", "y", "z"], "no more"], "effects": 2}
