"""Expressions of the Common Expression Language, for filters that strangers write.

A subset that is bounded: what an expression may cost is counted while it runs (ADR 14).
"""

from perdure_server.core.cel.evaluate import Expression, compile_expression
from perdure_server.core.cel.run import Fault
from perdure_server.core.cel.tree import CelError

__all__ = ["CelError", "Expression", "Fault", "compile_expression"]
