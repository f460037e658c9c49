"""Error codes of what comes in from outside and of what sessions share: part of the catalogue."""

from typing import Final

from perdure_server.core.borders import Border, Exit, Explanation

CATALOGUE: Final[dict[str, Explanation]] = {
    "P0105": Explanation(
        "a filter is no CEL expression",
        "The filter of a trigger or a subscription cannot be read: it is no expression of CEL, names a variable that "
        "filters do not have, calls a function that does not exist, or is too long or too deeply nested. Filters "
        "know `data`, `event_type` and `headers`.",
        'Correct it at the place shown, such as: data.action == "opened" && event_type.startsWith("issue").',
    ),
    "P0106": Explanation(
        "a schedule or its time zone cannot be read",
        "A schedule is five to seven fields of cron (six: seconds first; seven: seconds first and years last), "
        "`@every` with a duration such as 1m30s (6h/30m: every six hours, half an hour later), or one of @hourly, "
        "@daily, @weekly, @monthly and @yearly. Its time zone is a name of the IANA database, such as Europe/Berlin.",
        "Correct the field that the message names.",
    ),
    "P0107": Explanation(
        "something refers to what does not exist",
        "The manifest names a connection, trigger, integration or handler that neither it nor the code defines.",
        "Take the suggested name, or define what is named.",
    ),
    "P0108": Explanation(
        "${NAME} is not set",
        "The manifest refers to a variable that is not set in the environment of the coordinator (`perdure run` and "
        "`dev` have their own), and gives no default. It is an error at deploy, so that no session finds it empty.",
        "Set the variable, or write a default: ${NAME:-value}.",
    ),
    "P0109": Explanation(
        "a manifest of AutoKitteh that cannot be taken as it is",
        "autokitteh.yaml has a version or a key that perdure does not know. Versions v1 and v2 are read.",
        "Correct the key at the place shown, or move to perdure.yaml.",
    ),
    "P0222": Explanation(
        "unknown event",
        "No event of that id is stored: it never was, or its time of retention is over.",
        "`perdure events list` shows the events that are stored.",
    ),
    "P0223": Explanation(
        "unknown trigger or source of events",
        "The project's active deployment has no trigger or connection of that name, or the URL is no webhook's.",
        "`perdure triggers list` shows them with their URLs.",
    ),
    "P0224": Explanation(
        "a bad key or value of the store",
        "Keys of the store are texts of 1 to 256 characters; values are whatever JSON can say.",
        "Shorten the key, or store something that JSON can say.",
    ),
    "P0225": Explanation(
        "the signature of a webhook is wrong",
        "The trigger checks who sends, and this request is not signed with the secret that it knows, is signed too "
        "long ago, or is not signed at all. Nothing was stored.",
        "Set the trigger's secret to the one that the sender signs with, and check the clocks.",
    ),
    "P0226": Explanation(
        "the store is full",
        "The project's store would exceed its limit of keys or of bytes.",
        "Delete what is not needed any more, or raise the limit.",
    ),
    "P0227": Explanation(
        "the value has changed meanwhile",
        "The value was to be changed only while it has a certain version, and somebody else was faster.",
        "Read it again, and decide anew.",
    ),
    "P0228": Explanation(
        "unknown deployment",
        "The project has no deployment of that id, or none before the active one.",
        "`perdure deployments list` shows them.",
    ),
    "P0229": Explanation(
        "the file of an exported session cannot be read",
        "The file is no export of a session, is cut short, or comes from a newer perdure.",
        "Export the session again with `perdure sessions export`.",
    ),
    "P0230": Explanation(
        "unknown integration or connection",
        "There is no integration of that name, or the project has no connection of that name.",
        "`perdure connections list` shows the project's connections.",
    ),
    "P0231": Explanation(
        "the event or the request is too large",
        "What came is larger than the trigger or the coordinator takes. Nothing was stored.",
        "Send less, such as a reference to the data, or raise the trigger's limit.",
    ),
    "P0232": Explanation(
        "a session's request is refused",
        "A session asked for what it may not do, such as to reach another project's session.",
        "Do it in the project that it concerns, or from outside with a token that may.",
    ),
    "P0233": Explanation(
        "the project is in use",
        "The project has sessions that have not ended, or it was deployed again while it was being deleted. Nothing "
        "that lives is deleted.",
        "Wait for its sessions, stop them, or delete the project with --force, which stops them.",
    ),
    "P0234": Explanation(
        "the key of an imported session is not here",
        "What a session records is signed with a key that only its home and its runner know, and nothing is decoded "
        "that is not signed with it. An export holds the key only when that was asked for. Without it the journal "
        "and the output can be read, but the session can be neither replayed nor forked.",
        "Export it again, in its own home, with `perdure sessions export ID --with-key`.",
    ),
    "P0235": Explanation(
        "there is no such value in the store",
        "The store of the project has nothing under this key: it was never set, or it was deleted.",
        "`perdure store list` shows all keys.",
    ),
    "P0236": Explanation(
        "no session answered",
        "A synchronous trigger's caller got no answer: none came within the trigger's timeout (504; the session goes "
        "on), no session got the event or all ended without an answer (502), or one failed before it answered (500). "
        "The event is stored all the same.",
        "`perdure events show ID`, with the event's id of the answer, names its sessions; their logs say why.",
    ),
    "P0237": Explanation(
        "the home cannot be used",
        "Something in the home folder, or the folder itself, is of another kind than perdure needs, as a file in the "
        "place of a folder, or this user may not read or write it.",
        "Move away what is in its place, make it this user's, or choose another home with --home.",
    ),
    "P0306": Explanation(
        "getting or refreshing access by OAuth has failed",
        "The service refused the authorization, answered with something else than a token, or was not reached.",
        "Check the client's id, secret, redirect URL and scopes, then connect again.",
    ),
    "P0613": Explanation(
        "too many children, subscriptions, signals or requests",
        "A session has started more children, holds more subscriptions, leaves more signals untaken or sends more "
        "requests at once than its limits allow.",
        "Give up those that are not needed any more, share the work among sessions, or raise the limit.",
    ),
    "P0614": Explanation(
        "the project has used up its share",
        "The project stores as many bytes of events, outcomes and data of sessions as it may, has as many events that "
        "wait to start a session, or its schedules come too often. Nothing was stored. The message names the limit.",
        "Delete what is old, let fewer events start sessions at a time, or have the operator raise the limit.",
    ),
}

_USAGE: Final = Border("INVALID_ARGUMENT", Exit.USAGE)
_MISSING: Final = Border("NOT_FOUND", Exit.USAGE)
_LIMIT: Final = Border("RESOURCE_EXHAUSTED", Exit.FAILED)

BORDER: Final[dict[str, Border]] = {
    **dict.fromkeys(("P0105", "P0106", "P0107", "P0108", "P0109", "P0224", "P0229"), _USAGE),
    **dict.fromkeys(("P0222", "P0223", "P0228", "P0230", "P0235"), _MISSING),
    **dict.fromkeys(("P0233", "P0234", "P0237"), Border("FAILED_PRECONDITION", Exit.FAILED)),
    "P0225": Border("UNAUTHENTICATED", Exit.USAGE),
    "P0227": Border("ABORTED", Exit.FAILED),
    "P0232": Border("PERMISSION_DENIED", Exit.FAILED),
    "P0236": Border("DEADLINE_EXCEEDED", Exit.FAILED),
    "P0306": Border("UNAVAILABLE", Exit.FAILED),
    **dict.fromkeys(("P0226", "P0231", "P0613", "P0614"), _LIMIT),
}
