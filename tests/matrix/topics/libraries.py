"""Frameworks that call user code: they run as they do, and what user code does in them is recorded."""

# ruff: noqa: E501 - programs stay as their users would write them
from matrix.probe import Probe

PROBES = [
    Probe(
        "tenacity_retry",
        """
import tenacity, outside
def main(url):
    @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(0.01))
    def get(): return outside.get(url + "/fail/1/ok")
    return get()
""",
        "ok",
        asks=2,
        needs=("tenacity",),
    ),
    Probe(
        "backoff_decorator",
        """
import backoff, outside
def main(url):
    @backoff.on_exception(backoff.constant, outside.OutsideError, max_tries=3, interval=0.01, jitter=None)
    def get(): return outside.get(url + "/fail/1/ok")
    return get()
""",
        "ok",
        asks=2,
        needs=("backoff",),
    ),
    Probe(
        "click_command",
        """
import click, outside
def main(url):
    @click.command()
    @click.option("--name", default="x")
    def cli(name): click.echo(outside.get(url + "/" + name)); return outside.get(url + "/r")
    return cli.main(["--name", "a"], standalone_mode=False)
""",
        "r",
        "outside.get*2",
        prints=("a",),
        needs=("click",),
    ),
    Probe(
        "jinja2_filters",
        """
import jinja2, outside
def main(url):
    env = jinja2.Environment()
    env.filters["got"] = lambda n: outside.get(url + "/" + n)
    t = env.from_string("{{ 'a' | got }} {{ get(u) }}{% for x in xs %}{{ x }}{% endfor %}")
    return t.render(u=url + "/b", xs=[1, 2], get=outside.get)
""",
        "a b12",
        asks=2,
        needs=("jinja2",),
    ),
    Probe(
        "pydantic_validators",
        """
import pydantic, outside
class Item(pydantic.BaseModel):
    name: str
    size: int = pydantic.Field(default=1, ge=0)
    @pydantic.field_validator("name")
    @classmethod
    def look_up(cls, v): return outside.get(v)
def main(url):
    item = Item(name=url + "/a")
    try: Item(name=url + "/b", size=-1)
    except pydantic.ValidationError as error: wrong = error.error_count()
    return [item.name, item.model_dump(), wrong, Item.model_validate({"name": url + "/c"}).name]
""",
        ["a", {"name": "a", "size": 1}, 1, "c"],
        "outside.get*3",
        needs=("pydantic",),
    ),
    Probe(
        "sqlalchemy_core",
        """
import sqlalchemy as sa, outside
def main(url):
    table = sa.Table("t", sa.MetaData(), sa.Column("n", sa.Integer))
    engine = sa.create_engine("sqlite://")
    with engine.begin() as c:
        c.execute(sa.text("create table t (n integer)"))
        c.execute(sa.insert(table), [{"n": 1}, {"n": 2}])
        return [r.n for r in c.execute(sa.select(table).order_by(table.c.n))]
""",
        [1, 2],
        may_lose=True,
        needs=("sqlalchemy",),
    ),
    Probe(
        "sqlalchemy_events",
        """
import sqlalchemy as sa, sqlalchemy.orm as orm, outside
def main(url):
    class Base(orm.DeclarativeBase): pass
    class Item(Base):
        __tablename__ = "item"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]
    seen = []
    sa.event.listen(Item.name, "set", lambda target, value, old, initiator: seen.append(outside.get(url + "/" + value)))
    item = Item(id=1, name="a")
    item.name = "b"
    return [item.name, seen, str(sa.select(Item.name)).split()[0]]
""",
        ["b", ["a", "b"], "SELECT"],
        "outside.get*2 ~time.perf_counter",
        needs=("sqlalchemy",),
    ),
    Probe(
        "attrs_classes",
        """
import attrs, outside
def main(url):
    @attrs.define
    class Item:
        name: str = attrs.field(converter=lambda n: outside.get(url + "/" + n))
        tags: list = attrs.field(factory=list)
        @name.validator
        def check(self, attribute, value): assert outside.get(url + "/check") == "check"
    return [Item("a").name, Item("b", ["t"]).tags, attrs.asdict(Item("c"))["name"]]
""",
        ["a", ["t"], "c"],
        "outside.get*6",
        needs=("attrs",),
    ),
    Probe(
        "functools_caches",
        """
import functools, outside
def main(url):
    @functools.lru_cache(maxsize=2)
    def get(n): return outside.get(f"{url}/{n}")
    external = functools.cache(outside.get)
    class Box:
        @functools.cache
        def m(self): return outside.get(url + "/m")
    b = Box()
    return [get("a"), get("a"), get.cache_info().hits, external(url + "/e"), external(url + "/e"), b.m(), b.m(), get.__wrapped__("w")]
""",
        ["a", "a", 1, "e", "e", "m", "m", "w"],
        "outside.get outside.get+ outside.get*2",
    ),
    Probe(
        "unittest_case",
        """
import io, unittest, outside
def main(url):
    class T(unittest.TestCase):
        def setUp(self): self.got = outside.get(url + "/setup")
        def test_a(self): self.assertEqual(outside.get(url + "/a"), "a")
        def test_b(self):
            with self.assertRaises(outside.OutsideError): outside.get(url + "/status/404/no")
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(T).run(result)
    return [result.testsRun, len(result.failures), len(result.errors)]
""",
        [2, 0, 0],
        "outside.get*4",
    ),
    Probe(
        "argparse_types",
        """
import argparse, outside
def main(url):
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=lambda n: outside.get(f"{url}/{n}"))
    parser.add_argument("y", type=outside.length)
    args = parser.parse_args(["--x", "a", url + "/bbb"])
    return [args.x, args.y]
""",
        ["a", 3],
        "outside.get outside.length",
    ),
    Probe(
        "json_hooks",
        """
import json, outside
def main(url):
    out = json.dumps({"k": {1}}, default=lambda s: outside.get(url + "/set"))
    back = json.loads('{"u": "x"}', object_hook=lambda d: {k: outside.get(f"{url}/{v}") for k, v in d.items()})
    direct = json.dumps([frozenset([1])], default=lambda s: [*s])
    return [out, back, direct]
""",
        ['{"k": "set"}', {"u": "x"}, "[[1]]"],
        "outside.get*2",
    ),
    Probe(
        "heap_of_external_keys",
        """
import heapq, outside
def main(url):
    urls = [url + "/cc", url + "/a"]
    rows = list(heapq.merge(urls[:1], urls[1:], key=outside.length))
    return [r.rpartition("/")[2] for r in rows]
""",
        ["a", "cc"],
        "outside.length*2",
    ),
]
