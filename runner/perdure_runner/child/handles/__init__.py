"""Handles: what user code has in place of live objects, whose operations are calls of the journal.

`table` names them in recorded outcomes, `proxy` is what user code sees, `operations` records what is done with them,
`registry` knows libraries, `recreate` makes them again in a new process.
"""

from perdure_runner.child.handles.table import Table

__all__ = ["Table"]
