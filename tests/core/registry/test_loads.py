"""The gate that tries a model out: in a process of its own, which a model may crash or block."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratoon.errors import Corrupt
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import ModelInfo
from ratoon.models.saving import save_model
from ratoon.models.signature import Signature
from ratoon.registry.examples import read_example, row_count
from ratoon.registry.promotion import promote
from ratoon.tracking.client import Client

from .conftest import Refused, Version, wine_policy

# What loading does is what unpickling calls; nothing of this module is there in the other process.
HANG = (time.sleep, (600,))
CRASH = (os.abort, ())
EXIT = (os._exit, (3,))

POLICY = wine_policy(loads={"trust": "code"})


class Reduced:
    """A model whose loading calls something."""

    def __init__(self, call: tuple[Any, Any]) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call

    def predict(self, data: Any) -> Any:
        return data


def sugar(frame: Any) -> Any:
    return frame["sugar"]


# skops imports what scikit-learn can work with: where torch is installed, that takes seconds.
@pytest.mark.slow
def test_a_model_that_loads_and_answers_passes(client: Client, add: Version) -> None:
    add()
    (verdict,) = promote(client, "wine", 1, policy=wine_policy(loads={"latency_ms": 10_000})).verdicts
    assert verdict.passed and verdict.gate == "loads and answers"
    assert "answered 4 rows in" in verdict.reason and verdict.reason.endswith("10000 ms are allowed")
    assert 0 < verdict.evidence["answered_in"] < 10


def test_a_model_that_is_too_slow_is_refused(client: Client, add: Version, refused: Refused) -> None:
    add(model=sugar, flavor="python_function")
    options = {"latency_ms": 0.0001, "repeats": 1, "trust": "code"}
    assert "ms, 0.0001 ms are allowed" in refused(1, wine_policy(loads=options)).reason


def test_a_model_that_hangs_is_stopped(client: Client, add: Version, refused: Refused) -> None:
    add(model=Reduced(HANG), flavor="python_function")
    start = time.monotonic()
    verdict = refused(1, wine_policy(loads={"timeout": 3, "trust": "code"}))
    assert verdict.reason == "it did not load and answer within 3 s"
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("call", "said"), [(CRASH, "was ended by SIGABRT"), (EXIT, "the process that loaded it ended with code 3")]
)
def test_a_model_that_takes_its_process_along_is_refused(
    client: Client, add: Version, refused: Refused, call: Any, said: str
) -> None:
    add(model=Reduced(call), flavor="python_function")
    assert said in refused(1, POLICY).reason


def test_code_runs_only_if_the_policy_trusts_it(add: Version, refused: Refused, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    add(model=Reduced((os.mkdir, (str(proof),))), flavor="python_function")
    assert "it could run any code and the trust level is 'data'" in refused(1, wine_policy(loads={})).reason
    assert not proof.exists()


def test_a_model_without_an_example_is_refused(add: Version, refused: Refused) -> None:
    add(model=sugar, flavor="python_function", example=None)
    said = "it has no input example that it could answer; log the model with input_example="
    assert refused(1, POLICY).reason == said


def test_a_model_that_fails_on_its_example_is_refused(add: Version, refused: Refused) -> None:
    here = os.getpid()

    def homesick(frame: Any) -> Any:
        if os.getpid() != here:
            raise ZeroDivisionError("no rows")
        return frame["sugar"]

    add(model=homesick, flavor="python_function")
    assert refused(1, POLICY).reason == "it failed: ZeroDivisionError: no rows"


def test_a_model_whose_files_were_changed_is_refused(client: Client, add: Version, refused: Refused) -> None:
    version = add()
    root = client.tracking.get_model(str(version.model_id)).artifact_uri.split(":/")[1].strip("/")
    client.artifacts.write(f"{root}/requirements.txt", io.BytesIO(b"evil\n"))
    assert "file 'requirements.txt' of the model" in refused(1, wine_policy(loads={})).reason


EXAMPLES = [
    pd.DataFrame({"a": [1.5, 2.5], "b": [1, 2]}),
    pd.DataFrame({"a": [1.5, None], "t": pd.to_datetime(["2024-01-02T00:00:00.000", "2024-01-03T04:05:06.789"])}),
    pd.DataFrame({"f": np.array([1.5, 2.5], "float32"), "s": ["x", "é"], "raw": [b"\x00\xff", b""]}),
    pd.DataFrame([[1.5, 2.0], [2.5, 3.0]]),
    np.array([[1.5, 2.5], [3.5, 4.5]], "float32"),
    {"ids": np.array([[1, 2], [3, 4]], "int64"), "mask": np.array([[1, 1], [1, 0]], "int32")},
    [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    {"a": [1, 2], "b": ["x", "y"]},
]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
@pytest.mark.parametrize("described", [True, False], ids=["signature", "none"])
def test_an_example_reads_back_as_it_was_given(client: Client, tmp_path: Path, example: Any, described: bool) -> None:
    def same(data: Any) -> Any:
        return data

    folder = tmp_path / "model"
    save_model(same, folder, manager=client.manager, input_example=example, flavor="python_function")
    model = load_folder(folder, manager=client.manager, trust="code")
    signature = model.signature if described else None
    read = read_example(folder, model.info, signature)
    assert row_count(read) == 2
    if described:
        wanted, found = model.signature.enforce(example), model.signature.enforce(read)
        if isinstance(wanted, pd.DataFrame):
            pd.testing.assert_frame_equal(found, wanted, check_column_type=False)
        else:
            assert json.dumps(found, default=np.ndarray.tolist) == json.dumps(wanted, default=np.ndarray.tolist)


def test_an_example_that_is_none_is_corrupt(tmp_path: Path) -> None:
    info = ModelInfo(flavors={}, saved_input_example_info={"type": "dataframe", "artifact_path": "example.json"})
    for text in ("{", '{"columns": ["a"]}', "3", '{"columns": ["a"], "data": [[1, 2]]}'):
        (tmp_path / "example.json").write_text(text)
        with pytest.raises(Corrupt, match="input example 'example.json' cannot be read"):
            read_example(tmp_path, info, Signature.from_mlflow({"inputs": '[{"type": "long", "name": "a"}]'}))
    assert read_example(tmp_path, ModelInfo(flavors={}), None) is None
