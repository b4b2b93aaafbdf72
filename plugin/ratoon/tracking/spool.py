"""A local file that keeps what a server could not take, until it can.

::

    <name>.spool       a mark of 24 bytes, then records: length and CRC-32, four bytes each, the value in MessagePack
    <name>.state       which file it belongs to, and up to where it was sent
    <name>.files/      contents of files that wait
    <name>.refused     records that the server refused for good, in the same form
    <name>.lock        held by whoever appends; <name>.sending by whoever sends

The name is made of the server's URI, so that processes that work with one server share one spool. A record counts once
it is on the disk; one that a crash tore is dropped. Records are sent in order, and the file goes when all of them are.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from ratoon.disk import sync_folder
from ratoon.errors import StoreError
from ratoon.settings import SPOOL_LIMIT
from ratoon.tracking.records import BatchLogged, FileLogged, InputsLogged, OutputsLogged, Record, decode, encode

MAGIC = b"ratoon1\n"
MARK = len(MAGIC) + 16
FRAME = struct.Struct("<II")
# A larger length is damage: no batch comes near it.
MOST_BYTES = 2**30
# So much of the disk is left to others, and first of all to the training itself.
LEFT_FREE = 2**29
# What a full spool does not take. That a run or a model began or ended is small, and without it the rest is worthless.
_LARGE = (BatchLogged, InputsLogged, OutputsLogged, FileLogged)

logger = logging.getLogger(__name__)


class State(Struct, frozen=True):
    """Up to where the spool with this mark was sent."""

    mark: str
    offset: int


class Spool:
    """The spool of one server in one folder, shared by processes.

    Args:
        folder: Made on use, readable by its owner only.
        uri: The server's URI without credentials.
        limit: How many bytes records and contents of files may take together.
    """

    def __init__(self, folder: Path, uri: str, limit: int = SPOOL_LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._has_warned = False
        name = hashlib.sha256(uri.encode()).hexdigest()[:16]
        self.path = folder / f"{name}.spool"
        self.files = folder / f"{name}.files"
        self.refused = folder / f"{name}.refused"
        self._state = folder / f"{name}.state"
        self._end: tuple[int, int] | None = None  # inode and size after our last append: no need to look through it

    @property
    def pending(self) -> bool:
        """Whether anything waits to be sent."""
        return self.path.exists()

    def append(self, records: Sequence[Record]) -> None:
        """Keep records; they are on the disk when this returns.

        Raises:
            StoreError: The disk does not take them, or the spool is full; then none of them is kept.
        """
        frames = b"".join(map(_framed, records))
        if any(isinstance(record, _LARGE) for record in records):
            self._check_room(len(frames))
        with self._explained(), self._locked("lock"):
            with _opened(self.path) as file:
                fresh = os.fstat(file.fileno()).st_size == 0
                end = self._sound_end(file)
                file.truncate(end)
                file.seek(end)
                file.write((MAGIC + os.urandom(16) if end == 0 else b"") + frames)
                _to_disk(file)
                found = os.fstat(file.fileno())
                self._end = (found.st_ino, found.st_size)
            if fresh:
                sync_folder(self._folder)

    def keep_file(self, stream: BinaryIO) -> str:
        """Keep a content; its name in :attr:`files`."""
        name, room, size = os.urandom(16).hex(), self._check_room(1), 0
        with self._explained():
            self._make(self.files)
            try:
                with _opened(self.files / name) as file:
                    while chunk := stream.read(1024 * 1024):
                        size += len(chunk)
                        if size > room:
                            raise self._full()
                        file.write(chunk)
                    _to_disk(file)
            except BaseException:
                self.drop_file(name)
                raise
            sync_folder(self.files)
        return name

    def drop_file(self, name: str) -> None:
        """Forget a content that was sent."""
        (self.files / name).unlink(missing_ok=True)

    def refuse(self, record: Record) -> None:
        """Put a record aside that the server refused for good."""
        with self._explained(), _opened(self.refused) as file:
            file.seek(0, os.SEEK_END)
            file.write(_framed(record))
            _to_disk(file)

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Be the only one that sends; False where somebody else is."""
        with self._explained(), self._locked("sending", wait=False) as mine:
            yield mine

    def waiting(self) -> Iterator[tuple[Record, int]]:
        """The records that were not sent, each with the offset behind it: what :meth:`sent` wants to know."""
        try:
            file = open(self.path, "rb")
        except FileNotFoundError:
            return
        with file:
            mark = file.read(MARK)
            file.seek(self._offset(mark))
            yield from _records(file)

    def sent(self, offset: int) -> None:
        """Remember that everything up to an offset was sent."""
        with open(self.path, "rb") as file:
            mark = file.read(MARK)
        draft = self._state.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(State(mark.hex(), offset)))
        os.replace(draft, self._state)

    def close_if_sent(self) -> bool:
        """Remove the spool if nothing in it waits any more."""
        with self._explained(), self._locked("lock"):
            if any(True for _ in self.waiting()):
                return False
            if self.pending:
                with _opened(self.path) as file:
                    self._end = None
                    self._sound_end(file)  # what is damaged is put aside
            # The state goes last: without it everything would be sent again.
            self.path.unlink(missing_ok=True)
            self._state.unlink(missing_ok=True)
            return True

    def _check_room(self, size: int) -> int:
        """How many bytes may still be kept; StoreError if there are fewer than ``size``."""
        with self._explained():
            self._make(self._folder)
            kept = sum(_size_of(path) for path in (self.path, *self.files.glob("*")))
            room = min(self._limit - kept, shutil.disk_usage(self._folder).free - LEFT_FREE)
        self._has_warned = self._has_warned and kept > 0
        if size > room:
            raise self._full()
        return room

    def _full(self) -> StoreError:
        error = StoreError(
            f"spool '{self.path}' is full (it may take {self._limit} bytes and leaves {LEFT_FREE} of the disk free);"
            " bring the server back, or raise the setting spool_limit"
        )
        if not self._has_warned:
            self._has_warned = True
            logger.warning("%s; metrics, params and tags stay in memory until then, files are refused", error)
        return error

    def _offset(self, mark: bytes) -> int:
        try:
            state = msgspec.json.decode(self._state.read_bytes(), type=State)
        except (FileNotFoundError, msgspec.DecodeError):
            return MARK
        return state.offset if state.mark == mark.hex() else MARK

    def _sound_end(self, file: BinaryIO) -> int:
        """Where the last whole record ends."""
        found = os.fstat(file.fileno())
        if self._end == (found.st_ino, found.st_size):
            return found.st_size
        end = 0
        if file.read(MARK)[: len(MAGIC)] == MAGIC and found.st_size >= MARK:
            end = max([MARK, *(behind for _, behind in _frames(file))])
        if end < found.st_size:
            self._put_aside(file, end, found.st_size)
        return end

    def _put_aside(self, file: BinaryIO, begin: int, end: int) -> None:
        """Keep what cannot be read: most often the record that a crash tore."""
        aside = self.path.with_suffix(".damaged")
        file.seek(begin)
        with _opened(aside) as target:
            target.seek(0, os.SEEK_END)
            target.write(file.read())
        logger.warning("the last %s bytes of %s could not be read; they are in %s", end - begin, self.path, aside)

    @contextmanager
    def _locked(self, kind: str, *, wait: bool = True) -> Iterator[bool]:
        self._make(self._folder)
        with _opened(self.path.with_suffix(f".{kind}")) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"spool '{self.path}' cannot be used ({error.strerror or error}); check its owner and the free space"
            ) from error


def _framed(record: Record) -> bytes:
    content = encode(record)
    return FRAME.pack(len(content), zlib.crc32(content)) + content


def _frames(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each whole frame from here on, with the offset behind it; the first that is not whole ends it."""
    end = file.tell()
    while len(head := file.read(FRAME.size)) == FRAME.size:
        length, checksum = FRAME.unpack(head)
        content = file.read(length) if length <= MOST_BYTES else b""
        if len(content) != length or zlib.crc32(content) != checksum:
            return
        end += FRAME.size + length
        yield content, end


def _records(file: BinaryIO) -> Iterator[tuple[Record, int]]:
    for content, end in _frames(file):
        yield decode(content), end


def _opened(path: Path) -> BinaryIO:
    """A file that only its owner reads, made if it is not there."""
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")


def _size_of(path: Path) -> int:
    """The size of a file in bytes; 0 if another process has sent and removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
