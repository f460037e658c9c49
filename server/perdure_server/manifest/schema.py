"""The JSON schema of `perdure.yaml`, made of the tables by which it is read: editors complete and check with it."""

from __future__ import annotations

from typing import Any

from perdure_server.manifest.manifest import KEYS, MANIFEST_FILE
from perdure_server.manifest.shapes import object_schema


def json_schema() -> dict[str, Any]:
    """It takes what the reader takes, but for what one part says of another, and for what expressions say."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": MANIFEST_FILE,
        "description": "What a project of perdure says about itself. Every key is optional.",
        **object_schema(KEYS),
    }
