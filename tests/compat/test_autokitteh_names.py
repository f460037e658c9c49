"""The module `autokitteh` in a session's process: our shim, or the real package with our functions in it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

# What AutoKitteh 0.8.3 exports, and the modules that its projects import from.
NAMES = [
    "AttrDict",
    "AutoKittehError",
    "Event",
    "Signal",
    "activity",
    "add_values",
    "check_and_set_value",
    "del_value",
    "errors",
    "get_store_public_url",
    "get_value",
    "get_webhook_url",
    "http_outcome",
    "inhibit_activities",
    "list_values_keys",
    "mutate_value",
    "next_event",
    "next_signal",
    "outcome",
    "publish_value",
    "register_no_activity",
    "set_value",
    "signal",
    "start",
    "store",
    "subscribe",
    "unpublish_value",
    "unsubscribe",
]
CLIENTS = {
    "airtable": ["airtable_client"],
    "anthropic": ["anthropic_client", "anthropic_pydantic_ai_provider"],
    "asana": ["asana_client"],
    "atlassian": ["confluence_client", "get_base_url", "jira_client"],
    "auth0": ["auth0_client"],
    "aws": ["boto3_client"],
    "connections": ["check_connection_name", "encode_jwt", "refresh_oauth"],
    "discord": ["bot_token", "discord_client"],
    "github": ["github_client"],
    "google": [
        "gemini_client",
        "gmail_client",
        "google_calendar_client",
        "google_drive_client",
        "google_forms_client",
        "google_creds",
        "google_id",
        "google_pydantic_ai_provider",
        "google_sheets_client",
        "gspread_client",
        "youtube_client",
    ],
    "azurebot": ["AzureBotClient", "azurebot_client"],
    "hubspot": ["hubspot_client"],
    "kubernetes": ["kubernetes_client"],
    "linear": ["linear_client"],
    "notion": ["notion_client"],
    "openai": ["openai_client", "openai_pydantic_ai_provider"],
    "packages": ["install"],
    "microsoft": ["teams_client"],
    "pydantic": ["anthropic_pydantic_ai_provider", "openai_pydantic_ai_provider", "pydantic_gateway_provider"],
    "pipedrive": ["pipedrive_client"],
    "reddit": ["reddit_client"],
    "slack": ["normalize_channel_name", "slack_client"],
    "store": ["Op", "Store", "store"],
    "telegram": ["telegram_client"],
    "salesforce": ["salesforce_client"],
    "twilio": ["twilio_client"],
    "zoom": ["zoom_client"],
}

# A package of the real one's make, as far as binding is concerned: functions that do nothing.
REAL = {
    "__init__.py": """\
        from .events import next_event, subscribe
        from .store import get_value, store
        __version__ = "of the real one"
        __all__ = ["get_value", "next_event", "store", "subscribe"]
    """,
    "events.py": """\
        def subscribe(source, filter=""):
            return "sig_dummy"
        def next_event(subscription_id, *, timeout=None, full=False):
            return None
        def only_theirs():
            return "theirs"
    """,
    "store.py": """\
        class Store(dict):
            pass
        store = Store()
        def get_value(key):
            return "dummy"
    """,
    "newer.py": "def newer_client(connection):\n    return 'theirs'\n",
}


def run(tmp_path: Path, code: str, *paths: Path, root: Path | None = None) -> Any:
    """What `code` puts into `found`, in a process that has entered a build."""
    program = f"""
import json, sys
from perdure_runner.child import compat
sys.path[:0] = {[str(path) for path in paths]!r}
compat.install({str(root or tmp_path / "build")!r})
{textwrap.dedent(code)}
print(json.dumps(found))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def package(folder: Path) -> Path:
    (folder / "autokitteh").mkdir(parents=True)
    for name, text in REAL.items():
        (folder / "autokitteh" / name).write_text(textwrap.dedent(text))
    return folder


def test_the_shim_has_all_names(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        f"""
        import importlib
        import autokitteh
        from autokitteh.events import next_event, subscribe
        found = [name for name in {NAMES!r} if not hasattr(autokitteh, name)]
        for module, names in {CLIENTS!r}.items():
            loaded = importlib.import_module(f"autokitteh.{{module}}")
            found += [f"{{module}}.{{name}}" for name in names if not hasattr(loaded, name)]
        found += [name for name in sys.modules if name.startswith("perdure._autokitteh")]
        """,
    )
    assert found == []


def test_vendors_are_imported_when_a_client_is_made(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        """
        import os
        os.environ |= {"bot__Username": "u", "bot__Password": "p", "wiki__BaseURL": "https://w"}
        from autokitteh.twilio import twilio_client
        from autokitteh.slack import normalize_channel_name, slack_client
        from autokitteh.google import google_id
        from autokitteh.atlassian import get_base_url
        from autokitteh.errors import AutoKittehError
        found = [normalize_channel_name(each) for each in ("", "Ada's \\"Big\\" Day!", "--a__b--", "x" * 80)]
        found += [google_id(f"https://docs.google.com/d/{'a' * 22}/edit"), get_base_url("wiki"), get_base_url("none")]
        for attempt in (lambda: twilio_client("bot"), lambda: slack_client("nobody"), lambda: google_id("short")):
            try:
                attempt()
            except (AutoKittehError, ModuleNotFoundError, ValueError) as error:
                found.append(f"{type(error).__name__}: {error}")
        """,
    )
    assert found[:4] == ["", "adas-big-day", "a-b", "x" * 50]
    assert found[4:7] == ["a" * 22, "https://w", None]
    assert (
        found[7] == "ModuleNotFoundError: this client needs the package twilio: add it to your project's requirements"
    )
    assert found[8].startswith("ConnectionInitError: connection 'nobody' is not set up: nobody__token")
    assert found[9].startswith("ValueError")


def test_the_real_package_is_bound_to_the_session(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        """
        import autokitteh
        from autokitteh import next_event, store, subscribe
        from autokitteh.events import only_theirs
        from autokitteh.newer import newer_client
        import perdure._autokitteh.events as ours
        store["a"] = 1
        found = [autokitteh.__version__, subscribe is ours.subscribe, next_event is ours.next_event,
                 sys.modules["autokitteh.events"].next_event is ours.next_event, only_theirs(), newer_client("x"),
                 autokitteh.get_value("a"), sys.modules["autokitteh.store"].get_value("a"), type(store).__module__,
                 autokitteh.events.__loader__.get_source("autokitteh.events").startswith("def subscribe")]
        """,
        package(tmp_path / "installed"),
    )
    assert found == ["of the real one", True, True, True, "theirs", "theirs", 1, 1, "perdure._autokitteh.store", True]


def test_a_module_of_the_project_is_its_own(tmp_path: Path) -> None:
    root = package(tmp_path / "build")
    found = run(tmp_path, "import autokitteh\nfound = autokitteh.get_value('a')", root, root=root)
    assert found == "dummy"


@pytest.mark.parametrize("name", ["autokitteh.none", "autokitteh_other"])
def test_what_nobody_has_is_not_found(tmp_path: Path, name: str) -> None:
    code = f"""
        try:
            __import__({name!r})
        except ModuleNotFoundError as error:
            found = error.name
    """
    assert run(tmp_path, code) == name
