"""A module that is not there: which requirement brings it, and where to write it."""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import Final

_IMPORT: Final = re.compile(r"\s*(?:from|import)\s+(?P<module>[\w.]+)(?:\s+import\s+\(?\s*(?P<name>\w+))?")

PACKAGES: Final = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cairo": "pycairo",
    "cv2": "opencv-python-headless",
    "Crypto": "pycryptodome",
    "dateutil": "python-dateutil",
    "discord": "discord.py",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "github": "PyGithub",
    "gitlab": "python-gitlab",
    "googleapiclient": "google-api-python-client",
    "grpc": "grpcio",
    "jenkins": "python-jenkins",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "kafka": "kafka-python",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "memcache": "python-memcached",
    "mpl_toolkits": "matplotlib",
    "MySQLdb": "mysqlclient",
    "nacl": "PyNaCl",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "pythonjsonlogger": "python-json-logger",
    "pywintypes": "pywin32",
    "ruamel": "ruamel.yaml",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slack": "slackclient",
    "slugify": "python-slugify",
    "snowflake": "snowflake-connector-python",
    "socks": "PySocks",
    "telegram": "python-telegram-bot",
    "usb": "pyusb",
    "websocket": "websocket-client",
    "win32api": "pywin32",
    "Xlib": "python-xlib",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""Modules whose package has another name; of all others the module's name is taken for it."""

NAMESPACES: Final = {
    "azure.identity": "azure-identity",
    "azure.storage.blob": "azure-storage-blob",
    "google.api_core": "google-api-core",
    "google.auth": "google-auth",
    "google.cloud": "google-cloud-{}",
    "google.genai": "google-genai",
    "google.generativeai": "google-generativeai",
    "google.oauth2": "google-auth",
    "google.protobuf": "protobuf",
    "google_auth_oauthlib": "google-auth-oauthlib",
    "opentelemetry": "opentelemetry-{}",
}
"""Packages that share their first name; `{}` stands for the next part of the module's name."""


def package(module: str) -> str:
    """The package that brings a module, as far as names tell: "yaml" is in PyYAML, "google.cloud.storage" in
    google-cloud-storage.
    """
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        if (name := NAMESPACES.get(".".join(parts[:count]))) is not None:
            following = parts[count] if len(parts) > count else ""
            return name.format(following.replace("_", "-")).rstrip("-")
    return PACKAGES.get(parts[0], parts[0])


def remedy(error: ModuleNotFoundError, root: str) -> str:
    """What to do about it, for a project in the folder `root`."""
    module = error.name or ""
    parent = module.rpartition(".")[0]
    if parent and parent in sys.modules and not _shared(parent):
        return f"{parent} is there, but has no module {module}: see whether another version of its package has it."
    return f"Add {package(_asked_for(error) or module)!r} to the project's requirements, {_where(root)}."


def _asked_for(error: ModuleNotFoundError) -> str:
    """What the import that failed names in full, if it is more than the part that is missing: of `google.cloud.x`, only
    `google` may be.
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen ")]
    found = _IMPORT.match(frames[-1].line or "") if frames else None
    if found is None:
        return ""
    asked = ".".join(part for part in (found["module"], found["name"]) if part)
    return asked if asked.startswith(f"{error.name}.") else ""


def _shared(module: str) -> bool:
    """Do several packages have modules below this one? Then it has no file of its own."""
    return getattr(sys.modules[module], "__file__", None) is None


def _where(root: str) -> str:
    if os.path.isfile(os.path.join(root, "requirements.txt")):
        return "in requirements.txt"
    if os.path.isfile(os.path.join(root, "pyproject.toml")):
        return "the dependencies of [project] in pyproject.toml"
    return "a file requirements.txt in its folder"
