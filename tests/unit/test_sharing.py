"""A fork gives pages back that are as they were in its zygote, and nothing of what it computes changes by that."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from perdure_runner.child import sharing

pytestmark = pytest.mark.skipif(not sharing.is_possible(), reason="not compiled, or another C library")

ZYGOTE = """
import ctypes, gc, json, os, re, signal, sys, threading, time
from perdure_runner.child import _sharing, immortal, sharing
{before}
gc.collect()
gc.disable()
uncounted = immortal.make_all()
gc.freeze()
sharing.share(uncounted)

def own():
    "Pages that are in no file and nobody else's."
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) // 4

def soil(blocks):
    "Write to each page, so that it is as it was in the end."
    for value in (1, 0):
        for block in blocks:
            for place in range(0, len(block), 512):
                block[place] = value

def forked(work):
    "The pid of a fork that does this work."
    pid = os.fork()
    if pid == 0:
        try:
            work()
            sys.stdout.flush()
            os._exit(0)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
            os._exit(1)
    return pid

def end(pid):
    sys.stdout.flush()
    status = os.waitpid(pid, 0)[1]
    assert status == 0, status
"""


def run(code: str, before: str = "") -> str:
    """In a process of its own, which is a zygote."""
    program = ZYGOTE.format(before=textwrap.dedent(before)) + textwrap.dedent(code)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


BLOCK = """
    kept = [bytearray(4096 * 16) for _ in range(8)]
"""


def test_pages_that_went_back_are_given_back_and_others_stay() -> None:
    code = """
        def work():
            soil(kept)
            for place in range(0, 4096 * 16, 512):
                kept[0][place] = 1
            before = own()
            given = _sharing.give_back()
            after = own()
            assert given > 100, given
            assert before - after > 100, (before, after)
            assert kept[0][::512] == bytes([1]) * 128
            assert kept[1:] == [bytearray(4096 * 16)] * 7
            kept[3][5] = 7
            _sharing.give_back()
            assert kept[3][5] == 7 and sum(kept[3]) == 7
        end(forked(work))
    """
    run(code, BLOCK)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="does not count what is the zygote's")
def test_references_that_are_held_keep_no_page_and_get_lost() -> None:
    code = """
        def work():
            held = [[thing] * 7 for thing in things]
            before = own()
            _sharing.give_back()
            assert before - own() > 50, (before, own())
            again = [[thing] * 3 for thing in things]
            del held
            _sharing.give_back()
            del again
            gc.enable()
            gc.collect()
            assert [thing.text for thing in things] == [str(number) for number in range(10_000)]
        end(forked(work))
    """
    before = """
        class Thing:
            __slots__ = ("text",)
            def __init__(self, number):
                self.text = str(number)
        things = [Thing(number) for number in range(10_000)]
    """
    run(code, before)


def test_a_process_with_two_threads_is_left_alone() -> None:
    code = """
        def work():
            go = threading.Event()
            other = threading.Thread(target=go.wait)
            other.start()
            assert _sharing.give_back() == -2
            go.set()
            other.join()
            while len(os.listdir("/proc/self/task")) > 1:
                pass
            assert _sharing.give_back() > 0
        end(forked(work))
    """
    run(code)


def test_it_is_done_when_the_parent_asks_and_others_reach_the_handler_that_was_set() -> None:
    code = """
        def work():
            seen = []
            signal.signal(signal.SIGURG, lambda *_: seen.append(1))
            sharing.listen()
            soil(kept)
            before = own()
            os.write(said[1], b"!")
            while own() > before - 50:  # until the parent's has come
                time.sleep(0.01)
            assert seen == [], seen
            signal.raise_signal(signal.SIGURG)
            assert seen == [1]
            signal.signal(signal.SIGURG, signal.SIG_DFL)
            sharing.listen()
            signal.raise_signal(signal.SIGURG)
            assert seen == [1]
        said = os.pipe()
        reader = open(said[0], "rb", 0, closefd=False)
        pid = forked(work)
        reader.read(1)
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            os.kill(pid, signal.SIGURG)
            time.sleep(0.01)
        end(pid)
    """
    run(code, BLOCK)


def test_a_fork_of_a_fork_is_sent_the_signal_by_its_parent_as_any_other() -> None:
    code = """
        def work():
            seen = []
            signal.signal(signal.SIGURG, lambda *_: seen.append(1))
            sharing.listen()
            (ready, go), (reader, writer) = os.pipe(), os.pipe()
            pid = os.fork()
            if pid == 0:
                os.write(go, b"!")
                os.read(reader, 1)
                os._exit(len(seen))
            os.read(ready, 1)
            os.kill(pid, signal.SIGURG)
            os.write(writer, b"!")
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        end(forked(work))
    """
    run(code)


def test_nobody_can_write_to_what_all_share() -> None:
    code = """
        libc = ctypes.CDLL(None, use_errno=True)
        lines = [line.split() for line in open("/proc/self/maps") if "perdure" in line and "memfd" in line]
        view = next(line for line in lines if line[1] == "r--s")
        begin, end = (int(number, 16) for number in view[0].split("-"))
        refused = libc.mprotect(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), 3)
        modes = sorted({line[1] for line in lines})
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        names = [os.readlink(link) for link in links if os.path.lexists(link)]
        print(refused, os.strerror(ctypes.get_errno()), modes, [name for name in names if "memfd" in name])
    """
    assert run(code) == "-1 Permission denied ['r--s', 'rw-p'] []"


def test_a_block_that_malloc_has_mapped_can_grow() -> None:
    """It grows with its mapping, which must not be the file's: behind its end is nothing."""
    before = "big = [bytearray(1 << 20) for _ in range(4)] + [[None] * 200_000]"
    code = """
        def work():
            for block in big[:4]:
                block += bytes(64 << 20)
                assert block[-1] == 0 and len(block) == 65 << 20
            big[4].extend([None] * 10_000_000)
            assert big[4][-1] is None
        end(forked(work))
    """
    run(code, before)


