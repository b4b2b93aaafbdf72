"""A progress bar for files that take long to send or to fetch.

Only people see one: it stands on a terminal's standard error, for transfers of the main thread, and is gone when they
are over, before an error is told. It is switched off by the setting ``progress``.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from ratoon.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# What is shown at once, in bytes; and after how many seconds anything else is.
LONG = 64 * 2**20
SLOW_SECONDS = 2.0


class Transfer:
    """Files on their way, counted together.

    Args:
        what: What a person would call them.
        total: How many bytes they have.
        settings: Whether to show anything.
    """

    def __init__(self, what: str, total: int, settings: Settings) -> None:
        self._what = what
        self._total = total
        self._is_watched = settings.progress and _somebody_looks()
        self._done = 0
        self._begin = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown[0].stop()

    def reading(self, stream: BinaryIO) -> BinaryIO:
        """A stream that counts what is read from it."""
        return cast(BinaryIO, _Counted(stream, self)) if self._is_watched else stream

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Chunks that are counted as they pass."""
        for chunk in chunks:
            self.advance(len(chunk))
            yield chunk

    def advance(self, count: int) -> None:
        """So many bytes more have passed; fewer, where a file is sent again."""
        self._done += count
        if not self._is_watched:
            return
        if self._shown is None:
            if self._total < LONG and time.monotonic() - self._begin < SLOW_SECONDS:
                return
            self._shown = self._show()
        bar, task = self._shown
        bar.update(task, completed=self._done)

    def _show(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        # Not redirected: what others print is theirs to print.
        bar = Progress(
            *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
        )
        bar.start()
        return bar, bar.add_task(escape(self._what), total=self._total)


class _Counted:
    """A stream that tells how much was read."""

    def __init__(self, stream: BinaryIO, transfer: Transfer) -> None:
        self._stream = stream
        self._transfer = transfer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._transfer.advance(len(content))
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        before = self._stream.tell()
        now = self._stream.seek(offset, whence)
        self._transfer.advance(now - before)
        return now


def _somebody_looks() -> bool:
    """Whether a person sees standard error: in another thread than the main one, bars would write over each other."""
    return (
        threading.current_thread() is threading.main_thread() and sys.stderr is not None and bool(sys.stderr.isatty())
    )
