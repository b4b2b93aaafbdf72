"""Transformers and PyTorch are imported in fixtures: they take seconds, and so would the collection of all tests."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, InvalidInput, RatoonError, Untrusted
from ratoon.manager import make_manager
from ratoon.models.flavors.transformers import TransformersFlavor
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "not"]
TEXTS = ["a good film", "a bad film", "not bad", "good", "not a film"]


def tiny(folder: Path, task: str = "text-classification") -> Any:
    """A pipeline with a model of a few thousand random weights, made without the net."""
    import torch
    import transformers

    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS))
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **sizes)
    torch.manual_seed(0)
    kind = {
        "text-classification": transformers.BertForSequenceClassification,
        "token-classification": transformers.BertForTokenClassification,
        "fill-mask": transformers.BertForMaskedLM,
        "feature-extraction": transformers.BertModel,
    }[task]
    tokenizer = transformers.BertTokenizerFast(str(vocabulary))
    return transformers.pipeline(task, model=kind(config).eval(), tokenizer=tokenizer, device="cpu")


class TestClassification(FlavorContract):
    flavor_name = "transformers"
    library = "transformers"
    tolerance = 1e-6

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Any:
        return pd.DataFrame({"text": TEXTS})

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Any:
        return tiny(tmp_path_factory.mktemp("tiny"))

    @pytest.mark.slow
    def test_a_fresh_process_predicts_the_same(
        self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager, tmp_path: Path
    ) -> None:
        super().test_a_fresh_process_predicts_the_same(model, data, saved, manager, tmp_path)


@pytest.fixture(scope="module")
def manager() -> pluggy.PluginManager:
    return make_manager(builtins=["ratoon.models.flavors.transformers"], installed=False)


@pytest.fixture
def folder(tmp_path: Path, manager: pluggy.PluginManager) -> Path:
    """A pipeline as MLflow keeps it: without digests."""
    save_model(tiny(tmp_path), tmp_path / "model", manager=manager)
    (tmp_path / "model" / "digests.json").unlink()
    changed(tmp_path / "model")
    return tmp_path / "model"


def changed(folder: Path, **config: Any) -> None:
    """Other keys in the MLmodel file."""
    content = yaml.safe_load((folder / "MLmodel").read_text())
    flavor = content["flavors"]["transformers"] | config
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"transformers": flavor}}))


def test_the_folders_and_keys_are_those_of_mlflow(folder: Path) -> None:
    import transformers

    config = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["transformers"]
    assert config == {
        "code": None,
        "components": ["tokenizer"],
        "instance_type": "TextClassificationPipeline",
        "model_binary": "model",
        "pipeline_model_type": "BertForSequenceClassification",
        "source_model_name": "",
        "task": "text-classification",
        "tokenizer_type": config["tokenizer_type"],
        "torch_dtype": "torch.float32",
        "transformers_version": transformers.__version__,
    }
    assert (folder / "model" / "model.safetensors").exists() and (folder / "components" / "tokenizer").is_dir()


@pytest.mark.parametrize(
    ("task", "kind", "length"),
    [("token-classification", list, 5), ("fill-mask", list, 5), ("feature-extraction", np.ndarray, 5)],
)
def test_each_task_has_predictions_of_its_own(task: str, kind: type, length: int, tmp_path: Path) -> None:
    texts = [f"{text} [MASK]" for text in TEXTS] if task == "fill-mask" else TEXTS
    predicted = TransformersFlavor().predict(tiny(tmp_path, task), pd.DataFrame({"text": texts}))
    assert isinstance(predicted, kind) and len(predicted) == length
    one = TransformersFlavor().predict(tiny(tmp_path, task), texts[0])
    assert len(one) == 1 and (predicted[0] == one[0] if kind is list else np.allclose(predicted[0], one[0], atol=1e-5))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model/config.json", {"auto_map": {"AutoModel": "evil.Model"}}),
        ("model/config.json", {"text_config": {"auto_map": {"AutoModel": "evil.Model"}}}),
        ("model/config.json", {"attn_implementation": "someone/kernel"}),
        ("model/config.json", {"quantization_config": {"quant_method": "gptq"}}),
        ("model/adapter_config.json", {"base_model_name_or_path": "someone/model"}),
        ("components/tokenizer/tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}),
    ],
)
def test_code_from_elsewhere_is_refused(
    file: str, content: dict[str, Any], folder: Path, manager: pluggy.PluginManager
) -> None:
    path = folder / file
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | content))
    (folder / "model" / "evil.py").write_text("raise SystemExit('the code ran')")
    with pytest.raises(Untrusted, match=r'trust="code"'):
        load_folder(folder, manager=manager)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"pipeline_model_type": "EvilModel"}, Untrusted, "class 'EvilModel' of the model is not loaded"),
        ({"pipeline_model_type": "pipeline"}, Untrusted, "class 'pipeline'"),
        ({"tokenizer_type": "BertModel"}, Untrusted, "class 'BertModel'"),
        ({"components": ["../x"]}, Corrupt, "unknown components"),
        ({"model_binary": "../model"}, Corrupt, "outside the model"),
        ({"model_binary": None, "source_model_name": "a/b"}, RatoonError, "holds no weights .* 'a/b' on the net"),
        ({"task": "no-such-task"}, Corrupt, "cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    config: dict[str, Any], error: type[Exception], message: str, folder: Path, manager: pluggy.PluginManager
) -> None:
    changed(folder, **config)
    with pytest.raises(error, match=message):
        load_folder(folder, manager=manager, trust="code" if error is Corrupt else None)


def test_pickled_weights_are_not_read(folder: Path, manager: pluggy.PluginManager, canary: Any) -> None:
    (folder / "model" / "model.safetensors").unlink()
    (folder / "model" / "pytorch_model.bin").write_bytes(pickle.dumps(canary))
    with pytest.raises(Corrupt, match="cannot be loaded"):
        load_folder(folder, manager=manager)
    assert not canary.path.exists()


def test_a_class_that_transformers_has_not_is_not_saved(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    pipeline = tiny(tmp_path)
    own = type("MyBert", (type(pipeline.model),), {})
    pipeline.model.__class__ = own
    with pytest.raises(InvalidInput, match="class 'MyBert'"):
        save_model(pipeline, tmp_path / "model", manager=manager)
