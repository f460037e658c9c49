"""Which classes are live though they could be pickled, and how the objects of libraries are kept across restarts.

Classes are told by dotted names, which are compared with those of all classes that an object's class derives from: no
library is imported. What is in no table is a value if it can be pickled, and else a handle that cannot be made again.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from perdure import _handle


class Remake(enum.Enum):
    """How an object is made in a new process."""

    LOST = "lost"
    STATE = "state"
    """It is loaded from what it was pickled as after the last operation; it is lost where it cannot be pickled."""
    AGAIN = "again"
    """The call that made it is made again, and then what changes its own state (`Kind.state`)."""
    REAPPLY = "reapply"
    """The call that made it is made again, and then everything that was done with it."""
    FILE = "file"
    """As REAPPLY, of an open file: how depends on its mode."""
    GENERATOR = "generator"
    """As REAPPLY, if that calls nothing outside."""
    CURSOR = "cursor"
    """A new cursor of the same connection, on which the last query is made again, if it only reads."""
    FOLDER = "folder"
    """It is attached to the folder that it names, if that is still there."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a class's objects.

    why: the reason for LOST, as the end of "... is gone, and ...".
    by: a function of the user's that makes one, from the arguments of the call that made the first.
    cheap: operations that only look, or that change memory only: recorded without waiting. all_cheap: each is.
    state: operations that AGAIN does again. parts: attributes that are handles though they are plain containers.
    facts: attributes that are told with each operation's result, for when the object is gone. "connection.x" is a fact
    of the parent.
    flush: a method to call after each operation that is no cheap one, so that a record never promises what only memory
    holds. transactional: it is lost while something is not committed. whole: what is done with objects that it has made
    is done with itself. looks: operators and properties only look; of what is not known they may do anything.
    """

    remake: Remake = Remake.STATE
    why: str = "nothing says how it could be made again"
    by: Callable[..., object] | None = None
    cheap: frozenset[str] = frozenset()
    all_cheap: bool = False
    state: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    facts: tuple[str, ...] = ()
    flush: str = ""
    transactional: bool = False
    is_part: bool = False
    whole: bool = False
    looks: bool = True


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LOOKS: Final = _names(
    """__len__ __bool__ __contains__ __getitem__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __repr__ __str__ __format__
    __bytes__ __int__ __float__ __index__ __complex__ __iter__ __aiter__ __reversed__ __length_hint__ __fspath__
    __missing__ __abs__ __neg__ __pos__ __invert__ __round__ __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__
    __truediv__ __rtruediv__ __floordiv__ __rfloordiv__ __mod__ __rmod__ __pow__ __rpow__ __and__ __rand__ __or__
    __ror__ __xor__ __rxor__ __lshift__ __rlshift__ __rshift__ __rrshift__ __matmul__ __rmatmul__ __divmod__"""
)
"""Operators that are cheap on any object."""
ENDS: Final = _names("close commit rollback __exit__ __aexit__ aclose disconnect terminate")
"""Operations after which a transactional object owes nothing."""
CLOSES: Final = _names("close __exit__ aclose __aexit__ cleanup detach")

_SETS: Final = "__setattr__ __delattr__"
_CONTEXT: Final = "__enter__ __exit__"
_HTTP_PARTS: Final = _names("headers proxies params hooks cookies adapters auth")
_NOT_REPEATED: Final = "what it has sent and received cannot be repeated"

_CLIENT: Final = Kind(Remake.AGAIN, cheap=_names(f"{_SETS} {_CONTEXT} close"), state=_names(_SETS), parts=_HTTP_PARTS)
_SESSION: Final = Kind(
    Remake.STATE,
    cheap=_names(f"{_SETS} {_CONTEXT} close mount get_adapter prepare_request merge_environment_settings"),
    parts=_HTTP_PARTS,
)
_LOGIN: Final = Kind(
    Remake.AGAIN,
    cheap=_names(_SETS),
    state=_names(
        f"""{_SETS} connect login login_tls starttls ehlo helo ehlo_or_helo_if_needed cwd prot_p set_pasv auth select
        set_missing_host_key_policy load_system_host_keys load_host_keys set_debuglevel authenticate"""
    ),
)
_DATABASE: Final = Kind(Remake.AGAIN, cheap=_names(f"{_SETS} cursor"), state=_names(_SETS), transactional=True)
_CURSOR: Final = Kind(
    Remake.CURSOR,
    cheap=_names(f"{_SETS} fetchone fetchmany fetchall __next__ close __enter__ __exit__"),
    facts=("lastrowid", "rowcount", "description"),
)
STATUS: Final = "info.transaction_status"
"""The fact of a connection that says whether a transaction is open, as libpq's PQtransactionStatus numbers it."""
OPEN: Final = frozenset({1, 2, 3})
"""Active, in a transaction, in a failed one; 0 is idle, and 4 a connection that is closed."""
_LIBPQ: Final = dataclasses.replace(_DATABASE, facts=(STATUS,))
_LIBPQ_CURSOR: Final = dataclasses.replace(_CURSOR, facts=(*_CURSOR.facts, f"connection.{STATUS}"))
_MEMORY: Final = Kind(Remake.REAPPLY, all_cheap=True, is_part=True)
PART: Final = Kind(Remake.REAPPLY, cheap=_names(_SETS), state=_names(_SETS), is_part=True, looks=False)
"""What an attribute of a live object gives, where nothing more is known."""
UNKNOWN: Final = Kind(looks=False)
IN_MEMORY: Final = Kind(Remake.REAPPLY, cheap=_names(f"{_SETS} cursor __enter__"), whole=True)
"""A database that is gone with its process: all that was done in it is done again."""


