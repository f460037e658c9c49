"""What projects of AutoKitteh use without saying so is required for them; of nobody else's."""

from pathlib import Path

import pytest
from perdure_server.environments.implied import implied
from perdure_server.environments.reading import wanted
from perdure_server.manifest.manifest import load_manifest

THEIRS = "version: v1\nproject:\n  name: p\n"
CODE = """\
import requests, json
from autokitteh.slack import slack_client
from autokitteh import google
def on_event(event):
    import tenacity
    google.gmail_client("mail")
    text = "twilio_clients"
"""
FOUND = ["google-api-python-client~=2.155", "requests~=2.32", "slack-sdk~=3.33", "tenacity~=9.0"]


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "autokitteh.yaml").write_text(THEIRS)
    (tmp_path / "lib" / "main.py").write_text(CODE)
    return tmp_path


def test_what_the_code_names(project: Path) -> None:
    assert implied(project) == FOUND
    (project / "requests.py").write_text("")
    (project / "broken.py").write_bytes(b"import \xff\x00 (((\nimport twilio\n")
    assert implied(project) == [*(each for each in FOUND if "requests" not in each), "twilio~=9.4"]


def test_it_is_added_to_what_the_project_requires(project: Path) -> None:
    (project / "requirements.txt").write_text("Requests==2.31.0\nautokitteh\n")
    found = wanted(project, load_manifest(project))
    assert found is not None
    texts = [each.text for each in found.requirements]
    assert texts == ["Requests==2.31.0", "autokitteh", *(each for each in FOUND if "requests" not in each)]


def test_a_project_that_pins_by_hashes_says_it_all(project: Path) -> None:
    (project / "requirements.txt").write_text(f"rich==13.0 --hash=sha256:{'0' * 64}\n")
    found = wanted(project, load_manifest(project))
    assert found is not None
    assert [each.name for each in found.requirements] == ["rich"]
    assert (found.sdists, found.theirs) == (True, True)


def test_a_project_of_ours_requires_what_it_says(project: Path) -> None:
    (project / "perdure.yaml").write_text("name: ours\n")
    assert wanted(project, load_manifest(project)) is None
