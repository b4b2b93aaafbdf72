"""How a contestant is asked: a line with the name of a question comes in, a line of JSON with its figures goes out.

The standard library only, because every contestant runs in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping

Figures = dict[str, float]


def answer(questions: Mapping[str, Callable[[], Figures]]) -> None:
    """Answer until nobody asks any more. What a library prints meanwhile goes to stderr."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(questions[line.strip()]()), file=out, flush=True)


def cpu(work: Callable[[], object], units: int) -> Figures:
    """CPU and wall time for one of the work's units, and how many there are; CPU of all threads of this process."""
    began, cpu_began = time.perf_counter(), time.process_time()
    work()
    used, passed = time.process_time() - cpu_began, time.perf_counter() - began
    return {"cpu": used / units, "wall": passed / units, "units": units}


def each_call(call: Callable[[int], object], count: int) -> Figures:
    """What a call costs whoever makes it: CPU of the calling thread, and the wall time of the median and of p99."""
    clock, walls = time.perf_counter_ns, []
    for number in range(count):
        began = clock()
        call(number)
        walls.append(clock() - began)
    walls.sort()
    cpu_began = time.thread_time()
    for number in range(count, 2 * count):
        call(number)
    used = (time.thread_time() - cpu_began) / count
    return {"cpu": used, "p50": walls[count // 2] / 1e9, "p99": walls[count * 99 // 100] / 1e9}
