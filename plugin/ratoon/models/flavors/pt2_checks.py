"""Looks through a ``.pt2`` archive of PyTorch for what would run code while it is loaded.

``torch.export.load`` is no safe reader. Beside the pickles that an archive may hold, it hands every symbolic
expression of the graph to ``sympy.sympify``, which evaluates it as Python; it resolves the target of a node to anything
that hangs on the module ``torch``, files and processes included; it imports modules that a tree of inputs names; and it
compiles guards and names into Python. So everything in the graph that is text is compared with a grammar here, and
whatever is not known is refused. PyTorch is imported on use.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt, RatoonError, Untrusted

_RECORDS = re.compile(
    r"models/model\.json|data/(weights|constants)/(model_(weights|constants)_config\.json|(weight|tensor)_\d+)"
    r"|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|\.data/(version|serialization_id)"
)
_GRAPH = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_SAMPLE = "data/sample_inputs/model.pt"

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_WORD = re.compile(r"[\w.:+-]*", re.ASCII)
_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)(\.\w+)?", re.ASCII)
_NAMES = frozenset({"name", "as_name"})
# Kept as texts, or written into the generated code as the literals that they are.
_FREE = frozenset({"as_string", "as_strings", "metadata"})
_TREES = frozenset({"in_spec", "out_spec"})
_TREE_TYPES = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})

_SYMBOLIC_TARGETS = re.compile(
    r"_operator\.(eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|mod|pow|truediv|and_|or_|lshift|rshift|getitem)"
    r"|math\.trunc|torch\.sym_(not|int|float|ite|max|min|sqrt)"
)
_HIGHER_ORDER = frozenset(
    {"cond", "map_impl", "scan", "while_loop", "wrap_with_autocast", "wrap_with_set_grad_enabled"}
)
# These map a file into memory, by a name that is an argument.
_READS_FILES = frozenset({"from_file", "_from_file"})

_FUNCTIONS = frozenset(
    "Symbol Integer Rational Float Add Mul Pow Max Min Mod Eq Ne Lt Le Gt Ge And Or Not Abs floor ceiling sqrt "
    "Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan "
    "FloorDiv ModularIndexing Where PythonMod CleanDiv CeilToInt FloorToInt CeilDiv LShift RShift PowByNatural "
    "FloatPow FloatTrueDiv IntTrueDiv IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt "
    "RoundDecimal ToFloat Identity".split()
)
_SHAPE_METHODS = frozenset({"size", "stride", "storage_offset"})
_PLAIN_NODES = (
    ast.Expression,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.keyword,
)


def check_archive(path: Path) -> frozenset[str]:
    """Look through the archive.

    Returns:
        The operators that are not PyTorch's own, as ``namespace.name``: somebody must vouch for them.

    Raises:
        Untrusted: It holds what would run code, or what nobody here knows.
        Corrupt: It is no such archive.
        RatoonError: The installed PyTorch is too old to tell.
    """
    try:
        return _check(path)
    except RatoonError:
        raise
    except Exception as error:  # the readers of PyTorch and of JSON raise anything on a crafted file
        raise Corrupt(
            f"file '{path}' is no .pt2 archive ({type(error).__name__}); fetch or save the model again"
        ) from error


def _check(path: Path) -> frozenset[str]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    roots = {name.partition("/")[0] for name in names if "/" in name}
    if len(roots) != 1 or len(set(names)) != len(names) or not all("/" in name for name in names):
        raise _refusal(path, "its records are not in one folder, or not each of them once")
    # The reader that will load it, so that both see the same records.
    with _reader()(str(path)) as reader:
        for name in reader.get_file_names():
            if not _RECORDS.fullmatch(name):
                raise _refusal(path, f"it has the record {name!r}")
        for name in _CONFIGS:
            _check_config(path, json.loads(reader.read_bytes(name)))
        _check_sample(path, reader.read_bytes(_SAMPLE))
        return frozenset(_check_graph(path, json.loads(reader.read_bytes(_GRAPH))))


def _reader() -> Any:
    try:
        from torch.export.pt2_archive import PT2ArchiveReader
    except ImportError as error:
        raise RatoonError(
            "a .pt2 archive cannot be looked through (this PyTorch is too old); pip install 'torch>=2.10', or load the "
            'model with trust="code" if you know who made it'
        ) from error
    return PT2ArchiveReader


def _check_config(path: Path, content: Any) -> None:
    for entry in content["config"].values():
        if entry["use_pickle"] is not False or not re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]):
            raise _refusal(path, "a weight or constant is pickled")


def _check_sample(path: Path, content: bytes) -> None:
    """PyTorch unpickles the sample without bounds where the bounded way fails; so it must not fail."""
    import torch

    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise _refusal(path, "its sample inputs are more than tensors") from error


def _check_graph(path: Path, content: Any) -> Iterator[str]:
    """Compare every text with what it may be; yields the foreign operators."""
    for key, value, siblings in _texts(content, "", content):
        if key in _FREE:
            continue
        if key == "target" and "inputs" in siblings:
            foreign = _foreign_operator(value)
            if foreign is None:
                raise _refusal(path, f"a node calls {value!r}")
            yield from foreign
        elif not _allowed(key, value):
            raise _refusal(path, f"its graph has {value[:80]!r} for {key!r}")


def _texts(value: Any, key: str, siblings: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every text below a value with the key that it stands under; keys are texts, too."""
    if isinstance(value, str):
        yield key, value, siblings
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key, siblings)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield "key", name, value
            # What is below metadata is kept and never looked up by a name in it.
            yield from () if name == "metadata" else _texts(item, name, value)


