"""An activity that returns its argument, a part of it, or something that holds it, returns the very object."""

import random

import perdure
from web import get, request


class Node:
    def __init__(self, name):
        self.name = name
        self.next = None


@perdure.activity
def same(url, thing):
    request("GET", url + "/same")
    return thing


@perdure.activity
def part(url, things):
    request("GET", url + "/part")
    return things[1]


@perdure.activity
def taken(url, things):
    request("GET", url + "/taken")
    return things.pop()


@perdure.activity
def around(url, one, two):
    request("GET", url + "/around")
    return {"both": (one, two), "new": [one]}


@perdure.activity
def linked(url, one, two):
    request("GET", url + "/linked")
    fresh = Node("fresh")
    one.next = two.next = fresh
    return fresh


def main(event):
    url = event["url"]
    numbers, table, node, pair = [1], {"a": 1}, Node("n"), (1, [2])
    other = Node("o")
    things = [node, other, node]
    whole = around(url, numbers, node)
    facts = [
        same(url, numbers) is numbers,
        same(url, table) is table,
        same(url, node) is node,
        same(url, pair) is pair,
        part(url, things) is other,
        part(url, [numbers, table]) is table,
        whole["both"][0] is numbers and whole["new"][0] is numbers,
        whole["both"][1] is node,
        taken(url, things) is node and things == [node, other],
        random.choice(things) in things,
        random.choice([node]) is node,
    ]
    fresh = linked(url, node, other)
    facts += [fresh is node.next, node.next is other.next, fresh.name]
    get(url + "/end")
    return facts


CASE = {
    "result": [True] * 13 + ["fresh"],
    "effects": 10,
}
