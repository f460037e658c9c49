"""The SDK as a plain script sees it, and as it hands on to a runner."""

import math
import pickle
import subprocess
import sys
import types
from datetime import timedelta

import perdure
import pytest
from perdure import _runtime

MARK = "__perdure_activity__"


class FakeRuntime:
    """Notes what it is asked."""

    session_id = "s1"

    def __init__(self):
        self.asked = []

    def sleep(self, seconds):
        self.asked.append(seconds)

    def next_signal(self, names, timeout):
        self.asked.append((names, timeout))
        return perdure.Signal("go", {"a": 1})

    def activity_key(self):
        return "key-1"

    def replaying(self):
        return True


@pytest.fixture
def runtime(monkeypatch):
    fake = FakeRuntime()
    monkeypatch.setattr(_runtime, "current", fake)
    return fake


def test_every_public_name_is_there_and_documented():
    for name in set(perdure.__all__) - {"__version__"}:
        assert getattr(perdure, name).__doc__, name
    assert set(perdure.__all__) <= set(dir(perdure))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        perdure.nothing  # noqa: B018


def test_import_loads_nothing_but_its_version():
    code = "import sys; before = set(sys.modules); import perdure; print(sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['perdure', 'perdure._version']"


def test_using_everything_imports_the_standard_library_only():
    code = (
        "import sys; before = set(sys.modules); import perdure; [getattr(perdure, name) for name in perdure.__all__];"
        "print(sorted({n.partition('.')[0] for n in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['perdure']"


class TestActivity:
    def test_bare_mark_returns_the_same_function(self):
        def f():
            return 1

        assert perdure.activity(f) is f
        assert f.__perdure_activity__ == perdure.ActivityOptions()
        assert f() == 1

    def test_options(self):
        @perdure.activity(retry=3, timeout=timedelta(minutes=1), name="charge")
        def f():
            pass

        assert f.__perdure_activity__ == perdure.ActivityOptions(
            retry=perdure.RetryPolicy(max_attempts=3), timeout=60.0, name="charge"
        )

    def test_methods_classes_and_coroutines(self):
        class C:
            @perdure.activity
            def method(self):
                pass

            @perdure.activity
            @staticmethod
            def static():
                pass

            @staticmethod
            @perdure.activity
            def static_inside():
                pass

            @perdure.activity
            @classmethod
            def class_method(cls):
                pass

            @perdure.activity
            async def coroutine(self):
                pass

        perdure.activity(C)
        marked = [C, C().method, C.static, C().static_inside, C.class_method.__func__, C.coroutine]
        assert all(getattr(f, MARK) == perdure.ActivityOptions() for f in marked)

    def test_no_activity(self):
        @perdure.no_activity
        def f():
            pass

        assert f.__perdure_activity__ is None

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"retry": "3"}, TypeError),
            ({"retry": True}, TypeError),
            ({"retry": 0}, ValueError),
            ({"timeout": "1s"}, TypeError),
            ({"timeout": 0}, ValueError),
            ({"timeout": -1}, ValueError),
            ({"timeout": math.nan}, ValueError),
            ({"timeout": math.inf}, ValueError),
            ({"at_most_once": 1}, TypeError),
            ({"at_most_once": True, "retry": 2}, ValueError),
            ({"name": ""}, TypeError),
            ({"name": 1}, TypeError),
        ],
    )
    def test_bad_options_are_refused_at_decoration(self, options, error):
        with pytest.raises(error, match="activity"):
            perdure.activity(**options)

    @pytest.mark.parametrize("thing", [len, 1, property(lambda self: 1), "name", dict])
    def test_things_that_take_no_mark(self, thing):
        with pytest.raises(TypeError, match="mark"):
            perdure.activity(thing)


class TestNoActivities:
    def test_registered_things_are_found_by_identity_module_or_pattern(self, monkeypatch):
        registry = _runtime.NoActivities()
        monkeypatch.setattr(_runtime, "no_activity", registry)
        module = types.ModuleType("templates")

        def f():
            pass

        perdure.register_no_activity(f, module, "jinja2.*")
        assert registry.has(f)
        assert not registry.has(lambda: None)
        assert registry.matches("templates.render")
        assert registry.matches("jinja2.environment.Template.render")
        assert not registry.matches("jinja3.Template")
        assert registry.version == 3

    def test_nothing_is_registered_when_one_of_them_is_wrong(self, monkeypatch):
        registry = _runtime.NoActivities()
        monkeypatch.setattr(_runtime, "no_activity", registry)
        with pytest.raises(TypeError, match="not 5"):
            perdure.register_no_activity(len, 5)
        assert not registry.has(len)

    def test_inhibit_is_reentrant_and_ends_with_an_exception(self):
        with perdure.inhibit_activities():
            with perdure.inhibit_activities():
                assert _runtime.inhibit.get() == 2
            with pytest.raises(KeyError), perdure.inhibit_activities():
                raise KeyError
            assert _runtime.inhibit.get() == 1
        assert _runtime.inhibit.get() == 0


