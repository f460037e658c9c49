"""Exceptions as the journal keeps them, and as people are told of them."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
import traceback
import urllib.error
from pathlib import Path

import perdure
import pytest
from perdure_runner.child import restore
from perdure_runner.child.values.codec import Codec, error_info
from perdure_runner.child.values.errors_codec import take_over

LIMIT = 1 << 20
codec = Codec(b"k" * 32, LIMIT)


def again(error, codec=codec):
    encoded = codec.encode_error(error)
    assert len(encoded.preview) <= 200
    return codec.decode(encoded.encoding, encoded.data, encoded.mac)


def raised(action):
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


class ApiError(Exception):
    """Takes other arguments than it keeps."""

    def __init__(self, response, *, status):
        super().__init__(f"status {status}")
        self.response = response
        self.status = status


class Slotted(ValueError):
    __slots__ = ("__secret", "detail", "unset")

    def __init__(self, detail):
        self.detail = detail
        self.__secret = 5

    def secret(self):
        return self.__secret


class Silent(Exception):
    def __init__(self, value):
        self.value = value  # args hold it all the same: BaseException.__new__ saw it

    def __str__(self):
        return f"value {self.value}"


class Picky(Exception):
    """Runs code wherever it can."""

    def __init__(self, a, b):
        raise_if_restoring()
        self.a = a
        super().__init__(a, b)

    def __setattr__(self, name, value):
        raise_if_restoring()
        super().__setattr__(name, value)

    def __reduce__(self):
        raise AssertionError("asked")


def raise_if_restoring():
    assert not restoring, "user code ran"


restoring = False


class Reducing(Exception):
    def __reduce__(self):
        return Reducing, ()


class Native(Exception):
    """Like a class written in C: it is asked for its own pickle."""

    __reduce__ = BaseException.__reduce__


class NativeOnlyInPart(Native):
    def __init__(self, one, two):
        super().__init__(one)


class Both(KeyError, AttributeError):
    pass


class SystemFailure(OSError, RuntimeError):
    pass


class Batch(ExceptionGroup):
    def derive(self, members):
        return Batch(self.message, members)


def unicode_error():
    return raised(lambda: b"\xff".decode())


def syntax_error():
    return raised(lambda: compile("a = = 1\n", "broken.py", "exec"))


EXCEPTIONS = {
    "plain": lambda: ValueError("x"),
    "no arguments": lambda: ValueError(),
    "several arguments": lambda: ValueError("x", 1, (2,)),
    "key": lambda: KeyError("k"),
    "file not found": lambda: raised(lambda: open("/nowhere/x")),  # noqa: SIM115
    "os error by number": lambda: OSError(13, "denied", "a", None, "b"),
    "os error by text": lambda: OSError("text only"),
    "timeout": lambda: TimeoutError("late"),
    "blocking": lambda: BlockingIOError(11, "again", 3),
    "unicode": unicode_error,
    "syntax": syntax_error,
    "import": lambda: raised(lambda: __import__("no_such_module")),
    "attribute": lambda: raised(lambda: len.nothing),
    "name": lambda: raised(lambda: eval("undefined_name")),
    "stop": lambda: StopIteration(5),
    "exit": lambda: SystemExit(3),
    "interrupt": lambda: KeyboardInterrupt(),
    "cancelled task": lambda: asyncio.CancelledError("x"),
    "cancelled session": lambda: perdure.Cancelled("stop"),
    "own": lambda: perdure.ActivityTimeout("late", help="wait"),
    "custom signature": lambda: ApiError({"body": 1}, status=500),
    "slots": lambda: Slotted("d"),
    "own str": lambda: Silent(3),
    "runs code": lambda: Picky(1, 2),
    "written in C": lambda: Native("kept"),
    "written in C, does not load": lambda: NativeOnlyInPart("kept", "lost"),
    "own reduce": lambda: Reducing("kept"),
    "two builtin bases": lambda: Both("b"),
    "two layouts": lambda: SystemFailure(5, "five"),
    "http": lambda: urllib.error.URLError("refused"),
    "json": lambda: raised(lambda: json.loads("{")),
    "process": lambda: subprocess.CalledProcessError(2, ["x"], b"out", b"err"),
    "sqlite": lambda: raised(lambda: sqlite3.connect(":memory:").execute("bad")),
    "group": lambda: ExceptionGroup("several", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])]),
    "own group": lambda: Batch("batch", [ApiError(1, status=2)]),
    "base group": lambda: BaseExceptionGroup("several", [KeyboardInterrupt()]),
}


def attributes(error):
    skipped = {"with_traceback", "add_note", "obj", "args"}
    names = [name for name in dir(error) if not name.startswith("__") and name not in skipped]
    found = {name: getattr(error, name, "unset") for name in names}
    return {name: value for name, value in found.items() if not callable(value)}


def alike(a, b):
    assert type(a) is type(b)
    assert str(a) == str(b)
    assert repr(a) == repr(b)
    if not isinstance(a, BaseExceptionGroup):
        assert a.args == b.args
        assert attributes(a) == attributes(b)
    assert getattr(a, "__notes__", None) == getattr(b, "__notes__", None)
    assert a.__suppress_context__ == b.__suppress_context__
    for name in ("__cause__", "__context__"):
        if (one := getattr(a, name)) is None:
            assert getattr(b, name) is None
        else:
            alike(one, getattr(b, name))
    for one, other in zip(getattr(a, "exceptions", ()), getattr(b, "exceptions", ()), strict=True):
        alike(one, other)


@pytest.mark.parametrize("make", EXCEPTIONS.values(), ids=EXCEPTIONS)
def test_an_exception_comes_back_whole(make, monkeypatch):
    original = raised(lambda: raise_(make()))
    original.__context__ = None  # what `make` caught on its way
    original.add_note("a note")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "restoring", True)
        restored = again(original)
    alike(original, restored)
    assert printed(restored) == printed(original)


def raise_(error, cause=None):
    raise error from cause


def printed(error):
    return "".join(traceback.format_exception(error))


def chain():
    try:
        try:
            json.loads("{")
        except ValueError as error:
            raise ApiError("r", status=500) from error
    except ApiError:
        {}["missing"]


def test_cause_context_and_frames_print_as_they_did():
    original = raised(chain)
    restored = again(original)
    alike(original, restored)
    assert printed(restored) == printed(original)
    assert "direct cause" in printed(restored)
    assert "^^^^" in printed(restored)


def test_restored_frames_are_real_tracebacks():
    restored = again(raised(chain))
    frames = traceback.extract_tb(restored.__traceback__)
    assert [frame.name for frame in frames] == ["raised", "chain"]
    assert frames[1].line == '{}["missing"]'
    assert restored.__traceback__.tb_frame.f_globals["__name__"] == __name__
    with pytest.raises(KeyError) as caught:
        raise restored
    assert [entry.name for entry in caught.traceback][-2:] == ["raised", "chain"]


def test_suppressed_context():
    restored = again(raised(lambda: raise_(ValueError(1), None)))
    assert restored.__suppress_context__


def test_private_slots():
    assert again(Slotted("d")).secret() == 5
    assert not hasattr(again(Slotted("d")), "unset")


def test_cycles():
    one, two = ValueError("one"), KeyError("two")
    one.__context__, two.__context__ = two, one
    one.myself = one
    restored = again(one)
    assert restored.myself is restored
    assert restored.__context__.__context__ is restored


class TestStandIns:
    def test_what_cannot_be_recorded_is_shown(self):
        error = ApiError(threading.Lock(), status=500)
        error.args = ("message", sqlite3.connect(":memory:"))
        restored = again(error)
        assert type(restored) is ApiError
        assert restored.status == 500
        assert repr(restored.response) == "<not recorded: <_thread.lock>>"
        assert restored.args[0] == "message"
        assert restored.args[1].type_name == "sqlite3.Connection"

    def test_local_class_is_the_one_that_user_code_has_defined_again(self):
        class LocalError(ApiError):
            pass

        error = LocalError("r", status=404)
        error.add_note("mine")
        restored = again(error)
        assert type(restored) is LocalError
        assert (str(restored), restored.status, restored.response) == ("status 404", 404, "r")
        assert restored.__notes__ == ["mine"]

    def test_local_class_inside_a_chain_and_a_group(self):
        class LocalError(KeyError):
            pass

        class LocalGroup(ExceptionGroup):
            pass

        restored = again(raised(lambda: raise_(LocalGroup("g", [LocalError("k")]), LocalError("c"))))
        assert (type(restored), type(restored.exceptions[0])) == (LocalGroup, LocalError)
        assert type(restored.__cause__) is LocalError

    def test_the_newest_of_several_with_one_name(self):
        def define():
            class LocalError(ApiError):
                pass

            return LocalError

        old, new = define(), define()
        assert type(again(old("r", status=1))) is new
        assert old is not new

    def test_local_class_that_is_gone_is_rebuilt_with_its_methods(self):
        def fail():
            class LocalError(LookupError):
                def __str__(self):
                    return f"not found: {self.args[0]}"

            raise LocalError("x")

        encoded = codec.encode_error(raised(fail))
        code = (
            "from perdure_runner.child.values.codec import Codec\n"
            f"codec = Codec(b'k' * 32, {LIMIT})\n"
            f"one, two = (codec.decode(2, {encoded.data!r}, {encoded.mac!r}) for _ in range(2))\n"
            "print(one, type(one).__name__, type(one).__base__.__name__, type(one) is type(two))\n"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout == "not found: x LocalError LookupError True\n"

    def test_exception_as_argument(self):
        restored = again(ConnectionError(ApiError(threading.Lock(), status=500)))
        assert str(restored) == "status 500"
        assert repr(restored.args[0].response) == "<not recorded: <_thread.lock>>"

    def test_exceptions_as_values(self):
        encoded = codec.encode([ApiError(1, status=2)])
        assert codec.decode(encoded.encoding, encoded.data, encoded.mac)[0].status == 2


class Hostile(Exception):
    """Fails whatever it is asked."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __str__(self):
        raise RuntimeError

    __repr__ = __reduce__ = __reduce_ex__ = __getstate__ = __str__


