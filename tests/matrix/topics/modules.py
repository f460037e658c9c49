"""Imports, strings that are run, and what happens while a module is loaded."""

# ruff: noqa: E501 - programs stay as their users would write them
from matrix.probe import Probe

PROBES = [
    Probe(
        "relative_imports",
        """
from . import helper
from .deep.er import thing as renamed
from .deep import er, VALUE
def main(url): return [helper.get(url), renamed(url), er.thing(url), VALUE]
""",
        ["h", "t", "t", 7],
        "outside.get*3",
        files={
            "helper.py": 'import outside\ndef get(url): return outside.get(url + "/h")\n',
            "deep/__init__.py": "VALUE = 7\n",
            "deep/er.py": 'from .. import helper\nimport outside\ndef thing(url): return outside.get(url + "/t")\n',
        },
    ),
    Probe(
        "lazy_import",
        """
def main(url):
    from .late import work
    import outside
    return [work(url), outside.get(url + "/b")]
""",
        ["late", "b"],
        "outside.get*2",
        files={"late.py": 'import outside\nwork = lambda url: outside.get(url + "/late")\n'},
    ),
    Probe(
        "circular_imports",
        """
from . import one
def main(url): return one.start(url)
""",
        ["one", "two"],
        "outside.get*2",
        files={
            "one.py": 'from . import two\nimport outside\ndef start(url): return [outside.get(url + "/one"), two.go(url)]\n',
            "two.py": 'from . import one\ndef go(url): return one.outside.get(url + "/two")\n',
        },
    ),
    Probe(
        "star_import",
        """
from .all import *
def main(url): return [get(url), open(url), hidden()]
def hidden(): return "own"
""",
        ["get", "opened", "own"],
        "outside.get",
        files={
            "all.py": 'import outside\n__all__ = ["get", "open"]\n'
            'def get(url): return outside.get(url + "/get")\ndef open(url): return "opened"\n'
        },
    ),
    Probe(
        "namespace_package",
        """
import importlib
def main(url): return importlib.import_module(".space.part", __package__).work(url)
""",
        "ns",
        "outside.get",
        files={"space/part.py": 'import outside\ndef work(url): return outside.get(url + "/ns")\n'},
    ),
    Probe(
        "importlib_and_reload",
        """
import importlib, sys
def main(url):
    m = importlib.import_module(__name__ + ".counted")
    first = m.work(url)
    importlib.reload(m)
    spec = importlib.util.find_spec(__name__ + ".counted")
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return [first, m.work(url), copy.work(url), copy is m]
""",
        ["c", "c", "c", False],
        "outside.get*3",
        files={"counted.py": 'import importlib.util\nimport outside\ndef work(url): return outside.get(url + "/c")\n'},
    ),
    Probe(
        "runpy",
        """
import runpy
def main(url):
    ran = runpy.run_module(__name__ + ".script", init_globals={"url": url}, run_name="__main__")
    return [ran["got"], ran["__name__"]]
""",
        ["s", "__main__"],
        "outside.get",
        files={"script.py": 'import outside\nif __name__ == "__main__":\n    got = outside.get(url + "/s")\n'},
    ),
    Probe(
        "encodings",
        """
from . import latin, bom, crlf
def main(url): return [latin.get(url), bom.get(url), crlf.get(url)]
""",
        ["\xe9l", "\u20acb", "\xfcc"],
        "outside.get*3",
        files={
            "latin.py": '# -*- coding: latin-1 -*-\nimport outside\ndef get(url): x = "\xe9"; return x + outside.get(url + "/l")\n'.encode(
                "latin-1"
            ),
            "bom.py": b"\xef\xbb\xbf"
            + 'import outside\ndef get(url): x = "\u20ac"; return x + outside.get(url + "/b")\n'.encode(),
            "crlf.py": 'import outside\r\n\x0c\r\ndef get(url):\r\n    return "\xfc" + outside.get(url + "/c")\r\n'.encode(),
        },
    ),
    Probe(
        "identifiers_of_any_script",
        """
import outside
def main(url):
    größe = {"ä": outside.get(url + "/x")}; ŝlosilo = "ä"
    def früh(名): return größe[名] + outside.get(url + "/y")
    return früh(ŝlosilo)
""",
        "xy",
        "outside.get*2",
    ),
    Probe(
        "module_level_calls",
        """
from . import settings
def main(url): return [settings.RANDOM == settings.RANDOM, settings.TABLE, settings.LEVEL]
""",
        [True, {"a": 1}, 3],
        "~random.random ~uuid.uuid4",
        files={
            "settings.py": 'import random, uuid, json, logging\nRANDOM = random.random()\nID = uuid.uuid4()\nTABLE = json.loads(\'{"a": 1}\')\nLEVEL = len("abc")\n'
        },
    ),
    Probe(
        "module_getattr",
        """
from . import lazy
def main(url):
    lazy.URL = url
    return [lazy.anything, lazy.fixed(url)]
""",
        ["anything", "f"],
        "outside.get*2",
        files={
            "lazy.py": "import outside\ndef __getattr__(name):\n    if name.startswith('__'): raise AttributeError(name)\n"
            '    return outside.get(f"{URL}/{name}")\ndef fixed(url): return outside.get(url + "/f")\n'
        },
    ),
    Probe(
        "resources",
        """
import importlib.resources, pkgutil
def main(url):
    text = importlib.resources.files(__name__).joinpath("data.txt").read_text()
    return [text, pkgutil.get_data(__name__, "data.txt").decode()]
""",
        ["data\n", "data\n"],
        files={"data.txt": "data\n"},
    ),
    Probe(
        "main_guard",
        """
import outside
ran = []
if __name__ == "__main__":
    ran.append(outside.get("nowhere"))
def main(url): return [ran, __name__, outside.get(url + "/a")]
""",
        [[], "p_main_guard", "a"],
        "outside.get",
    ),
    Probe(
        "eval_of_a_string",
        """
import outside
def main(url):
    n = "/a"
    return [eval("outside.get(url + n)"), eval(" outside.get(u)", {"outside": outside, "u": url + "/b"}), eval("[outside.get(x) for x in y]", {"outside": outside}, {"y": [url + "/c"]})]
""",
        ["a", "b", ["c"]],
        "outside.get*3",
    ),
    Probe(
        "exec_of_a_string",
        """
import outside
SOURCE = "import outside\\ndef get(u):\\n    return outside.get(u)\\nresult = get(url + '/a')\\n"
def main(url):
    space = {"url": url}
    exec(SOURCE, space)
    local = {}
    exec("x = outside.get(url + '/b')", globals(), {"url": url} | local)
    return [space["result"], space["get"](url + "/c")]
""",
        ["a", "c"],
        "outside.get*3",
    ),
    Probe(
        "exec_of_compiled_code",
        """
import outside
def main(url):
    code = compile("got = outside.get(url + '/a')", "made.py", "exec")
    space = {"url": url, "outside": outside}
    exec(code, space)
    return space["got"]
""",
        "a",
        "outside.get",
    ),
    Probe(
        "traceback_of_a_string",
        """
import outside, traceback
def main(url):
    try:
        exec("def f(u):\\n    return outside.get(u)\\n\\nf(url + '/status/404/no')", {"outside": outside, "url": url})
    except outside.OutsideError as error:
        frames = traceback.extract_tb(error.__traceback__)
        return [[f.lineno, f.name] for f in frames if f.filename in ("<string>", __file__)]
""",
        [[4, "main"], [4, "<module>"], [2, "f"]],
        "outside.get",
    ),
    Probe(
        "exec_in_a_class_and_nested",
        """
import outside
def main(url):
    class A:
        exec("def get(self, u): return outside.get(u)", globals(), locals())
        exec("made = 1")
    deep = eval("eval('outside.get(url + chr(47) + chr(97))')", {"outside": outside, "url": url})
    return [A().get(url + "/b"), A.made, deep]
""",
        ["b", 1, "a"],
        "outside.get*2",
    ),
    Probe(
        "files_and_folders",
        """
import os, pathlib
def main(url, folder):
    path = os.path.join(folder, "a.txt")
    pathlib.Path(path).write_text("one")
    return [pathlib.Path(path).read_text(), sorted(os.listdir(folder)), os.path.exists(path), os.path.basename(path)]
""",
        ["one", ["a.txt"], True, "a.txt"],
        "pathlib.PosixPath.write_text pathlib.PosixPath.read_text os.listdir os.path.exists",
    ),
    Probe(
        "subprocess_is_an_activity",
        """
import subprocess, sys
def main(url, folder):
    done = subprocess.run([sys.executable, "-c", "open('ran', 'a').write('x'); print(42)"], capture_output=True, text=True, cwd=folder)
    return [done.stdout.strip(), done.returncode]
""",
        ["42", 0],
        "subprocess.run",
    ),
]
