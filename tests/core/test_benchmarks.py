"""What ``make bench`` is made of works, on a small scale and without MLflow: the figures are not looked at."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ratoon.tracking.client import Client

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_ratoon_and_the_limit_find_the_same_runs(tmp_path: Path) -> None:
    from interleaved import Contestant

    found = []
    for script in ("search_ratoon.py", "search_sqlite3.py"):
        with Contestant(sys.executable, script, tmp_path / script, 300) as contestant:
            contestant.ask("populate")
            found.append(round(contestant.ask("search")["found"], 6))
    assert found[0] == found[1] > 50


def test_what_search_finds_is_what_the_client_reads(tmp_path: Path) -> None:
    from interleaved import Contestant

    with Contestant(sys.executable, "search_ratoon.py", tmp_path / "runs", 20) as contestant:
        contestant.ask("populate")
    client = Client(tracking_uri=f"sqlite:///{tmp_path}/runs/ratoon.db")
    experiment = client.experiment("many")
    newest, *others = client.tracking.search_runs([experiment.experiment_id]).items
    client.close()
    assert len(others) == 19
    assert (len(newest.metrics), len(newest.params), newest.tags["mlflow.runName"]) == (10, 10, "run-19")


def test_a_contestant_that_fails_ends_the_benchmark_with_what_it_said(tmp_path: Path) -> None:
    from interleaved import Contestant

    with Contestant(sys.executable, "search_ratoon.py", tmp_path / "runs", 20) as contestant:
        with pytest.raises(SystemExit, match=r"search_ratoon.py did not answer 'nonsense':(.|\n)*KeyError"):
            contestant.ask("nonsense")


@pytest.mark.parametrize("name", ["ours", "limit"])
def test_a_server_is_asked_over_several_connections(tmp_path: Path, name: str) -> None:
    from load import exchange, post
    from servers import API, Server, commands

    with Server(commands("python", "empty_server.py")[name], tmp_path / name) as server:
        run_id = server.post("/runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]
        before = server.cpu()
        points = [{"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": 1, "step": step} for step in range(40)]
        exchange(server.port, [post(server.port, f"{API}/runs/log-metric", point) for point in points], 4)
        assert server.cpu() > before
        query = f"run_id={run_id}&metric_key=loss&max_results=40"
        answer = json.loads(server.request("GET", f"{API}/metrics/get-history?{query}"))
        assert [each["step"] for each in answer["metrics"]] == list(range(40))
        with pytest.raises(SystemExit, match="was answered with"):
            exchange(server.port, [b"nonsense\r\n\r\n"])


def test_a_file_passes_through_a_server(tmp_path: Path) -> None:
    from artifacts import passed
    from servers import Server, commands

    for name, command in commands("python", "copying_server.py").items():
        if name != "mlflow":
            with Server(command, tmp_path / name) as server:
                figures = passed(server, "a.bin", bytes(range(256)) * 10_000)
            assert figures["up wall"] > 0 and figures["down wall"] > 0


def test_a_row_shows_the_ratio_and_the_distance(capsys: pytest.CaptureFixture[str]) -> None:
    from interleaved import Row, print_rows

    rows = [
        Row("fast", 0.5, 0.001, 0.0005),
        Row("rate", 0.01, 1e-5, None, "seconds each, as a rate"),
        Row("none", None, 2e6, None, "bytes"),
    ]
    print_rows("Title", rows)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines[1] == ["fast", "500.00", "ms", "1.00", "ms", "500×", "500.00", "µs", "2.0×"]
    assert lines[2] == ["rate", "100", "/s", "100,000", "/s", "1,000×", "–", "–"]
    assert lines[3] == ["none", "–", "2", "MB", "–", "–", "–"]
