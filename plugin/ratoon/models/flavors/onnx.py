"""ONNX models: the file itself, its large tensors beside it, run by ONNX Runtime on the processor.

A graph is data: loading runs no code, for libraries with operators of somebody else's are never loaded. What a crafted
file could do is name files of its tensors outside of the folder, and this is checked before anything reads them. The
keys in the MLmodel file are MLflow's, those with the prefix ``ratoon_`` excepted. onnx, onnxruntime and numpy are
imported on use.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, InvalidInput, RatoonError
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors.distributions import provider_of
from ratoon.models.flavors.libraries import needed_by
from ratoon.models.flavors.tensors import first_that_fits
from ratoon.models.mlmodel import data_file
from ratoon.models.trust import TrustPolicy

FILE_NAME = "model.onnx"
TENSORS_FILE = "model.onnx.data"
# A message of Protocol Buffers has two gibibytes at most; tensors that could bring it there are kept beside it.
LARGE = 1 << 30
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_THREADS = ("intra_op_num_threads", "inter_op_num_threads")


class OnnxModel:
    """A graph, and the session that runs it.

    Attributes:
        session: The session of ONNX Runtime.
    """

    def __init__(self, session: Any, source: Any) -> None:
        self.session = session
        self._source = source

    @property
    def proto(self) -> Any:
        """The graph as onnx knows it; one too large to be held twice is read from its folder again."""
        if isinstance(self._source, Path):
            onnx, _ = _libraries()
            return onnx.load(str(data_file(self._source.parent, self._source.name)))
        return self._source


class OnnxFlavor:
    """``onnx.ModelProto``, and what this flavor made of one."""

    requirements: tuple[str, ...]

    def __init__(self) -> None:
        self.requirements = ("onnx", provider_of("onnxruntime"), "numpy", "pandas")

    def recognises(self, model: object) -> bool:
        """Whether it is a graph; onnx is not imported to find out."""
        onnx = sys.modules.get("onnx")
        return isinstance(model, OnnxModel) or (onnx is not None and isinstance(model, onnx.ModelProto))

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``model.onnx``, and ``model.onnx.data`` if its tensors are large."""
        onnx, _ = _libraries()
        proto = model.proto if isinstance(model, OnnxModel) else model
        _write(onnx, proto, folder / FILE_NAME)
        _check(onnx, folder / FILE_NAME)
        return {
            "onnx_version": onnx.__version__,
            "data": FILE_NAME,
            "providers": list(PROVIDERS),
            "onnx_session_options": None,
            "code": None,
            "ratoon_ir_version": proto.ir_version,
            "ratoon_opsets": {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import},
        }

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads these files."""
        return {"loader_module": "mlflow.onnx", "data": config["data"]}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> OnnxModel:
        """Check the graph and open a session; providers and libraries that the model asks for are left out."""
        onnx, runtime = _libraries()
        path = data_file(folder, config.get("data"))
        beside = _files_beside(onnx, path)
        _check(onnx, path)
        session = _session(runtime, str(path), config.get("onnx_session_options") or {})
        large = sum(file.stat().st_size for file in (path, *beside)) >= LARGE
        return OnnxModel(session, path if large else onnx.load(str(path)))

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Run the graph: a dict of arrays for arrays, a DataFrame with a column for each output for a DataFrame."""
        import pandas as pd

        session = model.session if isinstance(model, OnnxModel) else _session_of(model)
        names = [output.name for output in session.get_outputs()]
        feed = _feed(session.get_inputs(), data)
        try:
            outputs = session.run(names, feed)
        except Exception as error:  # the errors of ONNX Runtime have no class in common
            raise InvalidInput(
                f"the graph cannot be run on the data ({error}); give what its inputs ask for"
            ) from error
        if isinstance(data, pd.DataFrame):
            return _table(dict(zip(names, outputs, strict=True)), data)
        return dict(zip(names, outputs, strict=True))

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first array, table or dict of arrays that fits the inputs of the graph."""
        proto: Any = model.proto if isinstance(model, OnnxModel) else model
        constants = {tensor.name for tensor in proto.graph.initializer}
        shapes = {entry.name: _shape(entry) for entry in proto.graph.input if entry.name not in constants}
        if len(shapes) > 1 and all(shape in ((None,), (None, 1)) for shape in shapes.values()):
            return next((each for each in candidates if set(getattr(each, "columns", ())) == set(shapes)), None)
        return first_that_fits(candidates, shapes)


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``onnx``."""
    register("onnx", OnnxFlavor())


