"""Every error code of perdure: what `perdure explain CODE` prints and how the code leaves the process.

Codes are stable: one is never reused and never changes its meaning. `{...}` never appears in these texts; what varies
is in the message of the error itself.
"""

from typing import Final

from perdure_server.core import catalogue_outside
from perdure_server.core.borders import Border, Exit, Explanation

__all__ = ["BORDER", "CATALOGUE", "Border", "Exit", "Explanation"]

_INSIDE: Final[dict[str, Explanation]] = {
    "P0101": Explanation(
        "the manifest is not YAML",
        "perdure.yaml could not be parsed: a bracket or quote is open, a tab indents a line, the file is too "
        "large, or it is not UTF-8. Anchors and aliases are refused as well, because a few of them expand to "
        "gigabytes.",
        "Correct the file at the line and column shown.",
    ),
    "P0102": Explanation(
        "unknown key in the manifest",
        "A key of perdure.yaml has no meaning to this version of perdure. It is an error and not ignored, because "
        "a misspelt setting that does nothing is found out too late.",
        "Take the suggested key, remove it, or upgrade perdure.",
    ),
    "P0103": Explanation(
        "wrong type or value in the manifest",
        "A value of perdure.yaml has the wrong type (a list where text belongs), is out of range, is given twice, "
        "or has no known unit. Durations are numbers of seconds or texts such as 500ms, 30s, 5m, 2h, 7d; sizes "
        "are numbers of bytes or texts such as 64KiB, 10MB.",
        "Correct the value at the line and column shown.",
    ),
    "P0104": Explanation(
        "something required is missing in the manifest",
        "An entry of perdure.yaml is not complete, a variable that is to come from the environment is not set there, "
        "or a secret has no value yet.",
        "Add the key, or set the environment variable, that the message names.",
    ),
    "P0110": Explanation(
        "file or folder not found",
        "The target of the command, or a file that it names, does not exist or cannot be read.",
        "Check the path. Paths of entry points are relative to the project's folder.",
    ),
    "P0111": Explanation(
        "no such handler",
        "The file exists, but no function of that name is defined at its top level. Only definitions that are "
        "there without running the code count: def, async def, also inside if or try at the top level.",
        "Correct the name, or define the function at the top level of the file.",
    ),
    "P0112": Explanation(
        "the handler is not a function",
        "The name exists in the file, but as a class, a variable or an import. An entry point is a function that "
        "takes the event.",
        "Name a function, or wrap the thing in one.",
    ),
    "P0113": Explanation(
        "syntax error in user code",
        "Python cannot compile a file of the project. perdure reads it with the interpreter that it runs on itself.",
        "Correct the line shown. If the code is for a newer Python, run perdure with that version.",
    ),
    "P0114": Explanation(
        "not an entry point",
        "An entry point is written FILE.py:FUNCTION, a target DIR, FILE.py, FILE.py:FUNCTION or "
        "DIR:FILE.py:FUNCTION. Without a function, the project must leave no doubt: one function named main or "
        "handler, or one whose name begins with on_.",
        "Write the entry point in full, or set `entry` in perdure.yaml.",
    ),
    "P0120": Explanation(
        "not a tarball",
        "The build is not a tar archive (plain or gzip), or it is damaged or cut short.",
        "Deploy again. Do not edit builds by hand.",
    ),
    "P0121": Explanation(
        "unsafe path in a tarball",
        "A member's path is absolute, contains .. or characters that no file name may have, or is too long or too "
        "deep. "
        "Extracting it could write outside the build's folder.",
        "Make the build with `perdure deploy`, which never writes such paths.",
    ),
    "P0122": Explanation(
        "link, device or pipe in a tarball",
        "A build holds plain files, folders and symbolic links that stay inside it. Hard links, links that lead "
        "outside, devices, pipes, sockets and sparse files are refused.",
        "Replace the link by the file it points to, or list it in .perdureignore.",
    ),
    "P0123": Explanation(
        "two members of a tarball are one file",
        "A path appears twice, as a file and as a folder, or in two spellings that differ only in upper and lower "
        "case, which are one file on many machines.",
        "Rename one of the two.",
    ),
    "P0124": Explanation(
        "the build is too large",
        "The build has too many files and folders, too many bytes, or unpacks to so many times its size that it looks "
        "like a bomb.",
        "Keep data, virtual environments and caches out of it with .perdureignore.",
    ),
    "P0201": Explanation(
        "the event is not JSON",
        "A session's event must be one JSON value.",
        'Quote it for the shell: --event \'{"key": "value"}\', or put it in a file and pass --event @FILE.',
    ),
    "P0202": Explanation(
        "the home is in use",
        "Another coordinator works in this home folder (or another program keeps its database locked). Two of "
        "them would both run the same sessions.",
        "Stop the one that the message names, use it with --server, or choose another --home.",
    ),
    "P0203": Explanation(
        "the address is in use",
        "Another program already listens on the address that the coordinator was to listen on.",
        "Choose another port, or port 0 to take any that is free.",
    ),
    "P0204": Explanation(
        "unknown session",
        "No session with this id is in the journal of this coordinator.",
        "List them with `perdure sessions list`. Check --home and --server.",
    ),
    "P0205": Explanation(
        "the session has ended",
        "A session that is completed, failed, stopped or diverged does not change any more: it cannot be stopped, "
        "signalled or resumed.",
        "To go on from a point in its history, use `perdure sessions fork`.",
    ),
    "P0206": Explanation(
        "unknown project, or nothing deployed",
        "No project of this name exists, or it has no active deployment from which a session could be started.",
        "Deploy it with `perdure deploy DIR`.",
    ),
    "P0207": Explanation(
        "the coordinator cannot be reached",
        "Nothing answers at the coordinator's address, or it does not answer in time.",
        "Start it with `perdure serve` or `perdure dev`, and check --server and PERDURE_SERVER.",
    ),
    "P0208": Explanation(
        "different protocol versions",
        "The two sides of a connection speak versions of perdure's protocol that do not understand each other.",
        "Upgrade the older side; the message names both versions.",
    ),
    "P0209": Explanation(
        "the journal is damaged",
        "The database or a blob in the home folder cannot be read: its content contradicts its own checks, or the "
        "disk reports an error. perdure stops rather than run sessions from a damaged history.",
        "Restore the home folder from a backup. `sqlite3 HOME/perdure.db .recover` saves what can still be read.",
    ),
    "P0210": Explanation(
        "the journal was written by a newer perdure",
        "The database's schema is newer than this version of perdure knows. It was left untouched.",
        "Upgrade perdure, or use another --home.",
    ),
    "P0211": Explanation(
        "the disk is full",
        "A record could not be made durable, because the disk or the database's size limit is used up. Everything "
        "acknowledged before is safe, and sessions go on when there is space again.",
        "Free some space on the disk that holds the home folder.",
    ),
    "P0212": Explanation(
        "unknown build",
        "No build with this digest is in the coordinator's store.",
        "Deploy the code again; the digest is printed by `perdure deploy --json`.",
    ),
    "P0213": Explanation(
        "no host for the session",
        "The named host is not attached, or no attached host can take the session (Python version, capacity).",
        "Start one with `perdure host`, and see `perdure doctor` for what this machine lacks.",
    ),
    "P0214": Explanation(
        "no such place in the journal",
        "The sequence number is not one of this session's entries, or a session cannot be forked there, because a "
        "call is in flight at that point.",
        "See the numbers with `perdure sessions history ID`.",
    ),
    "P0215": Explanation(
        "no permission",
        "The coordinator does not know who asks, or the token does not allow it: it is missing, wrong, revoked or "
        "over; its scope (read, deploy, admin) is too small, or it is for another project. A server on this machine is "
        "asked without a token by whoever can read its home.",
        "Make a token with `perdure tokens create` where the server runs, and pass it in PERDURE_TOKEN.",
    ),
    "P0216": Explanation(
        "a host cannot join",
        "The join token is no join token, was used before, or its time is over; or the name is taken by another host; "
        "or what answers at the token's address is not the coordinator that made it.",
        "Make a new one with `perdure hosts invite`; with --host NAME for a host that lost its key.",
    ),
    "P0217": Explanation(
        "this address needs TLS",
        "Whatever is not loopback can be reached, and listened to, by others. There the coordinator serves only "
        "encrypted connections, with a certificate for the names that clients and hosts dial.",
        "Name the server with --tls-name, or listen on 127.0.0.1 or a Unix socket.",
    ),
    "P0218": Explanation(
        "unknown host",
        "No host of this name has joined, or it was revoked, or it joined again with another key; or a host says that "
        "its name is another than its certificate's.",
        "See `perdure hosts list`. To let the host in (again): `perdure hosts invite`, then `perdure host --join`.",
    ),
    "P0219": Explanation(
        "no Docker Engine, or nothing in it to run sessions from",
        "The Docker backend needs an engine that this user may talk to, the docker SDK, and a base image for runners.",
        "Start the engine, name its socket with the setting docker_url or DOCKER_HOST, pip install 'perdure[docker]', "
        "and make the base image with `perdure images build-base`. `perdure doctor` says which of these is missing.",
    ),
    "P0220": Explanation(
        "a key is missing or wrong",
        "Secrets are sealed at rest with a key: that of PERDURE_KEY, or of the file secrets.key in the home. The key "
        "that sealed something is not there, the file can be read by others, or what is there is no key. Nothing is "
        "lost: what is sealed stays as it is until its key is back.",
        "Put back secrets.key from your backup, or set PERDURE_KEY to the keys in use, the newest first, separated by "
        "commas. `openssl rand -base64 32` makes a new one, which opens nothing that is there already.",
    ),
    "P0221": Explanation(
        "too much at once",
        "The message is larger than this call may be, or the peer has more calls open than one may have.",
        "Send less, or end calls that are not needed any more.",
    ),
    "P0301": Explanation(
        "a module is missing",
        "User code imports a module that is neither in the project, nor in Python's standard library, nor in the "
        "project's requirements.",
        "Add the package to the project's requirements, or correct the name.",
    ),
    "P0302": Explanation(
        "a user module failed while loading",
        "The top level of a file of the project raised an exception, so the handler never began.",
        "See the traceback. Work that can fail belongs into functions.",
    ),
    "P0303": Explanation(
        "requirements cannot be resolved",
        "A project's requirements.txt, pyproject.toml or manifest asks for packages that the index does not have, that "
        "exclude each other, or in a way that is not supported: only names of packages with versions, extras and "
        "markers are, since a build must mean the same on every machine.",
        "See the place named. `perdure deploy` resolves again what could not be resolved before.",
    ),
    "P0304": Explanation(
        "an environment cannot be made",
        "A host could not install the locked requirements of a project: a file is missing from the index or is not the "
        "one that was locked, or they take more room than the host gives them.",
        "See the message. `perdure deploy --upgrade` locks anew; the index settings of the host are in its docs.",
    ),
    "P0305": Explanation(
        "a package has no wheel",
        "A requirement is only published as source, or has no wheel for this interpreter and machine. Installing it "
        "means to run its own build code, which is not done unless the project says so.",
        "Choose a version with wheels, build a wheel of it and put it where UV_FIND_LINKS points, or say "
        "`requirements: {allow_sdists: true}` in perdure.yaml. For AutoKitteh's projects it is enough that the server "
        "builds packages: `perdure serve --build-sdists`.",
    ),
    "P0401": Explanation(
        "a value cannot be recorded",
        "What an external call returned or raised can be written neither as JSON nor as a pickle, so it could not "
        "be given back after a crash.",
        "Return plain data from the call: wrap it in a function marked @perdure.activity that returns what you need.",
    ),
    "P0402": Explanation(
        "a value is too large",
        "A recorded value is larger than the project's limit. The call raised this error in user code, where it "
        "can be caught; where it is what the handler returned, the session has failed with it.",
        "Keep large data in files or a database and record its name, or raise `limits: {payload: ...}` in "
        "perdure.yaml.",
    ),
    "P0403": Explanation(
        "a change in place that cannot be put back",
        "An external call changed an object that was handed to it in place, and its new state cannot be recorded: it "
        "is kept where only the object's constructor can set it, or it holds what is no value.",
        "Pass a copy and return the new value, or do the change in your own code.",
    ),
    "P0404": Explanation(
        "concurrency that cannot be recorded yet",
        "User code ran external calls in several tasks on an event loop that is not perdure's (uvloop, a loop class "
        "made by hand), waits for a thread without blocking, or all its threads and tasks wait for each other. Or a "
        "signal handler or a finalizer ran at a moment that replay cannot find again.",
        "Use asyncio.run() or asyncio.new_event_loop(), wait with join, locks, events or queues, or put the concurrent "
        "part into one @perdure.activity. Send signals with signal.raise_signal(), set alarms inside activities, and "
        "call gc.collect() in code that makes very many objects without a call.",
    ),
    "P0405": Explanation(
        "a recorded value fails its check",
        "The keyed digest of a recorded value is not the one that was written with it. It was damaged or changed, "
        "and is not decoded.",
        "Restore the home folder, HOME/key included, from a backup; or fork the session from before this entry.",
    ),
    "P0406": Explanation(
        "a live object is lost",
        "A connection, process, generator or another live object was made by a process that is gone. Clients, files, "
        "folders and database connections are made again where that repeats nothing; this one is not, because "
        "nothing says how, because it was in the middle of something (a transaction, a conversation), or because "
        "what it stood for has changed. Going on with a new one in silence could be wrong.",
        "Catch perdure.HandleLost and make it again, or do all of the work with it in one @perdure.activity "
        "function, or name a way with @perdure.handle(recreate=...) or perdure.register_handle.",
    ),
    "P0407": Explanation(
        "threads or tasks race",
        "In replay, the threads or tasks of user code came to their calls in another order than is recorded, or one "
        "waits for what is not recorded. Between external calls and waits, one lane runs at a time, and the order in "
        "which they take turns is replayed; what remains depends on something else: a library's own thread, the "
        "place of objects in memory, a clock that is read past perdure.",
        "Let lanes meet through locks, queues, events and futures only, go over sets in sorted order, and put what a "
        "library does in threads of its own into one @perdure.activity.",
    ),
    "P0410": Explanation(
        "an activity was interrupted",
        "The runner died while an activity marked at_most_once was in progress. Nobody can know whether it took "
        "effect, so it is not started again; user code gets this exception.",
        "Catch perdure.ActivityInterrupted and ask the other system what happened.",
    ),
    "P0411": Explanation(
        "an activity took too long",
        "An external call did not return within its timeout.",
        "Raise `timeout` of the activity, or give it a retry policy.",
    ),
    "P0501": Explanation(
        "the session diverged: another call",
        "In replay the code made a call that differs from the recorded one: it was changed since, or depends on "
        "something that is not recorded. It was stopped before it did anything outside.",
        "Pin the old build, or fork the session from before the change. Both calls are shown side by side.",
    ),
    "P0502": Explanation(
        "the session diverged: the code ended before its journal",
        "In replay the handler returned, although its journal holds further calls.",
        "Pin the old build, or fork the session from before the change.",
    ),
    "P0503": Explanation(
        "the build would break running sessions",
        "`perdure deploy --preflight` replayed all sessions of the project that have not ended on the new build, "
        "read-only, and some of them differ: code that these sessions have already run through was changed.",
        "Put the change under `if perdure.version(NAME):`, so that sessions which have already gone the old way go it "
        "again; or deploy with --force: sessions go on with the build they began with.",
    ),
    "P0601": Explanation(
        "too many journal entries",
        "The session reached the number of entries that the project allows.",
        "Split the work over several sessions, or raise `limits: {journal_entries: ...}` in perdure.yaml.",
    ),
    "P0602": Explanation(
        "too much output",
        "The session printed or logged more bytes than the project allows. It has failed; the lines up to there are "
        "kept.",
        "Print less, or raise `limits: {log: ...}` in perdure.yaml.",
    ),
    "P0603": Explanation(
        "out of memory",
        "The session's processes used more memory than the project allows. What they wrote to /tmp and to the working "
        "directory counts, because both are in memory.",
        "Process data in parts, or raise `limits: {memory: ...}` in perdure.yaml.",
    ),
    "P0604": Explanation(
        "the runner died again and again",
        "The session's process ended several times in a row without getting further. Often a native library "
        "crashes, or the machine kills it for want of memory. Or none could be started, for the reason that is told: "
        "requirements that cannot be fetched, for example.",
        "See the session's logs and the host's. After a repair, fork the session from its last entry.",
    ),
    "P0605": Explanation(
        "the stop's grace period is over",
        "The session was asked to stop, but its code did not end in time, and its process was killed.",
        "Let code between `try` and `finally` end sooner, or stop with a longer grace period.",
    ),
    "P0606": Explanation(
        "too many processes",
        "The session had more processes and threads at once than the project allows.",
        "Start fewer at once, as with a pool, or raise `limits: {processes: ...}` in perdure.yaml.",
    ),
    "P0607": Explanation(
        "too much on disk",
        "The session wrote more bytes, or made more files, in /tmp and its working directory than the project allows.",
        "Remove what is not needed any more, or raise `limits: {disk: ..., files: ...}` in perdure.yaml.",
    ),
    "P0608": Explanation(
        "the run took too long",
        "The session's process ran longer than the project allows, counted from its start to its end or to its next "
        "suspension. The time of a session that is suspended does not count.",
        "Split the work over several sessions, let it wait with `perdure.sleep` between its parts, or raise `limits: "
        "{run_time: ...}` in perdure.yaml.",
    ),
    "P0610": Explanation(
        "too many sessions wait",
        "As many sessions of the deployment as the project allows, or of all projects as the coordinator allows, wait "
        "for a runner. The new session was refused; nothing of it was kept.",
        "Start it again later, add a host, or raise `limits: {queue: ..., sessions: ...}` in perdure.yaml.",
    ),
    "P0611": Explanation(
        "the host cannot hold the session to its network policy",
        "The project may reach nothing, or listed hosts only, and the session's host has no way to hold it to that: it "
        "runs sessions without network namespaces. Nothing of the session was run.",
        "Let `perdure doctor` say what the machine lacks for stronger isolation, add a host that has it, or set "
        "`network: all` in perdure.yaml.",
    ),
    "P0612": Explanation(
        "too many open files",
        "One of the session's processes had more files, sockets and pipes open at once than the project allows.",
        "Close what is not needed any more (`with open(...)`), or raise `limits: {open_files: ...}` in perdure.yaml.",
    ),
    "P0701": Explanation(
        "a bad message from a runner",
        "A session's process sent something that is not perdure's frame format, or breaks its order. User code "
        "can cause this by writing to file descriptors that it did not open. The process was killed.",
        "Do not close or write to inherited file descriptors. Otherwise report it as a bug of perdure.",
    ),
    "P0702": Explanation(
        "a message or a request that cannot be taken",
        "A host or a client sent something that breaks the protocol, so its connection was closed; or a request by "
        "HTTP is none that its address takes: another method, a field or parameter that it has not, no JSON, a body "
        "that did not come in time.",
        "Correct the request as the message says. Between parts of perdure: run the same version on all machines, "
        "otherwise report it as a bug of perdure.",
    ),
    "P0703": Explanation(
        "the server failed at what a session asked for",
        "A session asked for something (a value of the store, a child, an event), and the server failed at it in a way "
        "that perdure has not foreseen. Nothing was done; the session goes on with this error. The traceback is in "
        "the server's log, once a minute for each such fault.",
        "Let the code try again later, and report it as a bug of perdure, with the traceback.",
    ),
}

