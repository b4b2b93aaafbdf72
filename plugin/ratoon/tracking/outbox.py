"""What is on its way to a server: sent at once, or kept in the spool and sent when the server is back.

While anything waits, whatever comes after it waits, too: the order stays.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import msgspec
from msgspec import Struct

from ratoon.artifacts.protocol import ArtifactStore
from ratoon.errors import AlreadyExists, Conflict, Corrupt, InvalidInput, NotFound, RatoonError, StoreUnavailable
from ratoon.settings import SPOOL_LIMIT, without_password
from ratoon.stores.protocol import TrackingStore
from ratoon.tracking.records import FileLogged, Record, Repeater
from ratoon.tracking.spool import Spool

T = TypeVar("T")

# How long the server is left alone between two attempts, at first and at most.
REST_SECONDS = (1.0, 15.0)

# The server will never take these: whatever comes behind them must not wait for ever.
FINAL = (InvalidInput, NotFound, AlreadyExists, Conflict, Corrupt)

logger = logging.getLogger(__name__)


@runtime_checkable
class RemoteStore(Protocol):
    """What a tracking store adds that may be away."""

    @property
    def address(self) -> str:
        """Where it is, without credentials."""

    def takes_ids(self) -> bool:
        """Whether it takes runs and models under ids that were made here."""

    def reachable(self) -> bool:
        """Whether it answers just now, asked once and not for long."""


class RemoteTracking(RemoteStore, TrackingStore, Protocol):
    """A tracking store that may be away."""


class Sent(Struct, frozen=True):
    """What an attempt to send came to."""

    sent: int = 0
    refused: int = 0
    complete: bool = True


class _Server(Struct, frozen=True):
    uri: str
    takes_ids: bool


class Outbox:
    """The way of writes to one server.

    Args:
        folder: Where the spool is.
        tracking: The store that runs go to.
        open_artifacts: Opens the store that files go to; called when one waits.
        limit: How many bytes the spool may take.
    """

    def __init__(
        self,
        folder: Path,
        tracking: RemoteTracking,
        open_artifacts: Callable[[], ArtifactStore],
        limit: int = SPOOL_LIMIT,
    ) -> None:
        self.tracking = tracking
        self.spool = Spool(folder, tracking.address, limit)
        self._open_artifacts = open_artifacts
        self._note = self.spool.path.with_suffix(".server")
        self._owner = os.getpid()
        self._remembered: bool | None = None
        self._begin()
        if self.spool.pending:  # of a process before this one
            self._send_later(rest=0.0)

    def write(self, record: Record, send: Callable[[], T]) -> T | None:
        """Send now, or keep the record if the server is away or something waits before it; then the answer is None."""
        if not self.spool.pending:
            try:
                return send()
            except StoreUnavailable as error:
                logger.warning("%s; what is logged is kept in %s until it is back", error, self.spool.path)
        self.keep(record)
        return None

    def keep(self, *records: Record) -> None:
        """Keep records for when the server is back."""
        self.spool.append(records)
        self._send_later()

    def settle(self) -> bool:
        """Try to send what waits, if the server answers at all; whether nothing waits any more."""
        if self.spool.pending and self.tracking.reachable():
            try:
                self.send()
            except RatoonError as error:
                logger.debug("the spool could not be sent yet: %s", error)
        return not self.spool.pending

    def send(self) -> Sent:
        """Send what waits, in order, unless somebody else is just doing it.

        Raises:
            StoreUnavailable: The server is still away, or went away again; what was sent is not sent again.
        """
        sent = refused = 0
        with self.spool.sending() as mine:
            if not mine:
                return Sent(complete=False)
            repeater = Repeater(self.tracking, self._open_artifacts(), self.spool.files)
            while True:
                for record, offset in self.spool.waiting():
                    refused += self._repeat(repeater, record)
                    self.spool.sent(offset)
                    if isinstance(record, FileLogged):
                        self.spool.drop_file(record.content)
                    sent += 1
                if self.spool.close_if_sent():
                    break
        if sent:
            logger.info("sent what was kept for %s: %s records, %s refused", self.tracking.address, sent, refused)
        return Sent(sent, refused)

    def takes_ids(self) -> bool:
        """Whether the server takes ids that were made here; as it was when it last answered, if it is away."""
        try:
            return self.remember()
        except StoreUnavailable:
            try:
                return msgspec.json.decode(self._note.read_bytes(), type=_Server).takes_ids
            except (OSError, msgspec.DecodeError):
                return False

    def remember(self) -> bool:
        """Note, for an outage, what kind of server answers."""
        takes_ids = self.tracking.takes_ids()
        if self._remembered != takes_ids:
            self._remembered = takes_ids
            try:
                self._note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                draft = self._note.with_suffix(f".{os.getpid()}.new")
                draft.write_bytes(msgspec.json.encode(_Server(without_password(self.tracking.address), takes_ids)))
                os.replace(draft, self._note)
            except OSError as error:  # it only matters in an outage
                logger.debug("%s could not be written: %s", self._note, error)
        return takes_ids

    def _repeat(self, repeater: Repeater, record: Record) -> int:
        try:
            repeater.repeat(record)
        except FINAL as error:
            self.spool.refuse(record)
            logger.error("%s was refused and is now in %s: %s", _described(record), self.spool.refused, error)
            return 1
        return 0

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def _send_later(self, rest: float = REST_SECONDS[0]) -> None:
        if self._owner != os.getpid():  # the thread stayed in the parent of a fork
            self._owner = os.getpid()
            self._begin()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._keep_trying, args=(rest,), name="ratoon-spool", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is on its way out; the next process sends
                    self._thread = None

    def _keep_trying(self, rest: float) -> None:
        pause = threading.Event()
        while True:
            pause.wait(rest)
            try:
                self.settle()
            except Exception:  # a bug must not end every later attempt
                logger.exception("sending %s failed", self.spool.path)
            with self._lock:
                if not self.spool.pending:
                    self._thread = None
                    return
            rest = min(max(2 * rest, REST_SECONDS[0]), REST_SECONDS[1])


def _described(record: Record) -> str:
    run_id = getattr(record, "run_id", None) or getattr(getattr(record, "batch", None), "run_id", None)
    kind = type(record).__struct_config__.tag
    return f"a record '{kind}'" + (f" of run '{run_id}'" if run_id else "")
