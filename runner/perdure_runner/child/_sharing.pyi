"""Pages that are given back, in C. See sharing.py."""

from array import array

def share(spans: array[int], counts: array[int], warmups: array[int], /) -> None:
    """Move the memory at `spans` (address and size of each, in order) into a sealed file, mapped privately there.

    counts, warmups: addresses, in order, of words whose change alone keeps no page. Raises OSError where this
    system does not let us.
    """

def listen() -> None:
    """Have SIGURG, sent by the process that shared, do `give_back`; sent by others, what it did before."""

def give_back() -> int:
    """Let go of pages that are as they were shared. Gives how many it were; negative: it was not possible now."""

def thread_pointer() -> int:
    """Where the C library has what is this thread's."""
