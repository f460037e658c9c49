"""The import hook: modules of the build are compiled with call sites, all others as always.

Three pieces: `UserTree` knows which files are the user's, `CodeCache` keeps compiled code by the hash of its source,
`Finder` and `Loader` stand in the import system. The loader is the standard one but for where its code comes from, so
packages, relative imports, encodings, `importlib.resources`, `inspect` and `runpy` work as they do natively; it never
has a frame below a module's body. The finder takes PathFinder's place and stays installed: lazy imports come late.
"""

import contextlib
import functools
import hashlib
import marshal
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from perdure_runner.child.patching.rewrite import REWRITE_VERSION, bind, compile_source
from perdure_runner.child.patching.sites import Maker, Router, Sites, announce, pass_through
from perdure_runner.child.policy.policy import Policy

_FOREIGN: Final = frozenset({".git", ".venv", "__pycache__", "dist-packages", "node_modules", "site-packages"})
"""Folders inside of a build whose files are not the user's own code."""


_real_folder: Final = functools.lru_cache(maxsize=4096)(os.path.realpath)


@functools.lru_cache(maxsize=4096)
def _real_path(path: str) -> str:
    """As `os.path.realpath`, but each folder is looked at once: a build does not move while it runs."""
    folder, name = os.path.split(path)
    if name in {"", os.curdir, os.pardir}:
        return os.path.realpath(path)
    real = os.path.join(_real_folder(folder), name)
    return os.path.realpath(real) if os.path.islink(real) else real


class UserTree:
    """The files of a build."""

    def __init__(self, root: str) -> None:
        self.root = _real_path(root)
        self._prefix = self.root.rstrip(os.sep) + os.sep

    def owns(self, path: str) -> bool:
        """Is this file the user's own code? Links are followed: what they lead out of the build to is not.

        A relative name is none of ours: frozen and generated code has such ("<frozen genericpath>", "<string>").
        """
        if not os.path.isabs(path):
            return False
        real = _real_path(path)
        return real.startswith(self._prefix) and _FOREIGN.isdisjoint(real[len(self._prefix) :].split(os.sep))

    def relative(self, path: str) -> str:
        """The path below the root, with forward slashes; as it is, if it is elsewhere."""
        real = _real_path(path)
        return real[len(self._prefix) :].replace(os.sep, "/") if real.startswith(self._prefix) else path

    def sources(self) -> Iterator[str]:
        """The absolute paths of all modules of the build, sorted."""
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if name not in _FOREIGN)
            yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(".py"))


# ---------------------------------------------------------------- compiled code

_getpid: Final = os.getpid  # the real one, before it becomes a marker
_MAGIC: Final = b"perdure\0" + MAGIC_NUMBER
_DIGEST_BYTES: Final = 32
_HEADER_BYTES: Final = len(_MAGIC) + 2 * _DIGEST_BYTES


class CodeCache:
    """Compiled modules in `<folder>/<interpreter>-v<version>-O<level>/<relative path>.bin`.

    Invariant: a file is used only if it says that it was made from this very source by this interpreter, and its code
    is as it was written; anything else, a folder that cannot be read or written included, means to compile again.
    A file is `magic | sha256 of the source | sha256 of the rest | marshalled code, with sentinels for sites`.
    """

    def __init__(self, folder: str | None) -> None:
        tag = f"{sys.implementation.cache_tag}-v{REWRITE_VERSION}-O{sys.flags.optimize}"
        self._folder = None if folder is None else Path(folder) / tag

    def code(self, source: bytes, path: str, relative: str) -> CodeType:
        """The code of a module, compiled if it has to be. Raises what `compile` raises."""
        if self._folder is None:
            return compile_source(source, path)
        file = self._folder / f"{relative}.bin"
        digest = hashlib.sha256(source).digest()
        code = _read(file, digest)
        if code is None:
            code = compile_source(source, path)
            with contextlib.suppress(OSError):
                _write(file, digest, marshal.dumps(code))
        return code


def _read(file: Path, digest: bytes) -> CodeType | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    body = memoryview(data)[_HEADER_BYTES:]
    if data[:_HEADER_BYTES] != _MAGIC + digest + hashlib.sha256(body).digest():
        return None
    code = marshal.loads(body)  # noqa: S302 - our own: its hash says so
    return code if isinstance(code, CodeType) else None


