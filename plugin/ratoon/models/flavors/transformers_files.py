"""The folder of a Transformers pipeline: looked through, then read, with no code of its own and nothing from the net.

The weights are safetensors. Transformers would follow more: modules beside the weights, other repositories that a
configuration names for code, kernels, adapters or quantization, and pickled weights. Transformers is imported on use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, RatoonError, Untrusted
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.mlmodel import data_folder
from ratoon.models.trust import TrustPolicy

MODEL = "model"
COMPONENTS = "components"
# What a pipeline has beside its model, and the class of Transformers that each such thing is of.
PARTS = {
    "tokenizer": "PreTrainedTokenizerBase",
    "feature_extractor": "FeatureExtractionMixin",
    "image_processor": "ImageProcessingMixin",
}
_ELSEWHERE = frozenset({"auto_map", "custom_pipelines", "quantization_config", "trust_remote_code"})
_IMPLEMENTATION = re.compile(r"_?(attn|experts)_implementation\w*")
_IDENTIFIER = re.compile(r"[A-Za-z]\w*")
_NUMBERS = re.compile(r"(torch\.)?(float16|float32|float64|bfloat16)")


def library() -> Any:
    """Transformers, with PyTorch."""
    with needed_by("transformers"):
        import torch  # noqa: F401
        import transformers
    return transformers


def class_of(name: object, base: str) -> Any:
    """The class of Transformers that a model's file names; any other name is refused.

    Raises:
        Untrusted: Transformers has no such class, so that its code would have to come from elsewhere.
    """
    transformers = library()
    found = None
    if isinstance(name, str) and _IDENTIFIER.fullmatch(name):
        found = getattr(transformers, name, None)
    parent = _base(transformers, base)
    if not (isinstance(found, type) and issubclass(found, parent)):
        raise Untrusted(
            f"class {name!r} of the model is not loaded (Transformers {transformers.__version__} has no such "
            f"{base}, and code of a model's own is never run); install a version of Transformers that has it"
        )
    return found


def load(folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
    """Put the pipeline together again, on the processor."""
    transformers = library()
    if config.get("model_binary") is None:
        raise RatoonError(
            f"model in '{folder}' holds no weights (it names those of {config.get('source_model_name')!r} on the net, "
            "and nothing is fetched while a model is loaded); save it with its weights"
        )
    home = data_folder(folder, config.get("model_binary"))
    parts = {name: data_folder(folder, f"{COMPONENTS}/{name}") for name in _parts(folder, config)}
    if not policy.allows_code:
        for each in (home, *parts.values()):
            check(each)
    kind = class_of(config.get("pipeline_model_type"), "PreTrainedModel")
    classes = {name: class_of(config.get(f"{name}_type"), PARTS[name]) for name in parts}
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = kind.from_pretrained(
            str(home), use_safetensors=None if policy.allows_code else True, **options, **_numbers(transformers, config)
        )
        loaded = {name: classes[name].from_pretrained(str(path), **options) for name, path in parts.items()}
        return transformers.pipeline(task=config.get("task"), model=model.eval(), device="cpu", **loaded)
    except Exception as error:  # Transformers raises whatever the parts raise
        raise Corrupt(
            f"pipeline in '{folder}' cannot be loaded ({type(error).__name__}: {error}); install the versions in its "
            "requirements.txt, or save it again with weights as safetensors"
        ) from error


def check(folder: Path) -> None:
    """Look through a folder of a model, a tokenizer or another part.

    Raises:
        Untrusted: It asks for code, weights or adapters from elsewhere.
        Corrupt: A file that says what is in the folder is no JSON.
    """
    if (folder / "adapter_config.json").exists():
        raise _refusal(folder, "it names another model that it adapts")
    for path in sorted(folder.rglob("*.json")):
        if path.name in ("tokenizer.json", "vocab.json"):
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise Corrupt(f"file '{path}' is no JSON ({error}); fetch or save the model again") from error
        for key, value in _entries(content):
            wanted = key in _ELSEWHERE and value
            if wanted or (_IMPLEMENTATION.fullmatch(key) and isinstance(value, str) and not value.isidentifier()):
                raise _refusal(folder, f"its file '{path.name}' has {key!r}")


def _parts(folder: Path, config: Mapping[str, Any]) -> list[str]:
    given = config.get("components") or []
    if not isinstance(given, list) or not all(name in PARTS for name in given):
        raise Corrupt(
            f"model in '{folder}' has unknown components {given!r} (known are {', '.join(PARTS)}); update ratoon"
        )
    return given


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _numbers(transformers: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The type of the weights, by the keyword of the installed version."""
    import torch

    match = _NUMBERS.fullmatch(str(config.get("torch_dtype")))
    if match is None:
        return {}
    keyword = "dtype" if int(transformers.__version__.partition(".")[0]) >= 5 else "torch_dtype"
    return {keyword: getattr(torch, match[2])}


def _base(transformers: Any, name: str) -> Any:
    if hasattr(transformers, name):
        return getattr(transformers, name)
    import transformers.image_processing_base as images
    import transformers.tokenization_utils_base as tokens

    return getattr(tokens, name, None) or getattr(images, name)


def _refusal(folder: Path, cause: str) -> Untrusted:
    return Untrusted(
        f"folder '{folder}' is not loaded ({cause}, and could get code from elsewhere by that); "
        'if you know who made it, load it with trust="code" or --trust code'
    )