def _write(onnx: Any, proto: Any, path: Path) -> None:
    """Write the graph; it is the same as before when this returns."""
    if proto.ByteSize() < LARGE:
        onnx.save_model(proto, str(path))
        return
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    onnx.save_model(copy, str(path), save_as_external_data=True, location=TENSORS_FILE)


def _check(onnx: Any, path: Path) -> None:
    try:
        onnx.checker.check_model(str(path))
    except Exception as error:  # onnx raises its own error, Protocol Buffers another
        raise Corrupt(f"file '{path}' is no valid ONNX model ({error}); export it again") from error


def _files_beside(onnx: Any, path: Path) -> set[Path]:
    """The files of the graph's large tensors; Corrupt if one of them is not in its folder."""
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # Protocol Buffers raise their own error
        raise Corrupt(f"file '{path}' is no ONNX model ({error}); fetch or save the model again") from error
    entries = (entry for tensor in _tensors(proto) for entry in tensor.external_data)
    return {data_file(path.parent, entry.value) for entry in entries if entry.key == "location"}


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor of a message, however deep: of graphs in attributes and of functions, too."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in [value] if hasattr(value, "ListFields") else value:
            if field.message_type.name == "TensorProto":
                yield item
            else:
                yield from _tensors(item)


def _session(runtime: Any, source: str | bytes, given: Mapping[str, Any]) -> Any:
    options = runtime.SessionOptions()
    # Warnings about the graph are for who exports it.
    options.log_severity_level = 3
    for name in _THREADS:
        if isinstance(given.get(name), int):
            setattr(options, name, given[name])
    try:
        return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the errors of ONNX Runtime have no class in common
        raise RatoonError(
            f"the ONNX model cannot be run here ({error}); install the onnxruntime that its requirements.txt names, or "
            "export it with operators of ONNX alone"
        ) from error


def _session_of(proto: Any) -> Any:
    """A session for a graph that is in memory only."""
    onnx, runtime = _libraries()
    if proto.ByteSize() < LARGE:
        return _session(runtime, proto.SerializeToString(), {})
    with tempfile.TemporaryDirectory() as folder:
        _write(onnx, proto, Path(folder) / FILE_NAME)
        return _session(runtime, str(Path(folder) / FILE_NAME), {})


def _feed(inputs: Any, data: Any) -> dict[str, Any]:
    """The arrays by the names of the inputs; 64-bit floats become 32-bit ones where the graph asks for those."""
    import numpy as np
    import pandas as pd

    if isinstance(data, Mapping):
        feed = {name: np.asarray(value) for name, value in data.items()}
    elif len(inputs) == 1:
        feed = {inputs[0].name: data.to_numpy() if isinstance(data, pd.DataFrame) else np.asarray(data)}
    elif isinstance(data, pd.DataFrame):
        missing = [entry.name for entry in inputs if entry.name not in data]
        if missing:
            raise InvalidInput(f"column {missing[0]!r} of the model's input is missing; add it")
        feed = {entry.name: _column(data[entry.name], entry) for entry in inputs}
    else:
        names = ", ".join(repr(entry.name) for entry in inputs)
        raise InvalidInput(f"the model takes {len(inputs)} arrays; give a dict of arrays, or a DataFrame, with {names}")
    narrow = {entry.name for entry in inputs if entry.type == "tensor(float)"}
    return {
        name: array.astype(np.float32) if name in narrow and array.dtype == np.float64 else array
        for name, array in feed.items()
    }


def _column(column: Any, entry: Any) -> Any:
    """A column as the vector, or the matrix of one column, that the graph asks for."""
    array = column.to_numpy()
    if entry.type == "tensor(string)":
        array = array.astype(object)
    return array.reshape(-1, 1) if len(entry.shape) == 2 else array


def _table(outputs: Mapping[str, Any], data: Any) -> Any:
    """One column for each output, as MLflow makes it; one with several numbers a row holds a list in each cell."""
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {}
    for name, output in outputs.items():
        # A sequence of maps, as classifiers of scikit-learn return, is a list already.
        flat = isinstance(output, np.ndarray) and output.size == len(data)
        columns[name] = output.reshape(-1) if flat else list(output)
    return pd.DataFrame(columns, index=data.index)


def _shape(entry: Any) -> tuple[int | None, ...]:
    dims = entry.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)


def _libraries() -> tuple[Any, Any]:
    with needed_by("onnx"):
        import onnx
        import onnx.checker
        import onnxruntime
    return onnx, onnxruntime
