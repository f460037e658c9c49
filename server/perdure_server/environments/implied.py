"""Packages that AutoKitteh installs for every project: its projects use them, and do not say so.

They are required here by those projects whose code names them. Versions are those of AutoKitteh 0.8.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from perdure_server.manifest.exports import python_files

_GOOGLE: Final = "google-api-python-client~=2.155"
_KUBERNETES: Final = "kubernetes>=31.0"
_PYDANTIC_AI: Final = "pydantic-ai~=1.30"
_FACTORIES: Final = {
    "airtable_client": "pyairtable~=3.1",
    "anthropic_client": "anthropic~=0.75",
    "anthropic_pydantic_ai_provider": _PYDANTIC_AI,
    "asana_client": "asana~=5.0",
    "auth0_client": "auth0-python~=4.7",
    "azurebot_client": "requests~=2.32",
    "boto3_client": "boto3~=1.35",
    "confluence_client": "atlassian-python-api~=3.41",
    "discord_client": "discord.py~=2.5",
    "gemini_client": "google-generativeai~=0.8",
    "github_client": "PyGithub~=2.8",
    "gmail_client": _GOOGLE,
    "google_calendar_client": _GOOGLE,
    "google_creds": _GOOGLE,
    "google_drive_client": _GOOGLE,
    "google_forms_client": _GOOGLE,
    "google_pydantic_ai_provider": _PYDANTIC_AI,
    "google_sheets_client": _GOOGLE,
    "gspread_client": "gspread~=6.2",
    "hubspot_client": "hubspot-api-client~=11.1",
    "jira_client": "atlassian-python-api~=3.41",
    "kubernetes_client": _KUBERNETES,
    "linear_client": "requests-toolbelt~=1.0",
    "notion_client": "notion_client~=2.0",
    "openai_client": "openai~=1.57",
    "openai_pydantic_ai_provider": _PYDANTIC_AI,
    "pipedrive_client": "pipedrive-python-lib~=1.2",
    "pydantic_gateway_provider": _PYDANTIC_AI,
    "reddit_client": "praw~=7.8",
    "salesforce_client": "simple-salesforce~=1.12",
    "slack_client": "slack-sdk~=3.33",
    "teams_client": "msgraph-sdk~=1.18",
    "telegram_client": "python-telegram-bot~=22.0",
    "twilio_client": "twilio~=9.4",
    "youtube_client": _GOOGLE,
    "zoom_client": "requests-toolbelt~=1.0",
}
"""By the names of functions of `autokitteh` that make a client."""
_MODULES: Final = {
    "anthropic": "anthropic~=0.75",
    "asana": "asana~=5.0",
    "atlassian": "atlassian-python-api~=3.41",
    "auth0": "auth0-python~=4.7",
    "azure": "azure-identity~=1.19",
    "boto3": "boto3~=1.35",
    "botocore": "boto3~=1.35",
    "bs4": "beautifulsoup4~=4.12",
    "discord": "discord.py~=2.5",
    "github": "PyGithub~=2.8",
    "google": "google-auth-oauthlib~=1.2",
    "googleapiclient": _GOOGLE,
    "grpc": "grpcio~=1.68",
    "gspread": "gspread~=6.2",
    "gspread_formatting": "gspread-formatting~=1.2",
    "hubspot": "hubspot-api-client~=11.1",
    "kubernetes": _KUBERNETES,
    "msgraph": "msgraph-sdk~=1.18",
    "notion_client": "notion_client~=2.0",
    "openai": "openai~=1.57",
    "pipedrive": "pipedrive-python-lib~=1.2",
    "praw": "praw~=7.8",
    "pyairtable": "pyairtable~=3.1",
    "pydantic": "pydantic~=2.0",
    "pydantic_ai": _PYDANTIC_AI,
    "requests": "requests~=2.32",
    "requests_toolbelt": "requests-toolbelt~=1.0",
    "simple_salesforce": "simple-salesforce~=1.12",
    "slack_sdk": "slack-sdk~=3.33",
    "telegram": "python-telegram-bot~=22.0",
    "tenacity": "tenacity~=9.0",
    "twilio": "twilio~=9.4",
    "yaml": "PyYAML~=6.0",
}
"""By the names of modules that are imported."""

_WORD: Final = re.compile(rb"\b[A-Za-z_]\w*_(?:client|creds|provider)\b")
_IMPORT: Final = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_MAX_BYTES: Final = 1024 * 1024  # of a file: it is read as text, and never parsed


def implied(root: Path) -> list[str]:
    """Requirements of a project of AutoKitteh besides those that it names, sorted."""
    found: set[str] = set()
    for name in python_files(root):
        with (root / name).open("rb") as file:
            text = file.read(_MAX_BYTES)
        found |= {_FACTORIES[word] for word in _words(_WORD, text) & _FACTORIES.keys()}
        found |= {_MODULES[word] for word in _words(_IMPORT, text) & _MODULES.keys() if not _is_own(root, word)}
    return sorted(found)


def _words(form: re.Pattern[bytes], text: bytes) -> set[str]:
    return {word.decode("ascii") for word in form.findall(text)}


def _is_own(root: Path, module: str) -> bool:
    return (root / f"{module}.py").exists() or (root / module).is_dir()
