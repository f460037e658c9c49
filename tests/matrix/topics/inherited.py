"""The user's own subclasses of classes that are not the user's."""

from matrix.probe import Probe

PROBES = [
    Probe(
        "inherited_methods",
        """
import abroad
class Mine(abroad.Resource):
    def both(self): return self.fetch("a") + self.fetch("b")
def main(url):
    m = Mine(url)
    return [m.both(), m.fetch("c"), Mine.fetch(m, "d"), abroad.Resource.fetch(m, "e")]
""",
        ["ab", "c", "d", "e"],
        "abroad.Resource.fetch*5",
    ),
    Probe(
        "super_init_and_method",
        """
import abroad
class Mine(abroad.Resource):
    def __init__(self, url, extra):
        super().__init__(url)
        self.extra = extra
    def fetch(self, name): return "<" + super().fetch(name) + self.extra
def main(url): return [Mine(url, ">").fetch("a"), Mine(url, "]").base == url]
""",
        ["<a>", True],
        "abroad.Resource.fetch",
    ),
    Probe(
        "overridden_hook",
        """
import abroad, outside
class Mine(abroad.Resource):
    seen = 0
    def fetch(self, name): return "own " + super().fetch(name) + " "
def main(url): return Mine(url).fetch_twice("a")
""",
        "own a own a ",
        "abroad.Resource.fetch_twice",
        in_flight=2,
    ),
    Probe(
        "inherited_class_and_static_methods",
        """
import abroad
class Mine(abroad.Resource):
    def show(self): return self.ping(self.base)
def main(url):
    m = Mine.open(url)
    return [type(m).__name__, m.show(), Mine.ping(url)]
""",
        ["Mine", "ping", "ping"],
        "abroad.Resource.open abroad.Resource.ping*2",
    ),
    Probe(
        "inherited_protocols",
        """
import abroad
class Own(abroad.Shelf):
    def __len__(self): return 7
    def __getitem__(self, k): return "<" + super().__getitem__(k) + ">"
class Further(Own):
    pass
def main(url):
    s = Further(url)
    s["k"] = 1
    del s["k"]
    return [s["k"], len(s), 1 in s, [*s]]
""",
        ["<item-k>", 7, True, ["iter-0", "iter-1", "iter-2"]],
        asks=7,
        may_lose=True,
    ),
    Probe(
        "class_hooks",
        """
import abroad, outside
class Mine(abroad.Registering, kind="x"):
    def __init_subclass__(cls, **kw): super().__init_subclass__(**kw); cls.tag = cls.__name__.lower()
class Third(Mine): pass
def main(url): return [Third.tag, abroad.Registering.made[-2:], outside.get(url + "/a")]
""",
        ["third", ["Mine", "Third"], "a"],
        "outside.get",
    ),
    Probe(
        "subclass_of_a_live_class",
        """
import abroad
class Mine(abroad.Door):
    def __init__(self, url):
        super().__init__(url)
        self.count = 0
    def knock(self):
        self.count += 1
        return super().knock() + str(self.count)
def main(url):
    with Mine(url) as door:
        return [door.knock(), door.knock(), isinstance(door, abroad.Door), door.count]
""",
        ["knock1", "knock2", True, 2],
    ),
    Probe(
        "subclasses_of_builtins",
        """
import collections, outside
class Names(list):
    def __init__(self, *a): super().__init__(*a); self.made = True
    def append(self, x): super().append(outside.get(x))
class Table(dict):
    def __missing__(self, key): self[key] = outside.get(key); return self[key]
class Text(str):
    def __new__(cls, value): return super().__new__(cls, value.upper())
class Ordered(collections.OrderedDict):
    def __setitem__(self, k, v): super().__setitem__(k, outside.get(v))
def main(url):
    n, t, o = Names([1]), Table(), Ordered()
    n.append(url + "/a"); o["k"] = url + "/o"
    return [list(n), t[url + "/b"], t[url + "/b"], Text("x").lower(), dict(o), n.made, list(n.copy())]
""",
        [[1, "a"], "b", "b", "x", {"k": "o"}, True, [1, "a"]],
        "outside.get*3",
    ),
    Probe(
        "exception_subclasses",
        """
import outside
class Wrong(outside.OutsideError):
    def __init__(self, text): super().__init__(500, text); self.extra = outside.get(text)
def main(url):
    try: raise Wrong(url + "/a")
    except outside.OutsideError as e: return [e.status, e.extra, type(e).__name__]
""",
        [500, "a", "Wrong"],
        "outside.get",
    ),
    Probe(
        "thread_subclass",
        """
import threading, outside
class Worker(threading.Thread):
    def __init__(self, url): super().__init__(name="w"); self.url = url
    def run(self): self.got = outside.get(self.url)
def main(url):
    w = Worker(url + "/a")
    w.start(); w.join()
    return [w.got, w.name, w.is_alive()]
""",
        ["a", "w", False],
        "outside.get",
    ),
    Probe(
        "abstract_bases_of_the_library",
        """
import collections.abc, io, json, logging, string, outside
class Remote(collections.abc.Mapping):
    def __init__(self, url): self.url = url
    def __getitem__(self, k):
        if k == "no": raise KeyError(k)
        return outside.get(f"{self.url}/{k}")
    def __iter__(self): return iter(outside.get(self.url + "/ab"))
    def __len__(self): return 2
class Upper(json.JSONEncoder):
    def default(self, o): return outside.get(o.url + "/enc")
class Handler(logging.Handler):
    def emit(self, record): self.seen = record.getMessage()
def main(url):
    r, h = Remote(url), Handler()
    log = logging.getLogger("probe"); log.addHandler(h); log.propagate = False; log.warning("w %s", 1)
    return [r.get("x"), r.get("no", 1), dict(r), list(r.items())[0][1], json.dumps(r, cls=Upper), h.seen]
""",
        ["x", 1, {"a": "a", "b": "b"}, "a", '"enc"', "w 1"],
        "outside.get*8",
    ),
    Probe(
        "requests_session_subclass",
        """
import requests
class Api(requests.Session):
    def __init__(self, url):
        super().__init__()
        self.url = url
        self.headers["X-Who"] = "me"
    def page(self, name): return self.get(f"{self.url}/{name}").text
def main(url):
    api = Api(url)
    return [api.page("a"), api.headers["X-Who"], api.page("b")]
""",
        ["a", "me", "b"],
    ),
    Probe(
        "server_framework",
        """
import http.server, io, outside
def main(url):
    class Handler(http.server.BaseHTTPRequestHandler):
        def setup(self): self.rfile, self.wfile = io.BytesIO(b"GET /x HTTP/1.0\\r\\n\\r\\n"), io.BytesIO()
        def finish(self): answers.append(self.wfile.getvalue().rpartition(b"\\n")[2].decode())
        def log_message(self, *a): pass
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(outside.get(url + self.path).encode())
    answers = []
    Handler(None, ("here", 0), None)
    return answers
""",
        ["x"],
        asks=1,
    ),
]
