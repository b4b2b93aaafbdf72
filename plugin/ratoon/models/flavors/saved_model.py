"""TensorFlow's SavedModel folders: read after their graph was looked through, and called.

A SavedModel is a program in TensorFlow's operators. No Python runs while it is loaded, but some of its operators do,
the others when it is called, and there are those among them that read and write files, open
connections, and call into Python. So the graph is compared with a list of what only computes: operators without state
that touch no files, and those that keep variables, tables and random numbers. TensorFlow is imported on use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, InvalidInput, RatoonError, Untrusted
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.flavors.tensors import as_matrix, as_table, plain_outputs
from ratoon.models.trust import TrustPolicy

GRAPH = "saved_model.pb"
SIGNATURE = "serving_default"
_OTHER_GRAPHS = ("saved_model.cpb", "saved_model.pbtxt")

_STATEFUL = re.compile(
    r"(Anonymous)?(Mutable)?(Dense)?HashTable(OfTensors)?(V2)?|(Lookup|Initialize)Table(Find|Import|Insert|Export|Size"
    r"|Remove)?(V2)?|VarHandleOp|(Read|Assign|AssignAdd|AssignSub)VariableOp|VarIsInitializedOp|VariableShape"
    r"|DestroyResourceOp|DisableCopyOnRead|Resource(Gather|GatherNd|Scatter\w+|StridedSliceAssign)"
    r"|StatefulPartitionedCall|If|While|Case|Assert|CheckNumerics(V2)?|GuaranteeConst|Empty|Random(Crop|Gamma|Poisson"
    r"|PoissonV2|Shuffle|StandardNormal|Uniform|UniformInt)|Multinomial|(Parameterized)?TruncatedNormal|Stateful("
    r"RandomBinomial|StandardNormal|StandardNormalV2|TruncatedNormal|Uniform\w*)|Rng(ReadAndSkip|Skip)"
    r"|StatelessRandomGetAlg|SampleDistortedBoundingBox(V2)?|TensorArray\w*V3|Stack\w*V2|CudnnRNN(V2|V3)?"
)
# Operators that read files, call into Python or into compiled libraries, and say of themselves that they have no state.
_WORLDLY = re.compile(
    r"ReadFile|MatchingFiles|Py\w+|InitializeTableFromTextFile\w*|GenerateVocabRemapping|\w*Proto(V2)?|\w*Dataset\w*"
    r"|Reader\w*|Xla\w*|\w*Host\w*|Debug\w*|CustomAggregator|ShardedFile\w+|TPU\w*"
)


def load(folder: Path, policy: TrustPolicy) -> Any:
    """Load a SavedModel; one that does more than compute is asked of the policy.

    Raises:
        Untrusted: The policy does not allow it.
        Corrupt: It is no SavedModel.
    """
    tensorflow = library()
    if not policy.allows_code:
        check(folder)
    try:
        return tensorflow.saved_model.load(str(folder))
    except Exception as error:  # the errors of TensorFlow have no class in common
        raise Corrupt(
            f"SavedModel '{folder}' cannot be loaded ({type(error).__name__}: {error}); "
            "install the versions in the model's requirements.txt, or save it again"
        ) from error


def check(folder: Path) -> None:
    """Look through the graph.

    Raises:
        Untrusted: It holds operators that do more than compute, or that are unknown.
        Corrupt: It cannot be parsed.
    """
    graph = read_graph(folder)
    if graph is None:
        raise _refusal(folder, "its graph is kept in a form that is not looked through")
    for asset in graph.asset_file_def:
        if asset.filename.startswith("/") or ".." in asset.filename.split("/"):
            raise _refusal(folder, f"it reads the file {asset.filename!r}")
    bad = sorted({name for name in _operators(graph) if not _computes(name)})
    if bad:
        listed = ", ".join(map(repr, bad))
        raise _refusal(folder, f"it holds operators that do more than compute, or are unknown: {listed}")


def read_graph(folder: Path) -> Any | None:
    """The graph with its objects; None for one of TensorFlow 1, and for other forms than one file."""
    library()
    from tensorflow.core.protobuf import saved_model_pb2

    if any((folder / name).exists() for name in _OTHER_GRAPHS):
        return None
    message = saved_model_pb2.SavedModel()
    try:
        message.ParseFromString((folder / GRAPH).read_bytes())
    except Exception as error:  # Protocol Buffers raise their own error
        raise Corrupt(f"file '{folder / GRAPH}' is no SavedModel ({error}); fetch or save the model again") from error
    whole = len(message.meta_graphs) == 1 and message.meta_graphs[0].HasField("object_graph_def")
    return message.meta_graphs[0] if whole else None


def predict(model: Any, data: Any) -> Any:
    """Call a loaded model, or a module; arrays for arrays, a DataFrame for a DataFrame."""
    tensorflow = library()
    signatures = getattr(model, "signatures", {})
    if isinstance(data, Mapping):
        tensors = {name: tensorflow.convert_to_tensor(value) for name, value in data.items()}
        outputs = signatures[SIGNATURE](**tensors) if SIGNATURE in signatures else model(tensors)
    else:
        tensor = tensorflow.convert_to_tensor(as_matrix(data))
        outputs = _call(model, signatures, tensor)
    return as_table(data, plain_outputs(outputs, _to_array))


def input_shapes(model: Any) -> dict[str, tuple[int | None, ...]]:
    """The shapes of what the serving signature takes, or of the only argument of a call; empty if unknown."""
    signatures = getattr(model, "signatures", {})
    if SIGNATURE in signatures:
        _, named = signatures[SIGNATURE].structured_input_signature
        return {name: _shape(spec) for name, spec in named.items()}
    specs = getattr(model.__call__ if callable(model) else None, "input_signature", None) or ()
    return {spec.name or str(position): _shape(spec) for position, spec in enumerate(specs)}


def library() -> Any:
    """TensorFlow."""
    with needed_by("tensorflow"):
        import tensorflow
    return tensorflow


def _call(model: Any, signatures: Any, tensor: Any) -> Any:
    function = getattr(model, "serve", None) or (model if callable(model) else None)
    if function is not None:
        return function(tensor)
    names = sorted(input_shapes(model))
    if len(names) != 1:
        raise InvalidInput(
            "the model cannot be called with one array (it has no such method); give a dict of arrays with "
            f"{', '.join(map(repr, names)) or 'the names of a signature'}, or use .native"
        )
    return signatures[SIGNATURE](**{names[0]: tensor})


def _shape(spec: Any) -> tuple[int | None, ...]:
    return tuple(spec.shape) if spec.shape.rank is not None else ()


def _operators(graph: Any) -> Iterator[str]:
    """The operators of every function that can be called from outside, and of those that it calls."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    waiting, seen = list(graph.object_graph_def.concrete_functions), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            if node.op in functions:
                waiting.append(node.op)
            else:
                yield node.op
            for value in node.attr.values():
                waiting += [value.func.name, *(item.name for item in value.list.func)]


def _computes(name: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(name)
    if definition is None:
        return False
    allowed = _STATEFUL.fullmatch(name) if definition.is_stateful else not _WORLDLY.fullmatch(name)
    return bool(allowed)


def _to_array(value: Any) -> Any:
    if hasattr(value, "numpy"):
        return value.numpy()
    raise RatoonError(
        f"the model returned a value of type '{type(value).__qualname__}' (a tensor, or a tuple or dict of tensors, "
        "was expected); use .native"
    )


def _refusal(folder: Path, cause: str) -> Untrusted:
    return Untrusted(
        f"SavedModel '{folder}' is not loaded ({cause}); "
        'if you know who made it, load it with trust="code" or --trust code'
    )
