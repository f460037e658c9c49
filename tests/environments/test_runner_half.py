"""What the runner's half knows of environments: where modules are looked for, and what a missing one belongs to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from perdure_runner.child import environment, missing


def entered(monkeypatch: pytest.MonkeyPatch, path: list[str], folder: str) -> list[str]:
    monkeypatch.setattr(sys, "path", path)
    environment.enter("/project", folder)
    return sys.path


STANDARD = [path for path in sys.path if path.startswith(sys.base_prefix) and "-packages" not in path]


def test_an_environment_takes_the_place_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = [f"{sys.base_prefix}/lib/python3/dist-packages", f"{sys.prefix}/lib/site-packages", "/developed/src"]
    found = entered(monkeypatch, [*STANDARD, *installed], "/environment")
    assert found == ["/project", *STANDARD, "/environment"]
    assert os.path.dirname(os.__file__) in found


def test_a_project_without_one_sees_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert entered(monkeypatch, ["/a", "/b/site-packages"], "") == ["/project", "/a", "/b/site-packages"]


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("requests", "requests"),
        ("some_thing.part", "some_thing"),
        ("yaml", "PyYAML"),
        ("PIL.Image", "pillow"),
        ("cv2", "opencv-python-headless"),
        ("bs4", "beautifulsoup4"),
        ("sklearn.svm", "scikit-learn"),
        ("dateutil.parser", "python-dateutil"),
        ("jenkins", "python-jenkins"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("google.cloud.bigquery_storage", "google-cloud-bigquery-storage"),
        ("google.cloud", "google-cloud"),
        ("google.protobuf.message", "protobuf"),
        ("opentelemetry.sdk.trace", "opentelemetry-sdk"),
        ("azure.storage.blob.aio", "azure-storage-blob"),
    ],
)
def test_which_package_brings_a_module(module: str, package: str) -> None:
    assert missing.package(module) == package


def failure(code: str) -> ModuleNotFoundError:
    with pytest.raises(ModuleNotFoundError) as caught:
        exec(compile(code, "<test>", "exec"), {})
    return caught.value


def test_where_to_write_it_down(tmp_path: Path) -> None:
    error = failure("import no_such_module")
    assert missing.remedy(error, str(tmp_path)).endswith("requirements, a file requirements.txt in its folder.")
    (tmp_path / "pyproject.toml").touch()
    assert missing.remedy(error, str(tmp_path)).endswith("the dependencies of [project] in pyproject.toml.")
    (tmp_path / "requirements.txt").touch()
    assert (
        missing.remedy(error, str(tmp_path))
        == "Add 'no_such_module' to the project's requirements, in requirements.txt."
    )


def test_a_module_that_its_package_does_not_have(tmp_path: Path) -> None:
    assert "json is there, but has no module json.nothing" in missing.remedy(
        failure("import json.nothing"), str(tmp_path)
    )


@pytest.mark.parametrize("text", ["import google.cloud.storage", "from google.cloud import storage"])
def test_of_packages_that_share_a_name_the_import_tells_which(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud", None)  # as if no package of the name were there
    file = tmp_path / "user.py"
    file.write_text(text)
    with pytest.raises(ModuleNotFoundError) as caught:
        exec(compile(text, str(file), "exec"), {})
    assert "Add 'google-cloud-storage'" in missing.remedy(caught.value, str(tmp_path))
