"""What is known of the standard library and of a few pure libraries: tables, and the look-up in them.

A name is looked up by its longest known prefix, then by its last part among that prefix's exceptions:
``os.path.exists`` -> prefix ``os.path``, exception ``exists``. What is in no table is external.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final


class Verdict(IntEnum):
    """What a site does with a callable."""

    DIRECT = 1
    """Call it natively: user code, or known to be deterministic."""
    ACTIVITY = 2
    """Record the call as an activity."""
    MARKER = 3
    """Record its result as a marker: cheap, local, nondeterministic."""
    SYSTEM = 4
    """A call that perdure itself answers. The policy never gives it: perdure's functions talk to the recorder."""
    CALLBACKS = 5
    """Pure but for the callables handed to it: external ones among them are routed."""


def _verdicts(**names: str) -> dict[str, Verdict]:
    return {name: Verdict[verdict] for verdict, text in names.items() for name in text.split()}


@dataclass(frozen=True, slots=True)
class Scope:
    """A module or class: its verdict, and the last names for which another one holds."""

    default: Verdict
    names: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Takes:
    """Where a pure function takes callables: positions (from 0, without the receiver) and keywords."""

    positions: tuple[int, ...] = ()
    keywords: tuple[str, ...] = ()
    """`EVERY`: all of them."""


EVERY: Final = ("*",)


_PURE: Final = """
__future__ _ast _frozen_importlib _imp _opcode _sitebuiltins abc annotated_types argparse array ast atexit attr attrs
autokitteh backoff base64 binascii bisect builtins bz2 calendar cmath cmd code codecs codeop collections colorsys
concurrent.futures configparser contextlib contextvars copy copyreg csv dataclasses dateutil decimal difflib dis
doctest email encodings enum errno faulthandler fnmatch fractions functools gc genericpath getopt gettext graphlib
gzip hashlib heapq hmac html http.HTTPMethod http.HTTPStatus http.cookies importlib inspect io.BytesIO io.StringIO
ipaddress itertools jinja2 json keyword linecache locale logging lzma markupsafe marshal math mimetypes more_itertools
msgpack netrc nturl2path numbers opcode operator optparse orjson os._Environ packaging pdb perdure perdure_runner
pickle pickletools pkgutil plistlib pprint pydantic pydantic_core queue quopri re reprlib runpy.run_module sched shlex
simplejson site sortedcontainers statistics string stringprep struct symtable sys sysconfig tenacity textwrap
threading token tokenize tomllib trace traceback types typing typing_extensions unicodedata unittest urllib.error
urllib.parse urllib.request.Request urllib.response uu warnings weakref xml yaml zipimport zlib zoneinfo
"""

