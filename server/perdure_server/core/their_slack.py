"""Slack's events as AutoKitteh hands them to its projects: nothing that Slack leaves out is missing. Pure.

Slack omits fields that are empty. There, each event has all fields of its kind, and filters and handlers rely on that:
`data.thread_ts == ''` is a message of no thread, `if not event.data.subtype` a plain one. And what the app does itself
is no event, so that a bot which answers messages does not answer its own.

Source: the types of AutoKitteh 0.8, integrations/slack (api/chat, events, webhooks).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from perdure_server.core import jsontext

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Names of fields by what they are where Slack has none. `parts`: fields that are objects, or lists of them."""

    texts: str
    lists: str = ""
    flags: str = ""
    numbers: str = ""
    parts: Mapping[str, _Kind | None] = field(default_factory=dict)

    def full(self, data: Json) -> Json:
        """The data with all fields of this kind, and those that it has besides."""
        empty: Json = dict.fromkeys(self.texts.split(), "")
        empty |= {name: [] for name in self.lists.split()}
        empty |= dict.fromkeys(self.flags.split(), False) | dict.fromkeys(self.numbers.split(), 0)
        empty |= dict.fromkeys(name for name in self.parts if name not in empty)
        return empty | {name: _part(value, self.parts.get(name)) for name, value in data.items()}


def _part(value: Any, kind: _Kind | None) -> Any:
    if kind is None:
        return value
    if isinstance(value, list):
        return [_part(each, kind) for each in value]
    return kind.full(value) if isinstance(value, dict) else value


_MESSAGE_TEXTS: Final = """type subtype text user app_id bot_id parent_user_id team channel channel_type ts event_ts
    permalink latest_reply last_read inviter name old_name purpose topic deleted_ts thread_ts client_msg_id"""
_MESSAGE_LISTS: Final = "blocks reply_users pinned_to reactions"
_MESSAGE_FLAGS: Final = "hidden is_locked subscribed is_starred"
_MESSAGE_NUMBERS: Final = "reply_count reply_users_count unread_count unread_count_display"
_MESSAGE_PARTS: Final = ("edited", "bot_profile", "message", "previous_message", "root")
_OLD_MESSAGE: Final = _Kind(
    _MESSAGE_TEXTS, _MESSAGE_LISTS, _MESSAGE_FLAGS, _MESSAGE_NUMBERS, dict.fromkeys(_MESSAGE_PARTS)
)
_MESSAGE: Final = _Kind(
    _MESSAGE_TEXTS,
    _MESSAGE_LISTS,
    _MESSAGE_FLAGS,
    _MESSAGE_NUMBERS,
    {"edited": None, "bot_profile": None} | dict.fromkeys(_MESSAGE_PARTS[2:], _OLD_MESSAGE),
)
_MENTION: Final = _Kind("type user team channel ts event_ts thread_ts text client_msg_id", "blocks")
_REACTION: Final = _Kind(
    "type user reaction item_user event_ts", parts={"item": _Kind("type channel ts file file_comment")}
)
_CHANNEL: Final = _Kind("type event_ts", parts={"channel": None})
_MEMBER: Final = _Kind("type channel channel_type user inviter event_ts team enterprise", flags="is_moved")
_COMMAND: Final = _Kind(
    """team_id team_domain enterprise_id enterprise_name api_app_id channel_id channel_name user_id command text
    response_url trigger_id""",
    flags="is_enterprise_install",
)
_INTERACTION: Final = _Kind(
    "type api_app_id response_url trigger_id",
    flags="is_enterprise_install",
    lists="actions response_urls",
    parts={
        **dict.fromkeys(("user", "team", "enterprise", "channel")),
        "actions": _Kind("type block_id action_ts action_id value style", parts={"text": None}),
        "container": _Kind("type message_ts channel_id view_id", flags="is_ephemeral"),
        "message": _OLD_MESSAGE,
        "view": _Kind(
            """id app_id bot_id team_id app_installed_team_id type callback_id private_metadata external_id view_id hash
            root_view_id""",
            "blocks",
            "clear_on_close notify_on_close submit_disabled",
            parts=dict.fromkeys(("title", "close", "submit", "state")),
        ),
    },
)
_KINDS: Final[Mapping[str, _Kind]] = {
    "message": _MESSAGE,
    "app_mention": _MENTION,
    **dict.fromkeys(("reaction_added", "reaction_removed"), _REACTION),
    **dict.fromkeys(("channel_created", "channel_rename", "group_rename"), _CHANNEL),
    **dict.fromkeys(("member_joined_channel", "member_left_channel"), _MEMBER),
    **dict.fromkeys(("channel_archive", "channel_left", "channel_unarchive"), _MEMBER),
    **dict.fromkeys(("group_archive", "group_close", "group_deleted", "group_left", "group_open"), _MEMBER),
    "group_unarchive": _MEMBER,
    "slash_command": _COMMAND,
    "interaction": _INTERACTION,
}


def full(event_type: str, data: Json) -> Json:
    """The event's data with all fields that events of its type have there."""
    kind = _KINDS.get(event_type)
    if kind is None:
        return data
    if event_type == "slash_command":
        data = data | {"is_enterprise_install": data.get("is_enterprise_install") in (True, "true")}
    return kind.full(data)


def full_text(event_type: str, text: bytes) -> bytes:
    """As `full`, of an event that was made by hand: JSON, of any kind."""
    data = jsontext.parse(text)
    return json.dumps(full(event_type, data), separators=(",", ":")).encode("ascii") if isinstance(data, dict) else text


def is_own(event_type: str, callback: Json) -> bool:
    """Has the app done itself what this callback of the Events API tells of?"""
    event, heard_by = callback.get("event"), callback.get("authorizations")
    if event_type not in _KINDS or not isinstance(event, dict) or not isinstance(heard_by, list):
        return False
    said = [_who(event, "inviter"), _who(event, "user")]
    said += [_who(event.get("message"), "user"), _who(event.get("channel"), "creator")]
    actor = next(filter(None, said), "")
    return bool(actor) and any(_who(each, "user_id") == actor for each in heard_by)


def _who(about: Any, name: str) -> str:
    value = about.get(name) if isinstance(about, dict) else None
    return value if isinstance(value, str) else ""
