"""Manifests that are texts."""

from perdure_server.manifest.manifest import MANIFEST_FILE, Manifest, examine


def parse_manifest(text: str, default_name: str, file: str = MANIFEST_FILE) -> Manifest:
    """Raises `Problems` with everything that is wrong with the text."""
    return examine(text, default_name, file).sound()