class TestRetryPolicy:
    def test_delays_grow_up_to_the_limit(self):
        policy = perdure.RetryPolicy(initial_delay=1, factor=2, max_delay=5, jitter=0)
        assert [policy.delay(attempt, 0.5) for attempt in (1, 2, 3, 4, 5000)] == [1, 2, 4, 5, 5]

    def test_jitter_only_shortens(self):
        policy = perdure.RetryPolicy(initial_delay=10, jitter=0.5)
        assert policy.delay(1, 0.0) == 10
        assert policy.delay(1, 0.5) == 7.5

    def test_attempts(self):
        assert [perdure.RetryPolicy(max_attempts=2).allows(n) for n in (1, 2)] == [True, False]
        assert perdure.RetryPolicy(max_attempts=0).allows(10**6)

    @pytest.mark.parametrize(
        ("retry_on", "error", "expected"),
        [
            ((Exception,), ValueError(), True),
            ((OSError,), ConnectionResetError(), True),
            ((OSError,), ValueError(), False),
            (("ConnectionError",), ConnectionResetError(), True),
            (("json.decoder.JSONDecodeError", KeyError), KeyError(), True),
            (("subprocess.CalledProcessError",), subprocess.CalledProcessError(1, "x"), True),
            (("other.CalledProcessError",), subprocess.CalledProcessError(1, "x"), False),
            ((BaseException,), KeyboardInterrupt(), False),
            ((BaseException,), perdure.Cancelled(), False),
            (("Cancelled",), perdure.Cancelled(), False),
        ],
    )
    def test_which_errors(self, retry_on, error, expected):
        assert perdure.RetryPolicy(retry_on=retry_on).retries(error) is expected

    def test_json_there_and_back(self):
        policy = perdure.RetryPolicy(7, 0.5, 3, 90, 0.2, (OSError, "httpx.ReadTimeout", subprocess.TimeoutExpired))
        data = policy.to_json()
        assert data["retry_on"] == ["OSError", "httpx.ReadTimeout", "subprocess.TimeoutExpired"]
        assert perdure.RetryPolicy.from_json(data).to_json() == data
        assert perdure.RetryPolicy.from_json({"retry_on": []}) == perdure.RetryPolicy()

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"max_attempts": 1.5}, TypeError),
            ({"max_attempts": -1}, ValueError),
            ({"initial_delay": "1"}, TypeError),
            ({"initial_delay": math.nan}, ValueError),
            ({"factor": 0.5}, ValueError),
            ({"max_delay": math.inf}, ValueError),
            ({"jitter": 1.5}, ValueError),
            ({"retry_on": (5,)}, TypeError),
            ({"retry_on": (int,)}, TypeError),
        ],
    )
    def test_bad_values(self, fields, error):
        with pytest.raises(error, match="RetryPolicy"):
            perdure.RetryPolicy(**fields)


class TestPlainScript:
    def test_sleep_is_time_sleep(self, monkeypatch):
        slept = []
        monkeypatch.setattr("time.sleep", slept.append)
        perdure.sleep(timedelta(seconds=90))
        perdure.sleep(0)
        assert slept == [90.0, 0.0]

    @pytest.mark.parametrize(("duration", "error"), [(-1, ValueError), (math.nan, ValueError), ("1", TypeError)])
    def test_bad_durations(self, duration, error):
        with pytest.raises(error, match="sleep"):
            perdure.sleep(duration)

    def test_next_signal_says_that_nobody_will_come(self):
        with pytest.raises(perdure.NotInSession, match="next_signal") as caught:
            perdure.next_signal("go")
        assert "perdure run" in caught.value.help

    def test_the_rest(self):
        assert perdure.session_id() is None
        assert perdure.is_replaying() is False
        assert perdure.activity_key() != perdure.activity_key()


class TestInSession:
    def test_calls_go_to_the_runtime(self, runtime):
        perdure.sleep(timedelta(days=30))
        assert perdure.next_signal("a", "b", timeout=timedelta(seconds=5)) == perdure.Signal("go", {"a": 1})
        assert runtime.asked == [30 * 86400.0, (("a", "b"), 5.0)]
        assert perdure.activity_key() == "key-1"
        assert perdure.session_id() == "s1"
        assert perdure.is_replaying()

    @pytest.mark.parametrize("names", [("",), (1,)])
    def test_signal_names_are_checked(self, runtime, names):
        with pytest.raises(TypeError, match="names"):
            perdure.next_signal(*names)
        assert runtime.asked == []


ERRORS = [getattr(perdure, name) for name in perdure.__all__ if isinstance(getattr(perdure, name), type)]
ERRORS = [cls for cls in ERRORS if issubclass(cls, BaseException)]


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_survive_pickling_with_message_and_help(cls):
    error = cls("what happened")
    if issubclass(cls, perdure.Error):
        error = cls("what happened", help="do this")
        assert cls.help or cls is perdure.Error
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args) == (cls, "what happened", ("what happened",))
    assert getattr(again, "help", None) == getattr(error, "help", None)


def test_codes_are_the_documented_ones():
    codes = {cls.__name__: cls.code for cls in ERRORS if issubclass(cls, perdure.Error) and cls.code}
    assert codes == {
        "UnrecordableValue": "P0401",
        "ValueTooLarge": "P0402",
        "InPlaceChange": "P0403",
        "ConcurrencyError": "P0404",
        "PayloadCorrupt": "P0405",
        "HandleLost": "P0406",
        "ActivityInterrupted": "P0410",
        "ActivityTimeout": "P0411",
    }
    assert issubclass(perdure.ActivityTimeout, TimeoutError)
    assert not issubclass(perdure.Cancelled, Exception)
