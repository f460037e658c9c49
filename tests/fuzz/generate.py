"""Makes handler programs for the fuzzer: source text that is always valid and that keeps a book of what it does.

What a program says it both prints and keeps (`say`), and it writes down the name of every request before it makes it
(`names`). So each run can be judged by itself, whatever its random numbers were: output made before a crash must agree
with what was computed after it, and the server must have seen the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

from hypothesis import strategies as st

PROLOGUE = """\
import asyncio
import concurrent.futures
import contextlib
import random
import sqlite3
import sys
import threading
import time
import uuid


def main(event):
    sys.path.append(event["lib"])
    import outside

    url = event["url"]
    log = []
    names = []

    def say(value):
        log.append(str(value))
        print(value)

    def get(name):
        names.append(name)
        return outside.get(f"{url}/{name}")

    async def aget(name):
        names.append(name)
        return await outside.aget(f"{url}/{name}")

"""
EPILOGUE = '    return {"log": log, "names": names}\n'


@dataclass(frozen=True)
class Program:
    """Source text; `chance`: whether its values may differ from run to run; `at_once`: requests at the same moment."""

    source: str
    chance: bool
    at_once: int


@dataclass
class _Writer:
    """Draws statements; numbers everything so that names are unique."""

    draw: st.DrawFn
    budget: int
    may_chance: bool
    may_fork: bool
    number: int = 0
    chance: bool = False

    def name(self) -> str:
        self.number += 1
        return f"n{self.number}"

    def pick(self, most: int) -> int:
        """A number from 0 to `most`."""
        return self.draw(st.integers(0, most))

    def block(self, depth: int) -> str:
        """Statements, at least one."""
        statements = []
        for _ in range(1 + self.pick(2)):
            if self.budget <= 0:
                break
            self.budget -= 1
            kinds = (
                STEADY
                + (CHANCE if self.may_chance else [])
                + (CONCURRENT if self.may_fork else [])
                + (COMPOUND if depth > 0 else [])
            )
            statements.append(kinds[self.pick(len(kinds) - 1)](self, depth))
        return "".join(statements) or "pass\n"

    def inner(self, depth: int) -> str:
        """A block, indented."""
        return indent(self.block(depth - 1), "    ")


def _call(w: _Writer, _: int) -> str:
    return f'say(get("{w.name()}"))\n'


def _direct(w: _Writer, _: int) -> str:
    name = w.name()
    return f'names.append("{name}")\nsay(outside.get(url + "/{name}"))\n'


def _nested(w: _Writer, _: int) -> str:
    return f'say(get("a" + get("{w.name()}") + get(name="{w.name()}")))\n'


def _listed(w: _Writer, _: int) -> str:
    return f'say([get(f"{w.name()}-{{i}}") for i in range({1 + w.pick(2)}) if i != 1])\n'


def _mapped(w: _Writer, _: int) -> str:
    wanted = [w.name() for _ in range(1 + w.pick(1))]
    return f'names.extend({wanted})\nsay(list(map(outside.get, [url + "/" + n for n in {wanted}])))\n'


def _sorted(w: _Writer, _: int) -> str:
    return f'say(sorted(["{w.name()}x", "{w.name()}"], key=lambda n: len(get(n))))\n'


def _formatted(w: _Writer, _: int) -> str:
    return f'say(f"{{get({w.name()!r}):>6}}|{{len(log)}}")\n'


def _printed(w: _Writer, _: int) -> str:
    return f'say("line {w.name()}")\n'


def _chance(w: _Writer, _: int) -> str:
    w.chance = True
    made = ("random.random()", "random.choice('abc')", "uuid.uuid4()", "time.time()", "random.sample(range(9), 3)")
    return f"say({made[w.pick(len(made) - 1)]})\n"


def _chance_call(w: _Writer, _: int) -> str:
    w.chance = True
    return f'say(get(f"{w.name()}-{{random.randrange(5)}}"))\n'


def _shuffled(w: _Writer, _: int) -> str:
    w.chance = True
    return "deck = list(range(5))\nrandom.shuffle(deck)\nsay(deck)\n"


def _slept(w: _Writer, _: int) -> str:
    return "time.sleep(0.01)\n"


def _caught(w: _Writer, _: int) -> str:
    name = w.name()
    return (
        f'try:\n    names.append("{name}")\n    outside.get(url + "/status/404/{name}")\n'
        'except outside.OutsideError as error:\n    say(f"{error} {error.status}")\n'
    )


def _loop(w: _Writer, depth: int) -> str:
    return f"for i{depth} in range({1 + w.pick(1)}):\n{w.inner(depth)}"


def _while(w: _Writer, depth: int) -> str:
    name = w.name()
    return f"{name} = 2\nwhile {name} := {name} - 1:\n{w.inner(depth)}"


def _words(w: _Writer, depth: int) -> str:
    w.chance = True
    return f'for word in {{"alpha", "beta", "gamma"}}:\n    say(word + get(f"{w.name()}-{{word}}"))\n'


def _condition(w: _Writer, depth: int) -> str:
    tests = ["len(log) % 2", "names", f'get("{w.name()}") > "m"']
    if w.may_chance and w.pick(3) == 3:
        w.chance = True
        tests = ["random.random() < 0.5"]
    return f"if {tests[w.pick(len(tests) - 1)]}:\n{w.inner(depth)}else:\n{w.inner(depth)}"


def _finally(w: _Writer, depth: int) -> str:
    raised = f'    raise ValueError("{w.name()}")\n' if w.pick(1) else ""
    return (
        f"try:\n{w.inner(depth)}{raised}except ValueError as error:\n    say(repr(error))\nfinally:\n{w.inner(depth)}"
    )


def _function(w: _Writer, depth: int) -> str:
    name = w.name()
    return f"def {name}(x=1, *rest, y=2):\n{w.inner(depth)}    return x + y\nsay({name}(len(log), y={w.pick(9)}))\n"


def _closure(w: _Writer, depth: int) -> str:
    name = w.name()
    return (
        f"def {name}():\n    count = 0\n    def step():\n        nonlocal count\n        count += 1\n"
        f'        return get(f"{name}-{{count}}")\n    return step\nstep = {name}()\nsay(step() + step())\n'
    )


def _class(w: _Writer, depth: int) -> str:
    name = w.name().upper()
    return (
        f'class {name}:\n    kind = get("{w.name()}")\n    def __init__(self, x):\n        self.x = x\n'
        f'    @property\n    def twice(self):\n        return self.x + get("{w.name()}")\n'
        f"    def run(self):\n{indent(w.inner(depth), '    ')}        return self.twice\n"
        f"say({name}({name}.kind).run())\n"
    )


def _generator(w: _Writer, depth: int) -> str:
    name = w.name()
    return (
        f"def {name}(n):\n    for i in range(n):\n        yield get(f'{name}-{{i}}')\n"
        f"    yield from (str(i) for i in range(2))\nsay(list({name}({1 + w.pick(1)})))\n"
    )


def _context(w: _Writer, depth: int) -> str:
    name = w.name()
    return (
        f"@contextlib.contextmanager\ndef {name}():\n    say(get('{name}-in'))\n    try:\n        yield\n"
        f"    finally:\n        say(get('{name}-out'))\nwith {name}():\n{w.inner(depth)}"
    )


def _raised(w: _Writer, depth: int) -> str:
    name = w.name()
    return (
        f"class {name.upper()}(Exception):\n    def __init__(self, *, code): self.code = code\n"
        f"try:\n    try:\n        say(get('{name}'))\n        raise {name.upper()}(code={w.pick(9)})\n"
        f"    except {name.upper()} as error:\n        raise ExceptionGroup('many', [error]) from error\n"
        f"except* {name.upper()} as group:\n    say(group.exceptions[0].code)\n"
    )


def _mutated(w: _Writer, _: int) -> str:
    name = w.name()
    return (
        f"{name} = [{w.pick(3)}]\nalias = {name}\nsay(outside.extend({name}))\n"
        f"say(({name}, alias is {name}, len(alias)))\n"
    )


def _database(w: _Writer, _: int) -> str:
    name = w.name()
    return (
        f'{name} = sqlite3.connect(event["dir"] + "/{name}", isolation_level=None)\n'
        f'{name}.execute("create table if not exists t (n text unique)")\n'
        f"{name}.execute('insert or replace into t values (?)', (get('{name}'),))\n"
        f'say([row[0] for row in {name}.execute("select n from t")])\n{name}.close()\n'
    )


def _gathered(w: _Writer, _: int) -> str:
    wanted = [w.name() for _ in range(2 + w.pick(1))]
    return (
        "async def together():\n"
        "    async def one(n):\n        return await aget(n) + await aget(n + 'x')\n"
        f"    return await asyncio.gather(*map(one, {wanted}))\nsay(asyncio.run(together()))\n"
    )


def _grouped(w: _Writer, _: int) -> str:
    name = w.name()
    return (
        "async def grouped():\n    async with asyncio.TaskGroup() as group:\n"
        f"        tasks = [group.create_task(aget(f'{name}-{{i}}')) for i in range({1 + w.pick(2)})]\n"
        "    return [task.result() for task in tasks]\nsay(asyncio.run(grouped()))\n"
    )


def _pooled(w: _Writer, _: int) -> str:
    wanted = [w.name() for _ in range(2 + w.pick(1))]
    return f"with concurrent.futures.ThreadPoolExecutor(2) as pool:\n    say(list(pool.map(get, {wanted})))\n"


def _threaded(w: _Writer, _: int) -> str:
    name = w.name()
    return (
        f"{name}, lock = {{}}, threading.Lock()\n"
        f"def {name}_work(i):\n    got = get(f'{name}-{{i}}')\n    with lock: {name}[i] = got\n"
        f"threads = [threading.Thread(target={name}_work, args=(i,)) for i in range({1 + w.pick(1)})]\n"
        f"for thread in threads: thread.start()\nfor thread in threads: thread.join()\nsay(sorted({name}.items()))\n"
    )


CONCURRENT = [_gathered, _grouped, _pooled, _threaded]
"""Up to three requests at the same moment."""
STEADY = [
    _call,
    _direct,
    _nested,
    _listed,
    _mapped,
    _sorted,
    _formatted,
    _printed,
    _slept,
    _caught,
    _raised,
    _mutated,
    _database,
]
CHANCE = [_chance, _chance_call, _shuffled, _words]
COMPOUND = [_loop, _while, _condition, _finally, _function, _closure, _class, _generator, _context]


@st.composite
def programs(draw: st.DrawFn, *, concurrent: bool = False) -> Program:
    """Programs of up to fourteen statements, three blocks deep; `concurrent`: with tasks and threads."""
    writer = _Writer(draw, budget=14, may_chance=draw(st.booleans()), may_fork=concurrent)
    body = writer.block(3) + writer.block(3) + writer.block(2)
    return Program(PROLOGUE + indent(body, "    ") + EPILOGUE, writer.chance, 3 if concurrent else 1)