_EXCEPTIONS: Final = {
    "asyncio": Scope(
        Verdict.DIRECT,
        _verdicts(
            ACTIVITY="""connect_accepted_socket connect_read_pipe connect_write_pipe create_connection
            create_datagram_endpoint create_server create_subprocess_exec create_subprocess_shell
            create_unix_connection create_unix_server getaddrinfo getnameinfo open_connection open_unix_connection
            sendfile sock_accept sock_connect sock_recv sock_recv_into sock_recvfrom sock_sendall sock_sendfile
            sock_sendto start_server start_tls start_unix_server subprocess_exec subprocess_shell""",
            MARKER="time",
        ),
    ),
    "asyncio.streams": Scope(Verdict.ACTIVITY, _verdicts(DIRECT="StreamReader")),
    "asyncio.subprocess": Scope(Verdict.ACTIVITY),
    "builtins": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="input open")),
    "click": Scope(
        Verdict.DIRECT,
        _verdicts(
            ACTIVITY="confirm edit getchar launch open_file pause prompt", MARKER="get_app_dir get_terminal_size"
        ),
    ),
    "codecs": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="open")),
    "concurrent.futures.process": Scope(Verdict.ACTIVITY),
    "configparser": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="read")),
    "datetime": Scope(Verdict.DIRECT, _verdicts(MARKER="now today utcnow")),
    "email.utils": Scope(Verdict.DIRECT, _verdicts(MARKER="formatdate localtime make_msgid")),
    "getpass": Scope(Verdict.ACTIVITY, _verdicts(MARKER="getuser")),
    "gzip": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="open")),
    "bz2": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="open")),
    "lzma": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="open")),
    "hashlib": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="file_digest")),
    # What user code holds is a copy made by the codec: all of the answer, without its connection.
    "httpx.Cookies": Scope(Verdict.DIRECT),
    "httpx.Headers": Scope(Verdict.DIRECT),
    "httpx.QueryParams": Scope(Verdict.DIRECT),
    "httpx.Response": Scope(Verdict.DIRECT),
    "httpx.Timeout": Scope(Verdict.DIRECT),
    "httpx.URL": Scope(Verdict.DIRECT),
    "requests.models.Response": Scope(Verdict.DIRECT),
    "requests.structures": Scope(Verdict.DIRECT),
    "http.cookiejar": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="load save revert")),
    "mimetypes": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="read read_mime_types")),
    "netrc": Scope(Verdict.ACTIVITY),
    "os": Scope(
        Verdict.ACTIVITY,
        _verdicts(
            DIRECT="""WCOREDUMP WEXITSTATUS WIFCONTINUED WIFEXITED WIFSIGNALED WIFSTOPPED WSTOPSIG WTERMSIG fsdecode
            fsencode fspath get_exec_path getenv getenvb major makedev minor putenv strerror unsetenv
            waitstatus_to_exitcode""",
            MARKER="""cpu_count getegid geteuid getgid getgroups getloadavg getlogin getpgid getpgrp getpid getppid
            getrandom getsid getuid process_cpu_count sched_getaffinity times uname urandom""",
        ),
    ),
    "os.path": Scope(
        Verdict.DIRECT,
        _verdicts(
            ACTIVITY="""exists getatime getctime getmtime getsize isdevdrive isdir isfile isjunction islink ismount
            lexists realpath samefile sameopenfile""",
            MARKER="abspath expanduser relpath",
        ),
    ),
    "pathlib": Scope(
        Verdict.DIRECT,
        _verdicts(
            ACTIVITY="""chmod copy copytree delete exists glob group hardlink_to is_block_device is_char_device is_dir
            is_fifo is_file is_junction is_mount is_socket is_symlink iterdir lchmod link_to lstat mkdir move open
            owner read_bytes read_text readlink rename replace resolve rglob rmdir rmtree samefile stat symlink_to
            touch unlink walk write_bytes write_text""",
            MARKER="absolute cwd expanduser home",
        ),
    ),
    "platform": Scope(Verdict.MARKER),
    "random": Scope(Verdict.MARKER),
    "secrets": Scope(Verdict.MARKER, _verdicts(DIRECT="compare_digest")),
    "signal": Scope(
        Verdict.DIRECT,
        _verdicts(
            ACTIVITY="""alarm pause pidfd_send_signal pthread_kill setitimer sigtimedwait sigwait
        sigwaitinfo"""
        ),
    ),
    "socket": Scope(
        Verdict.ACTIVITY,
        _verdicts(DIRECT="htonl htons inet_aton inet_ntoa inet_ntop inet_pton ntohl ntohs", MARKER="gethostname"),
    ),
    # Statements, columns, events and mapped classes are work in memory; engines, connections and sessions are not.
    "sqlalchemy.engine.url": Scope(Verdict.DIRECT),
    "sqlalchemy.event": Scope(Verdict.DIRECT),
    "sqlalchemy.inspection": Scope(Verdict.DIRECT),
    "sqlalchemy.orm._orm_constructors": Scope(Verdict.DIRECT),
    "sqlalchemy.orm.attributes": Scope(Verdict.DIRECT),
    "sqlalchemy.orm.base": Scope(Verdict.DIRECT),
    "sqlalchemy.orm.decl_api": Scope(Verdict.DIRECT),
    "sqlalchemy.orm.relationships": Scope(Verdict.DIRECT),
    "sqlalchemy.sql": Scope(Verdict.DIRECT),
    "time": Scope(
        Verdict.MARKER, _verdicts(ACTIVITY="sleep", DIRECT="get_clock_info mktime strptime struct_time tzset")
    ),
    "uuid": Scope(Verdict.DIRECT, _verdicts(MARKER="getnode uuid1 uuid4 uuid6 uuid7 uuid8")),
    "xml.etree": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="iterparse parse")),
    "xml.dom": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="parse")),
    "xml.sax": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="parse")),
    "zoneinfo": Scope(Verdict.DIRECT, _verdicts(ACTIVITY="available_timezones")),
}

