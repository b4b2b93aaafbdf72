"""Requests that come at the same time, answered together: one thread and one commit for all of them.

The first one is answered at once. Those that come meanwhile wait, and are the next group: the more there is to do, the
less each of them costs. Nobody is told of a result before everything that belongs to it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Q = TypeVar("Q")
R = TypeVar("R")

# Keeps a transaction short, which others wait for.
LARGEST_GROUP = 64


class Group(Generic[Q, R]):
    """Those who wait for their common answer, all of them on one event loop.

    Args:
        answer: What answers a group in a thread: a result, or an error, for each of its questions.
    """

    def __init__(self, answer: Callable[[Sequence[Q]], Sequence[R | Exception]]) -> None:
        self._answer = answer
        self._waiting: deque[tuple[Q, asyncio.Future[R | Exception]]] = deque()
        self._is_busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ratoon-group")

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    async def ask(self, question: Q) -> R:
        """The answer to a question; its own error, if it has one."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R | Exception] = loop.create_future()
        self._waiting.append((question, future))
        if not self._is_busy:
            self._is_busy = True
            # Not at once: what the loop has received already may come along.
            loop.call_soon(self._start, loop)
        outcome = await future
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the thread those who wait, without those who went away."""
        questions: list[Q] = []
        futures: list[asyncio.Future[R | Exception]] = []
        while self._waiting and len(questions) < LARGEST_GROUP:
            question, future = self._waiting.popleft()
            if not future.done():
                questions.append(question)
                futures.append(future)
        self._is_busy = bool(questions)
        if questions:
            self._thread.submit(self._work, loop, questions, futures)

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        questions: Sequence[Q],
        futures: Sequence[asyncio.Future[R | Exception]],
    ) -> None:
        outcomes: Sequence[R | Exception]
        try:
            outcomes = self._answer(questions)
        except Exception as error:
            outcomes = [error] * len(questions)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._deliver, loop, futures, outcomes)

    def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: Sequence[asyncio.Future[R | Exception]],
        outcomes: Sequence[R | Exception],
    ) -> None:
        for future, outcome in zip(futures, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
        self._start(loop)
