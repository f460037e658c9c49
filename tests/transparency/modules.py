"""Which modules of the standard library's tests are run, how, and what differs by its nature."""

from .compare import Difference

SAMPLE = """
test_asyncgen test_augassign test_builtin test_call test_class test_contextlib test_coroutines test_dataclasses
test_decorators test_descr test_enum test_except_star test_extcall test_functools test_generators test_grammar
test_inspect test_json test_named_expressions test_patma test_scope test_super test_sys_settrace test_typing
test_yield_from
""".split()  # noqa: SIM905 - one a word
"""What the suite runs each time."""

ALL = """
test__opcode test_abc test_abstract_numbers test_argparse test_array test_asyncgen test_asyncio.test_base_events
test_asyncio.test_context test_asyncio.test_futures test_asyncio.test_locks test_asyncio.test_pep492
test_asyncio.test_protocols test_asyncio.test_queues test_asyncio.test_runners test_asyncio.test_streams
test_asyncio.test_taskgroups test_asyncio.test_threads test_asyncio.test_timeouts test_asyncio.test_waitfor
test_augassign test_base64 test_baseexception test_bdb test_binascii test_binop test_bisect test_bool test_buffer
test_builtin test_bytes test_calendar test_call test_charmapcodec test_class test_cmath test_cmd test_code
test_code_module test_codeccallbacks test_codecs test_codeop test_collections test_colorsys test_compare
test_complex test_configparser test_contains test_context test_contextlib test_contextlib_async test_copy
test_copyreg test_coroutines test_cprofile test_csv test_dataclasses test_decorators test_defaultdict test_deque
test_descr test_descrtut test_dict test_dict_version test_dictcomps test_dictviews test_difflib test_doctest
test_dynamic test_dynamicclassattribute test_email test_enum test_enumerate test_eof test_errno test_except_star
test_exception_group test_exception_hierarchy test_exception_variations test_extcall test_fileutils
test_finalization test_float test_flufl test_fnmatch test_format test_fractions test_frame test_frozen test_fstring
test_funcattrs test_functools test_future_stmt test_generator_stop test_generators test_genericalias
test_genericclass test_genexps test_getopt test_global test_grammar test_graphlib test_hash test_heapq test_hmac
test_html test_htmlparser test_http_cookiejar test_http_cookies test_index test_inspect test_int test_int_literal
test_ipaddress test_isinstance test_iter test_iterlen test_itertools test_json test_keyword test_keywordonlyarg
test_linecache test_list test_listcomps test_locale test_long test_longexp test_math test_memoryio test_memoryview
test_metaclass test_mimetypes test_minidom test_module test_multibytecodec test_named_expressions test_netrc
test_numeric_tower test_opcodes test_operator test_optparse test_ordered_dict test_patma test_peepholer
test_pep646_syntax test_picklebuffer test_pickletools test_pkgutil test_platform test_plistlib
test_positional_only_arg test_pow test_pprint test_print test_profile test_property test_pstats test_pulldom
test_pyexpat test_queue test_quopri test_raise test_random test_range test_re test_reprlib test_richcmp
test_rlcompleter test_sax test_sched test_scope test_secrets test_select test_set test_setcomps test_shlex
test_slice test_sort test_stat test_statistics test_strftime test_string test_string_literals test_stringprep
test_strptime test_strtod test_struct test_structseq test_subclassinit test_super test_symtable test_syntax
test_sys_setprofile test_sys_settrace test_tabnanny test_textwrap test_threading_local test_time test_timeit
test_tokenize test_tomllib test_traceback test_tuple test_type_annotations test_type_cache test_type_comments
test_type_params test_typechecks test_types test_typing test_unary test_unicode_identifiers test_unittest
test_univnewlines test_unpack test_unpack_ex test_unparse test_urllib_response test_urlparse test_userdict
test_userlist test_userstring test_utf8source test_uuid test_warnings test_wave test_weakref test_weakset test_with
test_xml_dom_minicompat test_xml_etree test_xxlimited test_yield_from test_zipapp test_zipimport_support
""".split()  # noqa: SIM905
"""What is compared with itself run plainly, on each interpreter."""