CATALOGUE: Final[dict[str, Explanation]] = dict(sorted((_INSIDE | catalogue_outside.CATALOGUE).items()))

_USAGE = Border("INVALID_ARGUMENT", Exit.USAGE)
_MISSING = Border("NOT_FOUND", Exit.USAGE)
_STATE = Border("FAILED_PRECONDITION", Exit.USAGE)
_LIMIT = Border("RESOURCE_EXHAUSTED", Exit.FAILED)
_FAILED = Border("FAILED_PRECONDITION", Exit.FAILED)
_DAMAGED = Border("DATA_LOSS", Exit.FAILED)
_DIVERGED = Border("ABORTED", Exit.DIVERGED)

BORDER: Final[dict[str, Border]] = {
    **dict.fromkeys(("P0101", "P0102", "P0103", "P0104"), _USAGE),
    **dict.fromkeys(("P0110", "P0111"), _MISSING),
    **dict.fromkeys(("P0112", "P0113", "P0114"), _USAGE),
    **dict.fromkeys(("P0120", "P0121", "P0122", "P0123"), _USAGE),
    "P0124": Border("RESOURCE_EXHAUSTED", Exit.USAGE),
    "P0201": _USAGE,
    "P0202": _STATE,
    "P0203": Border("UNAVAILABLE", Exit.USAGE),
    "P0204": _MISSING,
    "P0205": _STATE,
    "P0206": _MISSING,
    "P0207": Border("UNAVAILABLE", Exit.UNREACHABLE),
    "P0208": Border("FAILED_PRECONDITION", Exit.UNREACHABLE),
    "P0209": _DAMAGED,
    "P0210": _FAILED,
    "P0211": _LIMIT,
    "P0212": _MISSING,
    "P0213": Border("UNAVAILABLE", Exit.FAILED),
    "P0214": Border("OUT_OF_RANGE", Exit.USAGE),
    "P0215": Border("PERMISSION_DENIED", Exit.USAGE),
    "P0216": Border("UNAUTHENTICATED", Exit.USAGE),
    "P0217": _STATE,
    "P0218": Border("UNAUTHENTICATED", Exit.USAGE),
    "P0219": _STATE,
    "P0220": _STATE,
    "P0221": _LIMIT,
    **dict.fromkeys(("P0301", "P0302", "P0304"), _FAILED),
    **dict.fromkeys(("P0303", "P0305"), _USAGE),
    **dict.fromkeys(("P0401", "P0403", "P0404"), _FAILED),
    "P0402": _LIMIT,
    "P0405": _DAMAGED,
    "P0406": Border("FAILED_PRECONDITION", Exit.FAILED),
    "P0410": Border("ABORTED", Exit.FAILED),
    "P0411": Border("DEADLINE_EXCEEDED", Exit.FAILED),
    **dict.fromkeys(("P0407", "P0501", "P0502", "P0503"), _DIVERGED),
    **dict.fromkeys(("P0601", "P0602", "P0603", "P0606", "P0607", "P0610", "P0612"), _LIMIT),
    "P0611": _FAILED,
    "P0608": Border("DEADLINE_EXCEEDED", Exit.FAILED),
    "P0604": Border("ABORTED", Exit.FAILED),
    "P0605": Border("DEADLINE_EXCEEDED", Exit.FAILED),
    **dict.fromkeys(("P0701", "P0702"), Border("INVALID_ARGUMENT", Exit.FAILED)),
    "P0703": Border("INTERNAL", Exit.FAILED),
    **catalogue_outside.BORDER,
}
