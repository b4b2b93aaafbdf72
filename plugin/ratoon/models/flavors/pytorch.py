"""PyTorch's modules: as an exported graph, as weights beside the name of their class, or pickled.

In this order of preference, the first that can hold the model:

1. ``data/model.pt2``, what ``torch.export`` makes of a module and its input example: weights and a graph of PyTorch's
   own operators, which needs none of the user's code. Only if the length of a batch stays free. MLflow reads it, too.
2. ``data/model.safetensors`` and the dotted name of the class, if the class can be imported and called with what its
   ``init_args`` or ``hparams`` say, or with nothing: loading needs ``trust=["my_package.Net"]``. MLflow cannot read it.
3. ``data/model.pth``, pickled: needs ``trust="code"``. So does TorchScript, which is what a scripted module becomes.

An archive is looked through before PyTorch reads it (:mod:`ratoon.models.flavors.pt2_checks`). The keys in the MLmodel
file are MLflow's, those with the prefix ``ratoon_`` excepted. PyTorch is imported on use.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ratoon.errors import InvalidInput, RatoonError
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import pytorch_files as files
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.flavors.tensors import as_matrix, as_table, first_that_fits, plain_outputs
from ratoon.models.needs import Need
from ratoon.models.trust import TrustPolicy

logger = logging.getLogger(__name__)

# A module that was made of an exported program is saved as that program again.
_programs: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


class PytorchFlavor:
    """Modules, exported programs and scripted modules."""

    requirements: tuple[str, ...] = ("torch", "numpy", "pandas", "safetensors", "cloudpickle")

    def recognises(self, model: object) -> bool:
        """Whether it is a module, unless Keras made it; PyTorch is not imported to find out."""
        torch = sys.modules.get("torch")
        if torch is None or not hasattr(torch, "nn"):
            return False
        of_keras = any(base.__module__.partition(".")[0] == "keras" for base in type(model).__mro__)
        return (isinstance(model, torch.nn.Module) and not of_keras) or _is_program(model)

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write the module without an input example."""
        return self.save_with_example(model, folder, None)

    def save_with_example(self, model: Any, folder: Path, example: Any) -> Mapping[str, Any]:
        """Write the module in the first format of the three that can hold it."""
        torch = _library()
        (folder / files.DATA).mkdir()
        config = {"model_data": files.DATA, "pytorch_version": torch.__version__.partition("+")[0], "code": None}
        program = model if _is_program(model) else _programs.get(model)
        if program is None and example is not None and not isinstance(model, torch.jit.ScriptModule):
            program = _exported(torch, model, example)
        if program is not None:
            return config | files.save_program(torch, program, folder)
        recipe = files.recipe_of(torch, model)
        if recipe is None:
            return config | files.save_pickled(torch, model, folder)
        return config | files.save_weights(model, recipe, folder)

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads archives and pickles; it has none for weights alone."""
        if config["ratoon_format"] == "safetensors":
            return None
        loader = {"loader_module": "mlflow.pytorch", "data": files.DATA, "model_config": {"device": None}}
        return {**loader, "pickle_module_name": files.PICKLE_MODULE}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the module in evaluation mode, on the processor."""
        torch = _library()
        kind = files.format_of(folder, config)
        if kind == "pt2":
            program = files.load_program(torch, folder, config, policy)
            module = program.module()
            _programs[module] = program
            return module
        if kind == "safetensors":
            return files.load_weights(folder, config, policy)
        return files.load_pickled(torch, folder, config, policy)

    def needs(self, folder: Path, config: Mapping[str, Any]) -> Iterable[Need]:
        """What a load does, for people who decide whom to trust."""
        return files.needs(folder, config)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the module, without gradients and in evaluation mode; arrays for arrays, a DataFrame for a DataFrame."""
        torch = _library()
        module = model.module() if _is_program(model) else model
        arguments, named = _inputs(torch, module, data)
        with torch.no_grad(), _Evaluating(module):
            outputs = module(*arguments, **named, **(params or {}))
        return as_table(data, plain_outputs(outputs, _to_array))

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first array or table that fits the exported graph, or the module's first linear layer."""
        program = model if _is_program(model) else _programs.get(model)
        shapes = _shapes(program) if program is not None else _guessed_shapes(model)
        return first_that_fits(candidates, shapes)


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``pytorch``."""
    register("pytorch", PytorchFlavor())


class _Evaluating:
    """Evaluation mode for a block; each submodule is as it was afterwards."""

    def __init__(self, module: Any) -> None:
        # A module of an exported graph has one mode, and refuses to be asked for another.
        self._training = [part for part in module.modules() if part.training and not hasattr(part, "graph")]

    def __enter__(self) -> None:
        for part in self._training:
            part.training = False

    def __exit__(self, *_: object) -> None:
        for part in self._training:
            part.training = True


def _library() -> Any:
    with needed_by("pytorch", "torch"):
        import torch
        import torch.export
    return torch


def _is_program(model: object) -> bool:
    export = sys.modules.get("torch.export")
    return export is not None and isinstance(model, export.ExportedProgram)


def _exported(torch: Any, model: Any, example: Any) -> Any | None:
    """The module as a program for batches of any length; None if it cannot be exported so."""
    try:
        arguments, named = _inputs(torch, model, example)
        tensors = [*arguments, *named.values()]
        if not tensors or not all(tensor.ndim and len(tensor) for tensor in tensors):
            return None
        # A batch of one is taken for a constant.
        arguments = tuple(torch.cat([tensor, tensor]) for tensor in arguments)
        named = {name: torch.cat([tensor, tensor]) for name, tensor in named.items()}
        dynamic = {0: torch.export.Dim.DYNAMIC}
        shapes = [dynamic] * len(arguments) if arguments else dict.fromkeys(named, dynamic)
        with torch.no_grad(), _Evaluating(model):
            return torch.export.export(model, tuple(arguments), named, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # exporting runs the user's code on stand-ins for tensors
        logger.info("model of type %r is not exported (%s: %s)", type(model).__qualname__, type(error).__name__, error)
        return None


def _inputs(torch: Any, module: Any, data: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named tensors, where the weights are."""
    weight = next(iter(module.parameters()), None)
    device = "cpu" if weight is None else weight.device

    def tensor(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(device)
        array = as_matrix(value)
        try:
            # PyTorch shares the memory of an array, and warns of one that must not be written to.
            return torch.as_tensor(array if array.flags.writeable else array.copy(), device=device)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"data cannot become a tensor ({error}); give arrays of numbers") from error

    if isinstance(data, Mapping):
        return (), {name: tensor(value) for name, value in data.items()}
    return (tensor(data),), {}


def _to_array(value: Any) -> Any:
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    raise RatoonError(
        f"the model returned a value of type '{type(value).__qualname__}' (a tensor, or a tuple or dict of tensors, "
        "was expected); use .native"
    )


def _shapes(program: Any) -> dict[str, tuple[int | None, ...]]:
    """The shape of each input of an exported graph."""
    names = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    return {
        node.target: tuple(length if isinstance(length, int) else None for length in node.meta["val"].shape)
        for node in nodes
        if hasattr(node.meta.get("val"), "shape")
    }


def _guessed_shapes(model: Any) -> dict[str, tuple[int | None, ...]]:
    modules = model.modules() if hasattr(model, "modules") else ()
    width = next((part.in_features for part in modules if isinstance(getattr(part, "in_features", None), int)), None)
    return {} if width is None else {"input": (None, width)}