RECORDED = """
test__opcode test_abstract_numbers test_array test_asyncgen test_augassign test_base64 test_baseexception
test_binascii test_binop test_bisect test_bool test_builtin test_bytes test_calendar test_charmapcodec test_class
test_cmath test_cmd test_code_module test_codeccallbacks test_codecs test_codeop test_collections test_colorsys
test_compare test_complex test_contains test_context test_contextlib test_contextlib_async test_copy test_copyreg
test_coroutines test_csv test_dataclasses test_decorators test_defaultdict test_deque test_descrtut test_dict
test_dict_version test_dictcomps test_dictviews test_difflib test_doctest test_dynamic test_dynamicclassattribute
test_email test_enum test_enumerate test_eof test_errno test_except_star test_exception_group test_exception_hierarchy
test_exception_variations test_extcall test_fileutils test_finalization test_float test_flufl test_fnmatch test_format
test_fractions test_frozen test_fstring test_funcattrs test_functools test_future_stmt test_generator_stop
test_generators test_genericalias test_genericclass test_genexps test_getopt test_global test_grammar test_graphlib
test_hash test_heapq test_hmac test_html test_htmlparser test_http_cookiejar test_http_cookies test_index test_int
test_int_literal test_ipaddress test_isinstance test_iter test_iterlen test_itertools test_keyword test_keywordonlyarg
test_list test_listcomps test_locale test_long test_longexp test_math test_memoryview test_metaclass test_mimetypes
test_minidom test_multibytecodec test_named_expressions test_netrc test_numeric_tower test_opcodes test_operator
test_optparse test_ordered_dict test_patma test_peepholer test_pep646_syntax test_picklebuffer test_pkgutil
test_platform test_plistlib test_positional_only_arg test_pow test_pprint test_print test_property test_pstats
test_pulldom test_pyexpat test_quopri test_raise test_range test_reprlib test_richcmp test_rlcompleter test_sched
test_scope test_secrets test_set test_setcomps test_shlex test_slice test_sort test_stat test_statistics test_strftime
test_string test_string_literals test_stringprep test_strptime test_strtod test_structseq test_subclassinit test_super
test_symtable test_syntax test_sys_setprofile test_textwrap test_threading_local test_time test_timeit test_tokenize
test_tomllib test_tuple test_type_annotations test_type_cache test_type_comments test_type_params test_typechecks
test_typing test_unary test_unicode_identifiers test_univnewlines test_unpack test_unpack_ex test_unparse
test_urllib_response test_urlparse test_userdict test_userlist test_userstring test_utf8source test_warnings
test_weakref test_weakset test_with test_xml_dom_minicompat test_yield_from test_zipapp test_zipimport_support
""".split()  # noqa: SIM905
"""Those that make sense as a session, too: they look at nothing of the process, and use no live object of C's own."""

LEFT_OUT = {
    "test_compile": "compares the constants of its own code objects; sites are constants",
    "test_dis": "compares the bytecode of its own functions with a listing",
    "test_exceptions": "lowers the recursion limit until only its own frames fit; a decision about a call needs some",
    "test_marshal": "marshals its own code objects; sites are constants that marshal refuses",
    "test_monitoring": "counts the calls of C functions that sys.monitoring reports; a site is one",
}
"""Modules that ask about calls or code itself, and why they are in neither list."""

_COUNTS = "counts the calls of C functions; a site is one"
INHERENT = {
    "test_cprofile": _COUNTS,
    "test_jump_to_firstlineno": "expects of exec that it runs the very code object that it is given",
    "test_method_with_c_function": _COUNTS,
    "test__struct_reference_cycle_cleaned_up": "a C function that has been judged keeps its module alive",
}
"""Single tests, by method, that differ by their nature whatever makes the sites."""

_FRAMES = "sees the Python frames of sites that are written in Python"
PURE = {
    "test_bdb": _FRAMES,
    "test_functools": "a warning of fetching an attribute names the frame that fetches it, which is the site's",
    "test_sys_setprofile": _FRAMES,
    "test_sys_settrace": _FRAMES,
}
"""Modules in which tests differ if the sites are the pure-Python twin."""


def modes(module: str) -> tuple[str, ...]:
    """In which modes a module is compared with itself run plainly."""
    return ("routed", "recorded") if module in RECORDED else ("routed",)


def is_inherent(difference: Difference, sites: str) -> str:
    """Why it is none of ours to mend; empty if it is."""
    reason = INHERENT.get(difference.test.rpartition(".")[2], "")
    return reason or (PURE.get(difference.module, "") if sites == "pure" else "")
