from __future__ import annotations

import io
import math
import multiprocessing
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from ratoon.entities import Metric, RunBatch, RunStatus
from ratoon.errors import StoreError
from ratoon.testing.values import at_once, dataset_input, refused, run_of
from ratoon.tracking.records import BatchLogged, FileLogged, InputsLogged, Record, RunStarted, RunUpdated
from ratoon.tracking.spool import Spool

URI = "http://127.0.0.1:5000"


def batch(step: int, run_id: str = "r") -> BatchLogged:
    return BatchLogged(batch=RunBatch(run_id=run_id, metrics=(Metric("m", 1.0, 0, step),)))


def waiting(spool: Spool) -> list[Record]:
    return [record for record, _ in spool.waiting()]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", URI)


def test_records_come_back_equal_and_in_order(spool: Spool) -> None:
    records: Sequence[Record] = (
        RunStarted(run=run_of("1", params={"a": "b"}), experiment="wine"),
        BatchLogged(batch=RunBatch(run_id="r", metrics=(Metric("m", math.inf, -(2**63), 2**63 - 1),), tags={"a": "ä"})),
        InputsLogged(run_id="r", inputs=(dataset_input(),)),
        FileLogged(path="a/b", content="c"),
        RunUpdated(run_id="r", status=RunStatus.FINISHED, end_time=5),
    )
    assert not spool.pending and waiting(spool) == []
    spool.append(records[:2])
    spool.append(records[2:])
    assert spool.pending
    assert waiting(spool) == waiting(Spool(spool.path.parent, URI)) == list(records)
    spool.append([BatchLogged(batch=RunBatch(run_id="r", metrics=(Metric("m", math.nan, 0),)))])
    last = waiting(spool)[-1]
    assert isinstance(last, BatchLogged) and math.isnan(last.batch.metrics[0].value)


def test_servers_have_spools_of_their_own(spool: Spool) -> None:
    spool.append([batch(1)])
    assert not Spool(spool.path.parent, "http://127.0.0.1:5001").pending


def test_only_its_owner_reads_it(spool: Spool) -> None:
    spool.append([batch(1)])
    spool.keep_file(io.BytesIO(b"x"))
    spool.refuse(batch(1))
    found = [path for path in spool.path.parent.rglob("*") if path.is_file()]
    assert len(found) >= 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700


def test_what_was_sent_does_not_wait_any_more(spool: Spool) -> None:
    spool.append([batch(number) for number in range(5)])
    offsets = [offset for _, offset in spool.waiting()]
    spool.sent(offsets[2])
    assert waiting(Spool(spool.path.parent, URI)) == [batch(3), batch(4)]
    assert not spool.close_if_sent()
    spool.sent(offsets[4])
    assert spool.close_if_sent()
    assert not spool.pending
    spool.append([batch(9)])  # the state of the file before it means nothing to this one
    assert waiting(spool) == [batch(9)]


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_record_that_a_crash_tore_is_dropped_and_those_before_and_after_are_not(spool: Spool, kept: int) -> None:
    spool.append([batch(1), batch(2)])
    offsets = [offset for _, offset in spool.waiting()]
    os.truncate(spool.path, min(offsets[0] + kept, offsets[1] - 1))
    assert waiting(spool) == [batch(1)]
    for step in (3, 4):
        Spool(spool.path.parent, URI).append([batch(step)])
    assert waiting(spool) == [batch(1), batch(3), batch(4)]