class BadState(Exception):
    def __init__(self):
        self.part = BadPart()


class BadPart:
    def __reduce__(self):
        return int, ("no number",)


class TestNeverFails:
    def test_hostile_class(self):
        assert type(again(Hostile("x"))) is Hostile

    def test_attribute_that_cannot_be_loaded(self):
        assert repr(again(BadState()).part) == "<not recorded: <test_exceptions.BadPart>>"

    def test_large_attributes_are_dropped_first(self):
        error = raised(lambda: raise_(ApiError("x" * LIMIT, status=500), ValueError("why")))
        restored = again(error)
        assert str(restored) == "status 500"
        assert str(restored.__cause__) == "why"
        assert not hasattr(restored, "status") or "not recorded" in repr(restored.response)

    def test_then_cause_and_context(self):
        error = raised(lambda: raise_(KeyError("k"), ValueError(*["x" * 100_000] * 20)))
        error.__cause__.args = tuple("x" * 100_000 + str(i) for i in range(20))
        restored = again(error)
        assert restored.args == ("k",)
        assert restored.__cause__ is None

    def test_then_arguments(self):
        restored = again(ApiError("x", status="y" * 3 * LIMIT))
        assert type(restored) is ApiError
        assert len(restored.args[0]) < 10_000

    def test_tiny_limit(self):
        restored = again(raised(lambda: raise_(ValueError("x" * 500), KeyError(1))), Codec(b"k", 10))
        assert type(restored) is ValueError
        assert restored.args == ("x" * 500,)

    def test_deep_recursion(self):
        def forever():
            forever()

        error = raised(forever)
        restored = again(error)
        assert type(restored) is RecursionError
        assert 10 <= len(traceback.extract_tb(restored.__traceback__)) <= 50

    def test_long_chains(self):
        error = None
        for i in range(5000):
            new = ValueError(i)
            new.__context__ = error
            error = new
        assert again(error).args == (4999,)

    def test_deep_groups(self):
        error = ValueError(1)
        for _ in range(600):
            error = ExceptionGroup("g", [error])
        assert isinstance(again(error), Exception)


