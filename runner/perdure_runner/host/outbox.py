"""A session's records on their way to the coordinator: numbered, batched, and bounded."""

from collections import deque
from collections.abc import Callable
from typing import Any

from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner

from perdure_runner.frames import Header
from perdure_runner.host import convert
from perdure_runner.host.config import HostLimits
from perdure_runner.host.fields import ProtocolError
from perdure_runner.host.output import Budget, Numbering

LINGERING_BYTES = 16 << 10
"""How much may wait for company; it is not counted as unacknowledged yet."""


MESSAGE_BYTES = 4 << 20
"""Where a message that is not one large record ends."""


class Outbox:
    """Collects what one read of the socket brings and sends it as one `Records`.

    Lines of output beyond the budget are dropped; one line that says how many takes their place.
    `clock` gives seconds and only goes forward.
    """

    def __init__(
        self,
        session_id: str,
        epoch: int,
        limits: HostLimits,
        send: Callable[[runner.FromHost], None],
        clock: Callable[[], float],
    ) -> None:
        self._identity = (session_id, epoch)
        self._limits = limits
        self._send = send
        self._clock = clock
        self._numbers = Numbering()
        self._budget = Budget(limits.log_bytes_per_s, limits.log_burst_bytes, limits.log_bytes_total, clock())
        self._dropped = 0
        self._last_dropped: dict[str, Any] = {}
        self._message, self._records = self._fresh()
        self._last = 0  # the coordinator's number of the last record
        self._unacknowledged: deque[tuple[int, int]] = deque()  # (the coordinator's number, bytes)
        self._uncounted = 0
        self.unacknowledged_bytes = 0

    def record(self, header: Header, payload: bytes) -> None:
        """Add a `rec` frame."""
        self._say_dropped()
        self._take(header)
        self._last = self._numbers.next()
        convert.add_record(self._records, self._last, header, payload)
        if header.get("sync"):
            self._records.sync = True

    def log(self, header: Header) -> None:
        """Add a `log` frame, or drop it."""
        line = convert.log_line(header)
        if not self._budget.take(len(line.get("text", "")) + 64, self._clock()):
            self._take(header)
            self._dropped += 1
            self._last_dropped = line
            return
        self._say_dropped()
        self._take(header)
        self._add_line(line)

    def number(self, header: Header) -> int:
        """Give the coordinator's number for a record that travels as a message of its own, after all others."""
        self._say_dropped()
        self._take(header)
        self.flush()
        return self._numbers.next()

    @property
    def urgent(self) -> bool:
        """Somebody waits for the commit of what was collected, or it is much."""
        return self._records.sync or self._uncounted > LINGERING_BYTES

    def received(self, size: int) -> None:
        """Count bytes that were read; they weigh on the runner once the records in them are whole and sent."""
        self._uncounted += size

    def weigh_last(self) -> None:
        """Count the record that was added last by the bytes that are passed on: it came in fewer, maybe far fewer."""
        self.received(self._records.records[-1].ByteSize())
        if self._uncounted > MESSAGE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what was collected."""
        if self._records.records:
            self._unacknowledged.append((self._last, self._uncounted))
            self.unacknowledged_bytes += self._uncounted
            self._uncounted = 0
            message = self._message
            self._message, self._records = self._fresh()
            self._send(message)

    def committed(self, number: int) -> int:
        """Take the coordinator's acknowledgement and give the runner's number for it."""
        while self._unacknowledged and self._unacknowledged[0][0] <= number:
            self.unacknowledged_bytes -= self._unacknowledged.popleft()[1]
        return self._numbers.acknowledged(number)

    def _take(self, header: Header) -> None:
        if not self._numbers.take(header.get("no")):
            raise ProtocolError(f"record {header.get('no')!r:.40} came after {self._numbers.taken}")

    def _say_dropped(self) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            limits = f"{self._limits.log_bytes_per_s} bytes a second, {self._limits.log_bytes_total} in all"
            notice = f"{count} lines dropped (more output than the host passes on: {limits})"
            self._add_line(self._last_dropped | {"stream": journal.STREAM_STDERR, "text": notice})

    def _add_line(self, line: dict[str, Any]) -> None:
        self._last = self._numbers.next()
        convert.add_line(self._records, self._last, line)

    def _fresh(self) -> tuple[runner.FromHost, runner.Records]:
        message = runner.FromHost()
        records = message.records
        records.session_id, records.epoch = self._identity
        return message, records