def test_what_is_damaged_is_put_aside_and_not_deleted(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    spool.append([batch(number) for number in range(3)])
    content = bytearray(spool.path.read_bytes())
    first, second, _ = (offset for _, offset in spool.waiting())
    content[second - 1] ^= 1
    spool.path.write_bytes(content)
    assert waiting(spool) == [batch(0)]
    spool.sent(first)
    assert spool.close_if_sent()
    assert "could not be read" in caplog.text
    assert spool.path.with_suffix(".damaged").read_bytes() == content[first:]


@pytest.mark.parametrize("size", [0, 5, 24])
def test_a_file_that_a_crash_left_without_a_record_is_no_obstacle(spool: Spool, size: int) -> None:
    spool.append([batch(1)])
    os.truncate(spool.path, size)
    assert waiting(spool) == []
    spool.append([batch(2)])
    assert waiting(spool) == [batch(2)]


def test_many_threads_append_and_nothing_is_lost(spool: Spool) -> None:
    def append(thread: int) -> None:
        for step in range(20):
            spool.append([batch(step, f"run-{thread}")])

    assert refused(at_once(append, 8)) == []
    assert len(waiting(spool)) == 160
    for thread in range(8):
        mine = [r for r in waiting(spool) if isinstance(r, BatchLogged) and r.batch.run_id == f"run-{thread}"]
        assert mine == [batch(step, f"run-{thread}") for step in range(20)]


def _append(folder: Path, name: str) -> None:
    spool = Spool(folder, URI)
    for step in range(30):
        spool.append([batch(step, name)])


def test_many_processes_append_while_one_sends_and_everything_is_sent_once(spool: Spool) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(spool.path.parent, f"run-{n}")) for n in range(3)]
    for process in processes:
        process.start()
    seen: list[Record] = []
    while any(process.is_alive() for process in processes) or spool.pending:
        for record, offset in spool.waiting():
            seen.append(record)
            spool.sent(offset)
        if spool.pending:
            spool.close_if_sent()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    for name in ("run-0", "run-1", "run-2"):
        mine = [record for record in seen if isinstance(record, BatchLogged) and record.batch.run_id == name]
        assert mine == [batch(step, name) for step in range(30)]


def test_one_sends_at_a_time(spool: Spool) -> None:
    with spool.sending() as mine, Spool(spool.path.parent, URI).sending() as other:
        assert (mine, other) == (True, False)
    with Spool(spool.path.parent, URI).sending() as mine:
        assert mine


def test_a_disk_that_takes_nothing_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="check its owner and the free space"):
        Spool(tmp_path / "spool", URI).append([batch(1)])


def test_a_full_spool_takes_no_batch_and_no_file_but_what_begins_and_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "spool", URI, limit=1000)
    kept = 0
    with pytest.raises(StoreError, match=r"is full \(it may take 1000 bytes .*raise the setting spool_limit"):
        for kept in range(100):
            spool.append([batch(kept)])
    assert 0 < kept < 100 and len(waiting(spool)) == kept
    for _ in range(2):
        with pytest.raises(StoreError, match="is full"):
            spool.append([RunUpdated(run_id="r", status=RunStatus.FINISHED), batch(kept)])
        with pytest.raises(StoreError, match="is full"):
            spool.keep_file(io.BytesIO(bytes(10_000)))
    assert [path for path in spool.files.glob("*")] == []
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    spool.append([RunUpdated(run_id="r", status=RunStatus.FINISHED)])
    assert len(waiting(spool)) == kept + 1


def test_contents_of_files_count_and_what_was_sent_makes_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path / "spool", URI, limit=1000)
    name = spool.keep_file(io.BytesIO(bytes(900)))
    assert (spool.files / name).stat().st_size == 900
    for _ in range(2):
        with pytest.raises(StoreError, match="is full"):
            spool.append([batch(1), batch(2), batch(3)])
    spool.drop_file(name)
    spool.append([batch(1), batch(2), batch(3)])
    spool.keep_file(io.BytesIO(bytes(300)))
    with pytest.raises(StoreError, match="is full"):
        spool.keep_file(io.BytesIO(bytes(900)))
    assert caplog.text.count("files are refused") == 2  # once for each time that it filled up


def test_the_disk_is_not_filled_to_its_brim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratoon.tracking.spool.LEFT_FREE", 2**62)
    with pytest.raises(StoreError, match="leaves .* of the disk free"):
        Spool(tmp_path / "spool", URI).append([batch(1)])
