"""From which sessions a fork has the beginning of its journal, and up to where: text in `SessionRecord.forked_from`.

`ses_b@30,ses_a@12;1795336637225988`: forked from ses_b after its entry 30, of which ses_b had the first 12 from ses_a,
which was created at that time. Rows of before say `ses_b` alone; how much these share is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

MOST: Final = 100
"""Ancestors that are told apart; what older ones have recorded counts as the oldest one's of these."""
_ONE: Final = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"
_TEXT: Final = re.compile(rf"{_ONE}(@[0-9]{{1,18}}(,{_ONE}@[0-9]{{1,18}}){{0,{MOST - 1}}}(;[0-9]{{1,18}})?)?")


class Ancestor(NamedTuple):
    """A session whose entries up to `upto_seq` are shared; the first of them it may have from the next ancestor."""

    session_id: str
    upto_seq: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a session shares with others."""

    ancestors: tuple[Ancestor, ...] = ()
    """The newest one first: that is the one that was forked."""
    created_us: int = 0
    """When the session was created that recorded the first entry; 0: it is this one, or not known."""

    def __str__(self) -> str:
        text = ",".join(f"{each.session_id}@{each.upto_seq}" for each in self.ancestors)
        return f"{text};{self.created_us}" if self.created_us else text

    def of_fork(self, session_id: str, created_us: int, upto_seq: int) -> Lineage:
        """That of a fork, after its entry `upto_seq`, of the session whose lineage this is, of that id and time."""
        ancestors = [Ancestor(session_id, upto_seq)]
        for each in self.ancestors:
            upto = min(each.upto_seq, upto_seq)
            if len(ancestors) > 1 and ancestors[-1].upto_seq == upto:
                ancestors.pop()  # an older one has brought all of it
            if upto:
                ancestors.append(Ancestor(each.session_id, upto))
        return Lineage(tuple(ancestors[:MOST]), (self.created_us or created_us) if upto_seq else 0)


def is_text(text: str) -> bool:
    """Whether it is something that is stored here: for what comes from outside."""
    return _TEXT.fullmatch(text) is not None


def parse(text: str) -> Lineage:
    """Of a session whose row has this text."""
    ancestors, _, created_us = text.partition(";")
    pairs = (part.partition("@") for part in ancestors.split(",") if part)
    return Lineage(tuple(Ancestor(name, int(upto or 0)) for name, _, upto in pairs), int(created_us or 0))


def source_of(text: str) -> str:
    """The session that was forked; "" of one that is no fork."""
    return text.partition(";")[0].partition(",")[0].partition("@")[0]