def _lost(why: str, *facts: str) -> Kind:
    return Kind(Remake.LOST, why, facts=facts)


_FILE: Final = Kind(
    Remake.FILE,
    cheap=_names(
        """read readline readlines __next__ seek tell readable writable seekable fileno isatty __enter__ read1 peek
        readinto readinto1 getvalue"""
    ),
    facts=("name", "mode", "closed"),
    flush="flush",
)

_KUBERNETES: Final = (
    *("apps_v1_api.AppsV1Api", "autoscaling_v1_api.AutoscalingV1Api", "batch_v1_api.BatchV1Api"),
    *("core_v1_api.CoreV1Api", "custom_objects_api.CustomObjectsApi", "networking_v1_api.NetworkingV1Api"),
    "rbac_authorization_v1_api.RbacAuthorizationV1Api",
)
_ASANA: Final = (
    *("projects_api.ProjectsApi", "sections_api.SectionsApi", "stories_api.StoriesApi", "tags_api.TagsApi"),
    *("tasks_api.TasksApi", "users_api.UsersApi", "workspaces_api.WorkspacesApi"),
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # files
        "_io.TextIOWrapper": _FILE,
        "_io.BufferedReader": _FILE,
        "_io.BufferedWriter": _FILE,
        "_io.BufferedRandom": _FILE,
        "_io.FileIO": _FILE,
        "tempfile._TemporaryFileWrapper": Kind(
            Remake.LOST, "its file goes with it", cheap=_FILE.cheap, facts=("name", "closed"), flush="flush"
        ),
        "tempfile.TemporaryDirectory": Kind(Remake.FOLDER, facts=("name",), cheap=_names("__enter__")),
        "tempfile.SpooledTemporaryFile": _lost("what it held was in memory"),
        "mmap.mmap": _lost("what it showed may have changed"),
        "gzip.GzipFile": Kind(Remake.FILE, cheap=_FILE.cheap, facts=("name", "mode", "closed")),
        "bz2.BZ2File": Kind(Remake.FILE, cheap=_FILE.cheap, facts=("closed",)),
        "lzma.LZMAFile": Kind(Remake.FILE, cheap=_FILE.cheap, facts=("closed",)),
        # what runs, or speaks, outside of this process
        "subprocess.Popen": _lost(
            "its process ended with the runner or nobody waits for it", "pid", "args", "returncode"
        ),
        "socket.socket": _lost(_NOT_REPEATED),
        "ssl.SSLObject": _lost(_NOT_REPEATED),
        "asyncio.streams.StreamWriter": _lost(_NOT_REPEATED),
        "asyncio.streams.StreamReader": _lost(_NOT_REPEATED),
        "http.client.HTTPConnection": _lost(_NOT_REPEATED),
        "http.client.HTTPResponse": _lost("the answer is read only once", "status", "reason"),
        "urllib3.response.BaseHTTPResponse": _lost("the answer is read only once", "status", "reason"),
        "concurrent.futures._base.Future": _lost("its work was done in a process that is gone"),
        "concurrent.futures.process.ProcessPoolExecutor": Kind(Remake.AGAIN),
        # HTTP
        "requests.sessions.Session": _SESSION,
        "httpx.Client": dataclasses.replace(_CLIENT, facts=("cookies",)),
        "httpx.AsyncClient": dataclasses.replace(_CLIENT, facts=("cookies",)),
        "urllib3._request_methods.RequestMethods": _CLIENT,
        "urllib.request.OpenerDirector": _CLIENT,
        "aiohttp.client.ClientSession": _CLIENT,
        "aiohttp.client_reqrep.ClientResponse": _lost("the answer is read only once", "status", "reason"),
        "requests.structures.CaseInsensitiveDict": _MEMORY,
        "requests.cookies.RequestsCookieJar": _MEMORY,
        # services
        "boto3.session.Session": Kind(Remake.AGAIN, all_cheap=True),
        "botocore.client.BaseClient": _CLIENT,
        "boto3.resources.base.ServiceResource": _CLIENT,
        "slack_sdk.web.base_client.BaseClient": _CLIENT,
        "slack_sdk.web.client.WebClient": _CLIENT,
        "slack_sdk.web.async_client.AsyncWebClient": _CLIENT,
        "slack_sdk.webhook.client.WebhookClient": _CLIENT,
        "openai._base_client.BaseClient": _CLIENT,
        "anthropic._base_client.BaseClient": _CLIENT,
        "github.MainClass.Github": _CLIENT,
        "twilio.rest.Client": _CLIENT,
        "google.cloud.client.Client": _CLIENT,
        "google.genai.client.Client": _CLIENT,
        "langchain_google_genai.chat_models.ChatGoogleGenerativeAI": _CLIENT,
        # Only `execute` and `next_chunk` of a request go out: all else is made in memory, from the API's description.
        "googleapiclient.discovery.Resource": Kind(Remake.AGAIN, all_cheap=True),
        "googleapiclient.http.HttpRequest": Kind(Remake.AGAIN, cheap=_names(f"{_SETS} add_response_callback to_json")),
        "googleapiclient.http.BatchHttpRequest": Kind(Remake.REAPPLY, cheap=_names("add"), state=_names("add")),
        "googleapiclient.http.MediaUpload": Kind(Remake.AGAIN, all_cheap=True),
        "google.auth.credentials.Credentials": Kind(Remake.AGAIN, all_cheap=True),
        "gspread.client.Client": _CLIENT,
        "atlassian.rest_client.AtlassianRestAPI": _CLIENT,
        "elasticsearch._sync.client.Elasticsearch": _CLIENT,
        "grpc._channel.Channel": _CLIENT,
        "kubernetes.client.api_client.ApiClient": _CLIENT,
        "asana.api_client.ApiClient": _CLIENT,
        "auth0.management.auth0.Auth0": _CLIENT,
        "auth0.management.async_auth0.AsyncAuth0": _CLIENT,
        "discord.client.Client": _CLIENT,
        "google.generativeai.generative_models.GenerativeModel": _CLIENT,
        "hubspot.client.Client": _CLIENT,
        "msgraph.generated.base_graph_service_client.BaseGraphServiceClient": _CLIENT,
        "notion_client.client.BaseClient": _CLIENT,
        "pipedrive.client.Client": _CLIENT,
        "praw.reddit.Reddit": _CLIENT,
        "pyairtable.api.api.Api": _CLIENT,
        "pydantic_ai.providers.Provider": Kind(Remake.AGAIN, all_cheap=True),
        "simple_salesforce.api.Salesforce": _CLIENT,
        "telegram._bot.Bot": _CLIENT,
        # of the shim of AutoKitteh: requests' own are kept as what they hold, these hold a token
        "autokitteh.linear.LinearSession": _CLIENT,
        "autokitteh.oauth2_session.OAuth2Session": _CLIENT,
        # logging in is a state of the connection
        "paramiko.client.SSHClient": _LOGIN,
        "paramiko.sftp_client.SFTPClient": Kind(Remake.AGAIN, cheap=_names(_SETS), state=_names("chdir")),
        "paramiko.channel.Channel": _lost(_NOT_REPEATED),
        "smtplib.SMTP": _LOGIN,
        "ftplib.FTP": _LOGIN,
        "imaplib.IMAP4": _LOGIN,
        # databases
        "sqlite3.Connection": Kind(
            Remake.AGAIN,
            cheap=_names(f"{_SETS} cursor __enter__"),
            state=_names(f"{_SETS} create_function create_aggregate create_collation set_authorizer"),
            facts=("in_transaction",),
            transactional=True,
        ),
        "sqlite3.Cursor": dataclasses.replace(_CURSOR, facts=(*_CURSOR.facts, "connection.in_transaction")),
        "psycopg.Cursor": _LIBPQ_CURSOR,
        "psycopg.cursor.Cursor": _LIBPQ_CURSOR,
        "psycopg2.extensions.cursor": _LIBPQ_CURSOR,
        "pymysql.cursors.Cursor": _CURSOR,
        "psycopg.Connection": _LIBPQ,
        "psycopg.AsyncConnection": _LIBPQ,
        "psycopg.connection.Connection": _LIBPQ,
        "psycopg2.extensions.connection": _LIBPQ,
        "pymysql.connections.Connection": _DATABASE,
        "MySQLdb.connections.Connection": _DATABASE,
        "asyncpg.connection.Connection": Kind(Remake.AGAIN, cheap=_names(_SETS)),
        "asyncpg.pool.Pool": Kind(Remake.AGAIN, cheap=_names(_SETS)),
        "asyncpg.transaction.Transaction": _lost("it was rolled back when the process ended"),
        "pymongo.mongo_client.MongoClient": _CLIENT,
        "pymongo.database.Database": PART,
        "pymongo.collection.Collection": PART,
        "redis.client.Pipeline": _lost("its commands were not sent"),
        "redis.client.PubSub": _lost("its subscriptions ended with the connection"),
        "redis.client.Redis": _CLIENT,
        "redis.asyncio.client.Redis": _CLIENT,
        "sqlalchemy.engine.base.Engine": Kind(Remake.AGAIN, cheap=_names(f"{_SETS} dispose connect begin")),
        "sqlalchemy.engine.base.Connection": _DATABASE,
        "sqlalchemy.engine.base.Transaction": _lost("it was rolled back when the process ended"),
        "sqlalchemy.engine.cursor.CursorResult": _lost("its rows came with a connection that is gone"),
        "sqlalchemy.orm.session.Session": _DATABASE,
        "sqlalchemy.orm.session.sessionmaker": Kind(Remake.AGAIN, all_cheap=True),
        # what services are divided into
        **{f"kubernetes.client.api.{name}": _CLIENT for name in _KUBERNETES},
        **{f"asana.api.{name}": _CLIENT for name in _ASANA},
        # C libraries: only calls of their functions do anything
        "ctypes.CDLL": Kind(Remake.AGAIN, all_cheap=True, state=_names(_SETS)),
        "_ctypes.CFuncPtr": Kind(Remake.AGAIN, cheap=_names(_SETS), state=_names(_SETS), is_part=True),
        # what lives in memory only
        "builtins.generator": Kind(Remake.GENERATOR),
        "builtins.async_generator": Kind(Remake.GENERATOR),
        "builtins.coroutine": _lost("a coroutine runs only once"),
        "_thread.lock": Kind(Remake.REAPPLY, all_cheap=True),
        "_thread.RLock": Kind(Remake.REAPPLY, all_cheap=True),
        "_csv.reader": Kind(Remake.REAPPLY, all_cheap=True),
    }
)
"""By dotted name of a class; it holds for the classes that derive from it, too. The nearest counts."""