SCOPES: Final[Mapping[str, Scope]] = MappingProxyType(
    {name: Scope(Verdict.DIRECT) for name in _PURE.split()} | _EXCEPTIONS
)

_ALIASES: Final = {
    "_blake2": "hashlib",
    "_elementtree": "xml.etree.ElementTree",
    "_frozen_importlib_external": "importlib",
    "_hashlib": "hashlib",
    "_md5": "hashlib",
    "_pydatetime": "datetime",
    "_pydecimal": "decimal",
    "_pyio": "io",
    "_sha1": "hashlib",
    "_sha2": "hashlib",
    "_sha256": "hashlib",
    "_sha3": "hashlib",
    "_sha512": "hashlib",
    "_sre": "re",
    "_thread": "threading",
    "_weakrefset": "weakref",
    "_collections_abc": "collections.abc",
    "_strptime": "time",
    "genericpath": "os.path",
    "nt": "os",
    "ntpath": "os.path",
    "pathlib._abc": "pathlib",
    "pathlib._local": "pathlib",
    "posix": "os",
    "posixpath": "os.path",
    "pyexpat": "xml",
}
"""Modules that are the inside of others: C accelerators and the like. A lone leading underscore needs no line here."""

CALLBACKS: Final[Mapping[str, Takes]] = {
    "asyncio.base_events.BaseEventLoop.call_at": Takes((1,), ("callback",)),
    "asyncio.base_events.BaseEventLoop.call_later": Takes((1,), ("callback",)),
    "asyncio.base_events.BaseEventLoop.call_soon": Takes((0,), ("callback",)),
    "asyncio.base_events.BaseEventLoop.call_soon_threadsafe": Takes((0,), ("callback",)),
    "asyncio.base_events.BaseEventLoop.run_in_executor": Takes((1,), ("func",)),
    "argparse._ActionsContainer.add_argument": Takes((), ("type",)),
    "asyncio.base_events.BaseEventLoop.add_signal_handler": Takes((1,), ("callback",)),
    "asyncio.Future.add_done_callback": Takes((0,), ("fn",)),
    "asyncio.Task.add_done_callback": Takes((0,), ("fn",)),
    "asyncio.threads.to_thread": Takes((0,), ("func",)),
    "atexit.register": Takes((0,)),
    "attr._make.attrib": Takes((), ("converter", "factory", "validator")),
    "attr._next_gen.field": Takes((), ("converter", "factory", "validator")),
    "attr._make.Factory": Takes((0,), ("factory",)),
    "bisect.bisect": Takes((), ("key",)),
    "bisect.bisect_left": Takes((), ("key",)),
    "bisect.bisect_right": Takes((), ("key",)),
    "bisect.insort": Takes((), ("key",)),
    "bisect.insort_left": Takes((), ("key",)),
    "bisect.insort_right": Takes((), ("key",)),
    "builtins.compile": Takes(),
    "builtins.eval": Takes(),
    "builtins.exec": Takes(),
    "builtins.filter": Takes((0,)),
    "builtins.iter": Takes((0,)),
    "builtins.list.sort": Takes((), ("key",)),
    "builtins.map": Takes((0,)),
    "builtins.max": Takes((), ("key",)),
    "builtins.min": Takes((), ("key",)),
    "builtins.property": Takes((0, 1, 2), ("fget", "fset", "fdel")),
    "builtins.sorted": Takes((), ("key",)),
    "collections.defaultdict": Takes((0,)),
    "concurrent.futures._base.Executor.map": Takes((0,), ("fn",)),
    "concurrent.futures._base.Future.add_done_callback": Takes((0,), ("fn",)),
    "concurrent.futures.thread.ThreadPoolExecutor": Takes((2,), ("initializer",)),
    "concurrent.futures.thread.ThreadPoolExecutor.map": Takes((0,), ("fn",)),
    "concurrent.futures.thread.ThreadPoolExecutor.submit": Takes((0,)),
    "contextlib.AsyncExitStack.callback": Takes((0,)),
    "contextlib.ExitStack.callback": Takes((0,)),
    "contextvars.Context.run": Takes((0,)),
    "dataclasses.field": Takes((), ("default_factory",)),
    "functools.cached_property": Takes((0,), ("func",)),
    "functools.cmp_to_key": Takes((0,), ("mycmp",)),
    "functools.partialmethod": Takes((0,)),
    "functools.reduce": Takes((0,)),
    "heapq.merge": Takes((), ("key",)),
    "heapq.nlargest": Takes((2,), ("key",)),
    "heapq.nsmallest": Takes((2,), ("key",)),
    "itertools.accumulate": Takes((1,), ("func",)),
    "itertools.dropwhile": Takes((0,)),
    "itertools.filterfalse": Takes((0,)),
    "itertools.groupby": Takes((1,), ("key",)),
    "itertools.starmap": Takes((0,)),
    "itertools.takewhile": Takes((0,)),
    "jinja2.environment.Template.render": Takes((), EVERY),
    "jinja2.environment.Template.render_async": Takes((), EVERY),
    "operator.call": Takes((0,)),
    "operator.methodcaller": Takes(),
    "perdure_runner.child.signals.signal": Takes((1,), ("handler",)),
    "pydantic.fields.Field": Takes((), ("default_factory",)),
    "re.Pattern.sub": Takes((0,), ("repl",)),
    "re.Pattern.subn": Takes((0,), ("repl",)),
    "re.sub": Takes((1,), ("repl",)),
    "re.subn": Takes((1,), ("repl",)),
    "sched.scheduler": Takes((0, 1), ("timefunc", "delayfunc")),
    "sched.scheduler.enter": Takes((2,), ("action",)),
    "sched.scheduler.enterabs": Takes((2,), ("action",)),
    "signal.signal": Takes((1,), ("handler",)),
    "tenacity.Retrying.__call__": Takes((0,), ("fn",)),
    "threading.Thread": Takes((1,), ("target",)),
    "threading.Timer": Takes((1,), ("function",)),
    "weakref.finalize": Takes((1,)),
}
"""Pure callables that call their arguments, by canonical name."""


def canonical(name: str) -> str:
    """A dotted name with the inside of a module renamed to the module: ``_heapq.heappush`` -> ``heapq.heappush``.

    ``io.open`` is ``builtins.open``, whatever the version calls its module.
    """
    for inside in (".".join(name.split(".", 2)[:2]), name.partition(".")[0]):
        if outside := _ALIASES.get(inside):
            name = outside + name[len(inside) :]
            break
    else:
        first = name.partition(".")[0]
        if first.startswith("_") and first[1:] in sys.stdlib_module_names and first not in SCOPES:
            name = name[1:]
    return "builtins.open" if name == "io.open" else name


@lru_cache(maxsize=8192)
def look_up(name: str) -> tuple[Verdict, str]:
    """The verdict on a dotted name (``module.qualname``) and the entry of the table that gave it ("" for none)."""
    name = canonical(name)
    if name in CALLBACKS:
        return Verdict.CALLBACKS, name
    prefix, last = name, name.rpartition(".")[2]
    while prefix:
        scope = SCOPES.get(prefix)
        if scope is not None:
            return scope.names.get(last, scope.default), prefix
        prefix = prefix.rpartition(".")[0]
    return Verdict.ACTIVITY, ""