class TestWhole:
    """What is still raised live holds what replay will give."""

    def test_most_are(self):
        assert codec.encode_error(raised(lambda: raise_(ApiError(1, status=2), KeyError(1)))).whole

    def test_what_holds_a_live_object_is_not(self):
        error = raised(lambda: raise_(ApiError(threading.Lock(), status=500)))
        frames = error.__traceback__
        encoded = codec.encode_error(error)
        assert not encoded.whole
        take_over(error, codec.decode(encoded.encoding, encoded.data, encoded.mac))
        assert repr(error.response) == "<not recorded: <_thread.lock>>"
        assert (error.status, error.__traceback__) == (500, frames)


class TestStack:
    def test_there_is_room_to_record_at_the_end_of_the_stack(self):
        def down():
            try:
                return down()
            except RecursionError as error:
                return codec.encode_error(ApiError(["r"], status=str(error)))

        encoded = down()
        assert encoded.whole
        assert codec.decode(encoded.encoding, encoded.data, encoded.mac).response == ["r"]


class TestBuild:
    def test_frames_are_in_the_folder_of_the_running_build(self, monkeypatch):
        monkeypatch.setattr(restore, "_root", "/first/build/")
        scope = {"__name__": "shop.main"}
        exec(compile("def f():\n    return 1 / 0", "/first/build/shop/main.py", "exec"), scope)
        encoded = codec.encode_error(raised(scope["f"]))
        assert b"/first/build" not in encoded.data
        monkeypatch.setattr(restore, "_root", "/second/")
        restored = codec.decode(encoded.encoding, encoded.data, encoded.mac)
        assert [frame.filename for frame in traceback.extract_tb(restored.__traceback__)][-1] == "/second/shop/main.py"