def _write(file: Path, digest: bytes, body: bytes) -> None:
    """Atomically: a reader finds the whole file or none. (`tempfile` would draw on clocks that are recorded.)"""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{_getpid()}")
    try:
        temporary.write_bytes(_MAGIC + digest + hashlib.sha256(body).digest() + body)
        temporary.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be compiled. `file` is relative to the root; `line` and `column` count from 1, 0: unknown."""

    file: str
    line: int
    column: int
    message: str
    text: str
    """The line of source, where the compiler gives it."""


def compile_tree(root: str, cache_dir: str) -> list[Problem]:
    """Fill the cache with the code of every module of a build; returns what could not be compiled or read."""
    tree, cache = UserTree(root), CodeCache(cache_dir)
    return [problem for path in tree.sources() if (problem := _compile_one(tree, cache, path)) is not None]


def _compile_one(tree: UserTree, cache: CodeCache, path: str) -> Problem | None:
    relative = tree.relative(path)
    try:
        cache.code(Path(path).read_bytes(), path, relative)
    except SyntaxError as error:
        text = (error.text or "").rstrip("\n")
        return Problem(relative, error.lineno or 0, error.offset or 0, error.msg, text)
    except (OSError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return Problem(relative, 0, 0, str(error) or type(error).__name__, "")
    return None


# ---------------------------------------------------------------- the import system


class Hook:
    """An installed import hook."""

    def __init__(self, tree: UserTree, cache: CodeCache, policy: Policy, make_site: Maker) -> None:
        self.tree = tree
        self.policy = policy
        self._cache = cache
        self._make_site = make_site
        self._finder = Finder(self)

    def code(self, source: bytes, path: str) -> CodeType:
        """The runnable code of a module, from the cache if it is there."""
        return self._bound(self._cache.code(source, path, self.tree.relative(path)), path)

    def compiled(self, source: bytes, path: str, optimize: int) -> CodeType:
        """The runnable code of a module, compiled anew."""
        return self._bound(compile_source(source, path, optimize=optimize), path)

    def _bound(self, code: CodeType, path: str) -> CodeType:
        make_site = self._make_site
        return bind(code, lambda mark: make_site(mark, path), path)

    def install(self) -> None:
        """Stand before PathFinder: built-in and frozen modules keep their precedence over files."""
        before = next((i for i, finder in enumerate(sys.meta_path) if finder is PathFinder), len(sys.meta_path))
        sys.meta_path.insert(before, self._finder)

    def uninstall(self) -> None:
        """Leave the import system; modules that are loaded stay as they are."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._finder]


class Finder:
    """PathFinder, but modules of the build get our loader."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder.find_spec`."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            return spec
        if self._hook.tree.owns(spec.origin):
            spec.loader = Loader(self._hook, fullname, spec.origin)
        return spec

    def invalidate_caches(self) -> None:
        """Nothing of its own to forget; PathFinder, which stays on the path, is asked by the import system itself."""


class Loader(SourceFileLoader):
    """The standard loader of source files, but for where the code comes from."""

    def __init__(self, hook: Hook, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._hook = hook

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Note that the module is the user's; the module itself is the usual one."""
        self._hook.policy.adopt(spec.name)
        return None

    def get_code(self, fullname: str) -> CodeType:
        """The module's code, with its sites. Never reads or writes `__pycache__`."""
        path = self.get_filename(fullname)
        return self._hook.code(self.get_data(path), path)

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:  # type: ignore[override]
        """Compile source that is not the file's own (as tools do)."""
        source = data.encode() if isinstance(data, str) else bytes(data)
        return self._hook.compiled(source, os.fsdecode(path), _optimize)


def install(build: str | UserTree, cache_dir: str | None, router: Router | None, policy: Policy | None = None) -> Hook:
    """Make the imports of this process give modules of `build` call sites.

    Args:
        build: its folder, or its files if they are known already.
        cache_dir: where compiled code is kept, or None for nowhere; may be read-only.
        router: who takes the external calls; None: nobody does, and sites do nothing.
        policy: says which calls are external; None: one without rules.
    """
    tree = build if isinstance(build, UserTree) else UserTree(build)
    policy = policy or Policy(tree.owns)
    make_site: Maker = pass_through
    if router is not None:
        make_site = sites = Sites(tree.relative, policy, router)
        announce(sites)
    hook = Hook(tree, CodeCache(cache_dir), policy, make_site)
    hook.install()
    return hook
