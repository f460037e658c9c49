"""The standard library's own tests pass and fail through the hook exactly as they do natively.

Once with sites in pass-through mode ("hooked": they return their argument), which tests the rewriting and the loading:
evaluation order, scopes, `super()`, positions, tracing, tracebacks, class bodies, generators, coroutines, annotations.
And once with sites that decide about every call ("routed"), which tests the sites and the policy.

    PERDURE_TEST_PYTHONS=/path/python3.12:/path/python3.13 pytest tests/transparency
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
PYTHONS = [sys.executable, *filter(None, os.environ.get("PERDURE_TEST_PYTHONS", "").split(os.pathsep))]

MODULES = """
test_abc test_asyncgen test_augassign test_baseexception test_builtin test_call test_class test_code
test_collections test_compare test_contextlib test_contextlib_async test_copy test_coroutines test_cprofile
test_dataclasses test_decorators test_defaultdict test_descr test_dict test_dictcomps test_doctest test_dynamic
test_dynamicclassattribute test_enum test_except_star test_exception_group test_exceptions test_extcall
test_frame test_fstring test_funcattrs test_functools test_future test_gc test_generator_stop test_generators
test_genexps test_global test_grammar test_inspect test_iter test_itertools test_keywordonlyarg test_list
test_listcomps test_metaclass test_named_expressions test_operator test_patma test_peepholer test_pep646_syntax
test_positional_only_arg test_profile test_property test_raise test_reprlib test_richcmp test_scope test_set
test_setcomps test_slice test_string_literals test_subclassinit test_super test_symtable test_syntax
test_sys_setprofile test_sys_settrace test_trace test_traceback test_type_aliases test_type_annotations
test_type_params test_types test_typing test_unpack test_unpack_ex test_userdict test_warnings test_weakref
test_with test_yield_from
""".split()  # noqa: SIM905 - one a word

LEFT_OUT = {
    "test_monitoring": "counts the calls of C functions that sys.monitoring reports; a site is one",
    "test_dis": "compares the bytecode of its own functions with a listing",
    "test_compile": "compares the co_consts of its own functions; sites are constants",
}
"""What differs by its nature, and why: it asks about calls or code itself."""

_FRAMES = "sees the Python frames of sites that are written in Python"
_SLOW = "is slow"
NOT_ROUTED = {
    "test_cprofile": _FRAMES,
    "test_exceptions": "lowers the recursion limit until only its own frames fit",
    "test_gc": "counts allocations, and collections caused by them",
    "test_itertools": _SLOW,
    "test_profile": _FRAMES,
    "test_set": _SLOW,
    "test_sys_setprofile": _FRAMES,
    "test_sys_settrace": _FRAMES,
    "test_trace": _FRAMES,
    "test_traceback": "expects no frame between a call of exec and the code that it runs",
    "test_weakref": _SLOW,
}
"""What differs with pure-Python sites in "routed" mode, and why."""
NOT_ROUTED_TESTS = {
    "test_partial_as_method": "a warning of fetching an attribute names the frame that fetches it, which is the site's",
    "test_deleting_local_warns_and_assigns_none": _FRAMES,
}
"""The same for single tests, by method."""

SECONDS = 600
MODES = {"native": MODULES, "hooked": MODULES, "routed": [m for m in MODULES if m not in NOT_ROUTED]}


def run(python, mode, out, cache):
    out.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))},
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / folder) for folder in ("sdk", "runner")),
        "PYTHONHASHSEED": "0",
        "PERDURE_TEST_CACHE": str(cache),
    }
    command = [python, str(HERE / "run_modules.py"), mode, str(out), *MODES[mode]]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)


def outcomes(folder, module):
    """What each test of a module came to, and the tracebacks; a module that died has neither."""
    file = folder / f"{module}.json"
    if not file.exists():
        log = folder / f"{module}.log"
        return {module: "died"}, {module: log.read_text(errors="replace")[-2000:] if log.exists() else ""}
    result = json.loads(file.read_text())
    return result["outcomes"], result.get("details", {})


def differences(native, hooked, module, excused):
    was, _ = outcomes(native, module)
    now, details = outcomes(hooked, module)
    for test in sorted(was.keys() | now.keys()):
        if was.get(test) != now.get(test) and test.rpartition(".")[2] not in excused:
            yield f"{test}: natively {was.get(test)}, hooked {now.get(test)}\n{details.get(test, '')}"


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_standard_librarys_own_tests(python, tmp_path):
    probe = subprocess.run([python, "-c", "import test.test_grammar"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"{python} lacks the standard library's tests: {probe.stderr.strip().splitlines()[-1]}")
    cache = tmp_path / "cache"
    processes = [run(python, mode, tmp_path / mode, cache / mode) for mode in MODES]
    try:
        assert [process.wait(SECONDS) for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
    for mode in ("hooked", "routed"):
        excused = NOT_ROUTED_TESTS if mode == "routed" else {}
        found = [text for m in MODES[mode] for text in differences(tmp_path / "native", tmp_path / mode, m, excused)]
        assert found == [], mode
        ended = [outcomes(tmp_path / mode, module)[0] for module in MODES[mode]]
        assert sum("pass" in results.values() for results in ended) >= 60
        assert sum(outcome == "pass" for results in ended for outcome in results.values()) >= 4000
        assert len(list((cache / mode).rglob("*.bin"))) >= 60  # the modules really came through the hook