def _allowed(key: str, value: str) -> bool:
    if key == "expr_str":
        return is_expression(value)
    if key == "guards_code":
        return is_guard(value)
    if key in _TREES:
        return _is_plain_tree(value)
    if key in _NAMES:
        return not value or _IDENTIFIER.fullmatch(value) is not None
    return _WORD.fullmatch(value) is not None


def _foreign_operator(target: str) -> tuple[str, ...] | None:
    """Empty for an operator of PyTorch that only computes, the name of a foreign one, None for anything else."""
    if _SYMBOLIC_TARGETS.fullmatch(target):
        return ()
    match = _OPERATOR.fullmatch(target)
    if match is None:
        return None
    space, name = match[1], match[2]
    if space == "higher_order":
        return () if name in _HIGHER_ORDER else None
    if space in ("aten", "prims"):
        overload = (match[3] or "").replace(".default", "")
        return () if name not in _READS_FILES and _is_kernel(f"{space}::{name}{overload}") else None
    return (f"{space}.{name}",)


def _is_kernel(name: str) -> bool:
    """Whether the dispatcher knows the operator: those of TorchScript alone, such as aten::save, are not in it."""
    import torch

    return bool(torch._C._dispatch_has_kernel(name))


def is_expression(text: str) -> bool:
    """Whether a text is a symbolic expression made of numbers, symbols and known functions."""
    return _fits(text, _is_symbolic)


def is_guard(text: str) -> bool:
    """Whether a text compares sizes of inputs, as ``L['x'].size()[0] >= 2`` does, and nothing else."""
    return _fits(text, _is_symbolic_or_size)


def _fits(text: str, allowed: Any) -> bool:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, _PLAIN_NODES) or allowed(node) for node in ast.walk(tree))


def _is_symbolic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    if isinstance(node, ast.Name):
        return _IDENTIFIER.fullmatch(node.id) is not None and not node.id.startswith("_")
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) or (
            isinstance(node.value, str) and _IDENTIFIER.fullmatch(node.value) is not None
        )
    return False


def _is_symbolic_or_size(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return not node.args and not node.keywords
    if isinstance(node, ast.Attribute):
        return node.attr in _SHAPE_METHODS
    return isinstance(node, ast.Subscript) or _is_symbolic(node)


def _is_plain_tree(text: str) -> bool:
    """Whether the tree of inputs or outputs is made of tuples, lists and dicts with plain keys."""
    if not text:
        return True
    if "__enum__" in text:
        return False
    waiting = [json.loads(text)[1]]
    while waiting:
        node = waiting.pop()
        if node["type"] not in _TREE_TYPES or not isinstance(node["context"], str | None):
            return False
        waiting.extend(node["children_spec"])
    return True


def _refusal(path: Path, cause: str) -> Untrusted:
    return Untrusted(
        f".pt2 archive '{path}' is not loaded ({cause}, and could run any code by that); "
        'if you know who made it, load it with trust="code" or --trust code'
    )
