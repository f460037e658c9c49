"""The schema and every statement, in SQLAlchemy Core. Needed to make `statements.py` and to migrate, not to run.

Importing SQLAlchemy takes half a second, as long as a whole short session. So the texts are compiled ahead of time
(`python -m perdure_server.store.schema.generate`), committed, and checked for staleness by a test.
"""

from typing import Final

# The newest revision under versions/. Named here too so that a start can check it without Alembic.
HEAD: Final = "0005"
