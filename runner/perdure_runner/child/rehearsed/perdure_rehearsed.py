"""The program of the session that a zygote rehearses (child/rehearsal.py): a bit of what most programs do."""

import json
import time
from dataclasses import dataclass
from typing import Any

import perdure


@dataclass
class Note:
    """Some state."""

    text: str
    at: float = 0.0


@perdure.activity
def keep(note: Note, number: int) -> dict[str, Any]:
    """An activity with arguments and a result."""
    return {"text": note.text, "numbers": [number]}


def handler(event: dict[str, Any]) -> list[str]:
    """Markers, activities, and what lies between them."""
    notes = [Note(text, time.time()) for text in event["texts"]]
    return [json.dumps(keep(note, number), sort_keys=True) for number, note in enumerate(notes)]
