"""What ``metadata: {ratoon: …}`` in the catalog may say, and what is said of mistakes in it."""

from __future__ import annotations

import pytest
from kedro.io import CachedDataset, MemoryDataset

from ratoon_kedro.options.dataset_options import DatasetOptions, options_of


def test_the_options_of_a_dataset_are_checked_and_what_is_wrong_is_said(caplog: pytest.LogCaptureFixture) -> None:
    stored = MemoryDataset(1, metadata={"ratoon": {"artefact": True, "digest": "full", "log": False, "name": "n"}})
    assert options_of(stored, "table") == DatasetOptions(log=False, name="n")
    assert [record.message for record in caplog.records] == [
        "option 'artefact' of dataset 'table' is unknown; did you mean 'artifact'?",
        "option 'digest' of dataset 'table' is 'full'; give cheap or content",
    ]
    assert options_of(MemoryDataset(1), "table") == options_of(None, "table") == DatasetOptions()
    inner = CachedDataset(
        MemoryDataset(1, metadata={"ratoon": {"model": False}}), metadata={"ratoon": {"metrics": True}}
    )
    assert options_of(inner, "table") == DatasetOptions(model=False, metrics=True)


@pytest.mark.parametrize("given", ["yes", ["artifact"], 3])
def test_options_that_are_no_mapping_are_left_out(given: object, caplog: pytest.LogCaptureFixture) -> None:
    assert options_of(MemoryDataset(1, metadata={"ratoon": given}), "table") == DatasetOptions()
    assert [record.message for record in caplog.records] == [
        f"option 'ratoon' of dataset 'table' is {given!r};"
        " give a mapping with log, artifact, metrics, model, digest, name",
    ]
