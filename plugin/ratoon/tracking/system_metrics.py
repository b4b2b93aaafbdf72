"""How busy the machine is while a run goes on: sampled in the background, under the names that MLflow gave them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput, MissingExtra, RatoonError

if TYPE_CHECKING:
    from ratoon.tracking.run import ActiveRun

PREFIX = "system/"
MEGABYTE = 1e6

Sample = dict[str, float]

logger = logging.getLogger(__name__)


class SystemMetrics:
    """A thread that records samples of one run until it is stopped.

    Args:
        run: Where they go; a run that was sampled before goes on with the next step.
        interval: Seconds from one sample to the next.

    Raises:
        InvalidInput: The interval is no positive number.
        MissingExtra: psutil is not installed.
    """

    def __init__(self, run: ActiveRun, interval: float) -> None:
        if not interval > 0:
            raise InvalidInput(f"interval {interval!r} between system metrics is not positive; give seconds")
        self._run = run
        self._interval = interval
        self._sources = [_machine(), *_nvidia()]
        steps = [metric.step for key, metric in run.info.metrics.items() if key.startswith(PREFIX)]
        self._step = max(steps, default=-1) + 1
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="ratoon-system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when no further sample will be recorded."""
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        # The use of a processor is counted from one look to the next: the first look has nothing to say yet.
        while not self._stopped.wait(self._interval):
            try:
                found = {PREFIX + name: value for source in self._sources for name, value in source().items()}
                self._run.log_metrics(found, self._step)
            except (RatoonError, OSError) as error:
                logger.warning("run %s: its system metrics end here (%s)", self._run.run_id, error)
                return
            self._step += 1


def _machine() -> Callable[[], Sample]:
    """Processor, memory, disk and network; what went over the network is counted from now on."""
    try:
        import psutil
    except ImportError as error:
        raise MissingExtra("the sampling of system metrics", "system", "psutil") from error
    psutil.cpu_percent()
    began = psutil.net_io_counters()

    def sample() -> Sample:
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(os.sep)
        found = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": memory.used / memory.total * 100,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / MEGABYTE,
            "disk_available_megabytes": disk.free / MEGABYTE,
        }
        network = psutil.net_io_counters()
        if network and began:  # a machine without a network has none
            found["network_receive_megabytes"] = (network.bytes_recv - began.bytes_recv) / MEGABYTE
            found["network_transmit_megabytes"] = (network.bytes_sent - began.bytes_sent) / MEGABYTE
        return found

    return sample


def _nvidia() -> Iterator[Callable[[], Sample]]:
    """One source for each graphics processor, if nvidia-ml-py is installed and finds some."""
    try:
        import pynvml
    except ImportError:
        return
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            yield _graphics(pynvml, number)


def _graphics(pynvml: Any, number: int) -> Callable[[], Sample]:
    device = pynvml.nvmlDeviceGetHandleByIndex(number)

    def sample() -> Sample:
        found: Sample = {}
        # Not every card tells everything: each question is asked on its own.
        with suppress(pynvml.NVMLError):
            memory = pynvml.nvmlDeviceGetMemoryInfo(device)
            found["memory_usage_megabytes"] = memory.used / MEGABYTE
            found["memory_usage_percentage"] = memory.used / memory.total * 100
        with suppress(pynvml.NVMLError):
            found["utilization_percentage"] = pynvml.nvmlDeviceGetUtilizationRates(device).gpu
        with suppress(pynvml.NVMLError):
            power = pynvml.nvmlDeviceGetPowerUsage(device)
            found["power_usage_watts"] = power / 1000
            found["power_usage_percentage"] = power / pynvml.nvmlDeviceGetEnforcedPowerLimit(device) * 100
        return {f"gpu_{number}_{name}": value for name, value in found.items()}

    return sample