class TestInfo:
    def info(self, error):
        here = str(Path(__file__).parent)
        return error_info(error, lambda file: file.startswith(here), lambda file: file.removeprefix(here + "/"))

    def test_frames_of_user_code_and_libraries(self):
        def user():
            return json.loads("{")

        info = self.info(raised(user))
        assert (info["type"], info["code"], info["help"]) == ("json.decoder.JSONDecodeError", "", "")
        assert info["message"].startswith("Expecting property name")
        names = [frame[2] for frame in info["tb"]]
        assert names[1].endswith("user")
        assert names[-1] == "JSONDecoder.raw_decode"
        file, line, _name, column, source = info["tb"][1]
        assert file == "test_exceptions.py"
        assert source == 'return json.loads("{")'
        assert Path(__file__).read_text().splitlines()[line - 1][column - 1 :] == 'json.loads("{")'
        assert Path(info["tb"][-1][0]).is_absolute()
        json.dumps(info)

    def test_perdures_own_frames_are_left_out(self):
        names = [frame[2] for frame in self.info(raised(lambda: codec.encode(threading.Lock())))["tb"]]
        assert len(names) == 2
        assert names[1].endswith("<lambda>")

    def test_errors_of_perdure_carry_code_and_help(self):
        info = self.info(perdure.ValueTooLarge("big"))
        assert (info["type"], info["message"], info["code"]) == ("perdure.ValueTooLarge", "big", "P0402")
        assert "perdure.activity" in info["help"]

    def test_the_place_of_a_syntax_error(self):
        assert self.info(syntax_error())["tb"][-1] == ["broken.py", 1, "<module>", 5, "a = = 1"]

    def test_hostile_exceptions(self):
        info = self.info(raised(lambda: raise_(Hostile("x"))))
        assert info["type"] == "test_exceptions.Hostile"
        assert "RuntimeError" in info["message"]

    def test_bounds(self):
        def forever():
            forever()

        assert len(self.info(raised(forever))["tb"]) <= 50
        assert len(self.info(ValueError("x" * 10**6))["message"]) <= 10_000

    def test_a_restored_error_reads_like_the_original(self):
        original = raised(chain)
        assert self.info(again(original)) == self.info(original)


def test_another_process_restores_the_same():
    original = raised(chain)
    encoded = codec.encode_error(original)
    code = (
        "import sys, traceback\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from perdure_runner.child.values.codec import Codec\n"
        f"error = Codec(b'k' * 32, {LIMIT}).decode(2, {encoded.data!r}, {encoded.mac!r})\n"
        "print(''.join(traceback.format_exception(error)), end='')\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == printed(original)