PICKLABLE: Final = frozenset(
    {
        *("requests.structures.CaseInsensitiveDict", "requests.cookies.RequestsCookieJar"),
        *("builtins.generator", "builtins.async_generator", "builtins.coroutine", "_thread.lock", "_thread.RLock"),
    }
)
"""Of these: values where they are results, or refused by the pickler anyway; the table only says how they are kept."""

READING_GENERATORS: Final = ("os.", "pathlib.", "glob.", "botocore.paginate.")
"""Generators of libraries that only read, so that they may be begun anew, by the name of the call that made them."""


def is_cheap(kind: Kind, name: str) -> bool:
    """Is this operation recorded without waiting?"""
    return kind.all_cheap or name in kind.cheap or (kind.looks and name in LOOKS)


def is_redone(kind: Kind, name: str) -> bool:
    """Is this operation done again on an object that is made again?"""
    if kind.whole:
        return True
    match kind.remake:
        case Remake.REAPPLY:
            return not kind.state or name in kind.state
        case Remake.AGAIN:
            return name in kind.state
        case Remake.FILE | Remake.CURSOR | Remake.GENERATOR:
            return True
    return False


@lru_cache(maxsize=4096)
def kind_of(lineage: tuple[str, ...], registrations: int) -> tuple[Kind | None, bool]:
    """What is known of a class that derives from these, and whether its objects are handles even as results.

    `registrations` is how many classes users have registered: their word counts first.
    """
    assert registrations == len(_handle.registered)
    for name in lineage:
        if (told := _handle.registered.get(name)) is not None:
            return _of_user(told), True
        if (kind := KINDS.get(name)) is not None:
            return kind, name not in PICKLABLE
    return None, False


def _of_user(told: _handle.HandleOptions) -> Kind:
    cheap = told.cheap
    if told.recreate is None:
        return Kind(Remake.LOST, cheap=cheap, looks=False)
    if told.recreate == "reapply":
        return Kind(Remake.REAPPLY, cheap=cheap, looks=False)
    by: Any = told.recreate if callable(told.recreate) else None
    return Kind(Remake.AGAIN, by=by, cheap=cheap, state=_names(_SETS), looks=False)
