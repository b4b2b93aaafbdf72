from __future__ import annotations

import logging
import sys
import time

import pytest

from ratoon.entities import RunStatus
from ratoon.errors import InvalidInput, MissingExtra, NotFound
from ratoon.tracking.client import Client

NAMES = {
    "system/cpu_utilization_percentage",
    "system/disk_available_megabytes",
    "system/disk_usage_megabytes",
    "system/disk_usage_percentage",
    "system/network_receive_megabytes",
    "system/network_transmit_megabytes",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
}
ONE = "system/cpu_utilization_percentage"


def test_samples_are_taken_until_the_run_ends(client: Client) -> None:
    with client.start_run() as run:
        run.log_system_metrics(0.02)
        run.log_system_metrics(0.02)  # once is enough
        time.sleep(0.3)
    found = client.tracking.get_run(run.run_id)
    assert (found.status, set(found.metrics)) == (RunStatus.FINISHED, NAMES)
    steps = list(client.tracking.metric_history(run.run_id, ONE).steps)
    assert steps == list(range(len(steps))) and len(steps) >= 3
    assert 0 < found.metrics["system/system_memory_usage_percentage"].value <= 100
    time.sleep(0.1)
    assert len(client.tracking.metric_history(run.run_id, ONE)) == len(steps)


def test_a_run_that_goes_on_counts_on(client: Client) -> None:
    run_id = ""
    for _ in range(2):
        with client.start_run(run_id=run_id or None) as run:
            run_id = run.run_id
            run.log_system_metrics(0.02)
            time.sleep(0.15)
    steps = list(client.tracking.metric_history(run_id, ONE).steps)
    assert steps == list(range(len(steps)))


def test_an_interval_must_be_positive(client: Client) -> None:
    with client.start_run() as run:
        for interval in (0, -1.0, float("nan")):
            with pytest.raises(InvalidInput, match="interval .* is not positive; give seconds"):
                run.log_system_metrics(interval)


def test_without_psutil_there_is_a_way_out(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with client.start_run() as run, pytest.raises(MissingExtra, match=r"pip install 'ratoon\[system\]'"):
        run.log_system_metrics()


def test_what_a_graphics_processor_tells_is_recorded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvidia)
    with client.start_run() as run:
        run.log_system_metrics(0.02)
        time.sleep(0.1)
    found = client.tracking.get_run(run.run_id).metrics
    assert {key.removeprefix("system/"): metric.value for key, metric in found.items() if "gpu" in key} == {
        "gpu_0_memory_usage_megabytes": 2.0,
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_utilization_percentage": 80.0,
    }


def test_a_sample_that_cannot_be_recorded_is_the_last(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with client.start_run() as run, caplog.at_level(logging.WARNING):

        def refuse(*_: object) -> None:
            raise NotFound("gone")

        monkeypatch.setattr(run, "log_metrics", refuse)
        run.log_system_metrics(0.01)
        time.sleep(0.1)
    assert [record.getMessage() for record in caplog.records] == [
        f"run {run.run_id}: its system metrics end here (gone)"
    ]


class Nvidia:
    """What nvidia-ml-py answers about a machine with one card that does not tell its power."""

    class NVMLError(Exception):
        pass

    class Memory:
        used, total = 2_000_000, 8_000_000

    class Rates:
        gpu = 80

    nvmlInit = staticmethod(lambda: None)
    nvmlDeviceGetCount = staticmethod(lambda: 1)
    nvmlDeviceGetHandleByIndex = staticmethod(lambda number: number)
    nvmlDeviceGetMemoryInfo = staticmethod(lambda device: Nvidia.Memory)
    nvmlDeviceGetUtilizationRates = staticmethod(lambda device: Nvidia.Rates)

    @staticmethod
    def nvmlDeviceGetPowerUsage(device: int) -> int:
        raise Nvidia.NVMLError("not supported")
