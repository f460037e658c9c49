"""What callables are called in journals, rules and messages."""

import types
from collections.abc import Callable
from typing import Any, Final

from perdure_runner.child.policy.looking import (
    ABSENT,
    builtin_name,
    call_of,
    class_name,
    hidden_instance_module,
    inner_callable,
    is_bound_builtin,
    is_descriptor,
    owner_of,
)

MAX_DEPTH: Final = 50
"""How many wrappers are looked through."""


def qualified(f: Any, is_user_class: Callable[[type], bool], depth: int = 0) -> str:
    """``module.qualname``: of a method its class's, but of one that a user class inherits that of where it is from."""
    t = type(f)
    inner = inner_callable(f, t)
    if inner is not ABSENT and depth < MAX_DEPTH:
        return qualified(inner, is_user_class, depth + 1)
    if t is types.FunctionType:
        module = f.__module__
        return f"{module if type(module) is str else '?'}.{f.__qualname__}"
    if t is types.MethodType or is_bound_builtin(t):
        return _bound_name(f, t, is_user_class, depth)
    if is_descriptor(t):
        return f"{class_name(f.__objclass__)}.{f.__name__}"
    if issubclass(t, type):
        return class_name(f)
    call = call_of(t)
    if type(call) is types.FunctionType:
        return _bound_name(types.MethodType(call, f), types.MethodType, is_user_class, depth)
    return f"{class_name(t)}.__call__"


def _bound_name(f: Any, t: type, is_user_class: Callable[[type], bool], depth: int) -> str:
    if t is types.MethodType and type(f.__func__) is not types.FunctionType:
        return qualified(f.__func__, is_user_class, depth + 1) if depth < MAX_DEPTH else "?"
    owner = owner_of(f, t)
    if owner is None:
        return builtin_name(f)
    name = f.__func__.__name__ if t is types.MethodType else f.__name__
    if (module := hidden_instance_module(f, owner, name)) is not None:
        return f"{module}.{name}"
    if is_bound_builtin(t):
        return builtin_name(f)
    if is_user_class(owner):
        return qualified(f.__func__, is_user_class, depth + 1)
    return f"{class_name(owner)}.{name}"