def test_a_fork_of_a_fork_ends_as_any_other() -> None:
    code = """
        def work():
            pid = os.fork()
            if pid == 0:
                _sharing.give_back()
                sys.exit(0)  # the interpreter is taken down
            assert os.waitpid(pid, 0)[1] == 0
        pid = os.fork()
        if pid == 0:
            work()
            sys.exit(0)
        end(pid)
    """
    run(code)


CHURN = """
    import collections, concurrent.futures, csv, decimal, hashlib, io, random, socket, sqlite3, string, subprocess, zlib

    class Base:
        shared = []
        def __init__(self, number):
            self.number = number
        def double(self):
            return self.number * 2

    class Derived(Base):
        def double(self):
            return super().double() + 1

    cache = {number: str(number) for number in range(5000)}
    records = [Derived(number) for number in range(2000)]

    def round_of(number, digest):
        source = random.Random(number)
        text = "".join(source.choices(string.ascii_letters, k=2000))
        digest.update(zlib.compress(text.encode()))
        digest.update(json.dumps(collections.Counter(text), sort_keys=True).encode())
        digest.update(re.sub("[aeiou]+", str, text[:0] + "x").encode())
        for record in source.sample(records, 200):
            record.number += 1
            digest.update(str(record.double()).encode())
        for key in source.sample(range(5000), 300):
            cache[key] = cache[key] + "." if len(cache[key]) < 20 else str(key)
        kind = type(f"Made{number % 7}", (Derived,), {"value": property(lambda self: self.number)})
        digest.update(str(sum(kind(each).value for each in range(50))).encode())
        digest.update(str(decimal.Decimal(number + 1).sqrt()).encode())
        with sqlite3.connect(":memory:") as base:
            base.execute("create table t (a, b)")
            base.executemany("insert into t values (?, ?)", [(each, text[each]) for each in range(100)])
            digest.update(repr(base.execute("select b, count(*) from t group by b order by b").fetchall()).encode())
        base.close()
        try:
            raise KeyError(text[:10])
        except KeyError as error:
            digest.update(repr(error).encode())
        if number % 10 == 0:
            gc.collect()
            digest.update(subprocess.run(["/bin/echo", str(number)], stdout=subprocess.PIPE, check=True).stdout)
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                for found in pool.map(lambda each: hashlib.sha256(text.encode() * each).digest(), range(20)):
                    digest.update(found)
            pid = os.fork()
            if pid == 0:
                os._exit(len(cache) % 100)
            digest.update(bytes([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]))
            near, far = socket.socketpair()
            with near, far:
                near.sendall(text.encode())
                digest.update(far.recv(4000))
            time.sleep(0.002)
"""
ROUNDS = """
    def churn(said):
        digest = hashlib.sha256()
        for number in range(300):
            round_of(number, digest)
        digest.update(repr(sorted(cache.items())).encode() + repr([each.number for each in records]).encode())
        os.write(said, digest.hexdigest().encode())

    def result(signalled):
        reader, writer = os.pipe()
        pid, sent = forked(lambda: churn(writer)), 0
        os.close(writer)
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if signalled:
                os.kill(pid, signal.SIGURG)
                sent += 1
            time.sleep(0.003)
        end(pid)
        with open(reader) as file:
            return file.read(), sent

    plain, asked = result(False)
    assert len(plain) == 64
    while asked <= 100:
        signalled, sent = result(True)
        assert signalled == plain
        asked += sent
"""


def test_whoever_is_asked_very_often_computes_the_same() -> None:
    run(ROUNDS, CHURN)


def test_who_waits_is_told_from_who_works_and_from_who_waits_for_a_signal() -> None:
    code = "import os, signal, socket, sys, time\nnear, far = socket.socketpair()\nos.write(1, b'!')\n"
    for last, call, waits in (
        ("time.sleep(600)", "", True),
        ("near.recv(9)", "", True),
        ("while True: pass", "", False),
        ("signal.pause()", "pause", False),
        ("near.recv(9, socket.MSG_WAITALL)", "recvfrom", False),
        ("near.recvmsg(9, 0, socket.MSG_WAITALL)", "recvmsg", False),
    ):
        with subprocess.Popen([sys.executable, "-c", code + last], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            here = Path(f"/proc/{process.pid}/syscall")
            while waits and not sharing.is_waiting(process.pid):
                pass
            while call and here.read_text().split()[0] != str(_number(call)):
                pass
            told = sharing.is_waiting(process.pid)
            process.kill()
        assert told is waits, last


def _number(name: str) -> int:
    from perdure_runner.child.sandbox import syscalls

    numbers = syscalls.numbers(os.uname().machine, [name]) or syscalls.numbers(os.uname().machine, ["ppoll"])
    return numbers[0]
