"""Whether a model may stand in for another: every input that fits the one fits the other, and the answers are alike.

A type may be widened where each of its values survives: an integer of 32 bits as one of 64 or as a double. An integer
of 64 bits is not always a double, nor a double a float.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ratoon.models.schema import ColSpec, ParamSpec, Schema, TensorSpec
from ratoon.models.signature import Signature

Spec = ColSpec | TensorSpec

ANY = "any"
WIDER = {"integer": ("long", "double"), "float": ("double",)}
KINDS = {"integer": "whole numbers", "long": "whole numbers", "float": "fractions", "double": "fractions"}
_TENSOR_KINDS = {"i": "whole numbers", "u": "whole numbers", "f": "fractions"}


def incompatibilities(candidate: Signature, champion: Signature) -> list[str]:
    """What callers of the champion would run into with the candidate, in words; nothing if they may be exchanged."""
    return [
        *_inputs(candidate.inputs, champion.inputs),
        *_params(candidate.params, champion.params),
        *_outputs(candidate.outputs, champion.outputs),
    ]


def _inputs(taken: Schema | None, sent: Schema | None) -> Iterator[str]:
    if not taken or not sent:  # what is not described is not checked when it comes
        return
    if _form(taken) != _form(sent):
        yield f"it takes {_form(taken)} where callers send {_form(sent)}; train with data of the same form"
        return
    before = _by_name(sent)
    for name, spec in _by_name(taken).items():
        yield from _input(name, spec, before.get(name))


def _by_name(specs: Schema) -> dict[Any, Spec]:
    """Inputs by name; by position where they have none."""
    listed: tuple[Spec, ...] = tuple(specs)
    return {position if spec.name is None else spec.name: spec for position, spec in enumerate(listed)}


def _input(name: object, spec: Spec, was: Spec | None) -> Iterator[str]:
    if was is None:
        if spec.required:
            yield f"input {name!r} is new and required, which no caller sends; make it optional or leave it out"
    elif isinstance(spec, ColSpec) and isinstance(was, ColSpec):
        yield from _column(name, spec, was)
    elif isinstance(spec, TensorSpec) and isinstance(was, TensorSpec):
        yield from _tensor(f"input {name!r}", spec, was)


def _column(name: object, spec: ColSpec, was: ColSpec) -> Iterator[str]:
    if spec.required and not was.required:
        yield f"input {name!r} is required now, callers may leave it out; save the model with gaps in its example"
    if spec.type == ANY or (spec.type == was.type and spec.details == was.details):
        return
    if spec.type == was.type:
        yield f"input {name!r} is built otherwise within than what callers send; keep the form of nested values"
    elif spec.type not in WIDER.get(was.type, ()):
        yield (
            f"input {name!r} is {spec.type}, callers send {was.type}, which is not always kept; train with {was.type}"
        )


def _tensor(what: str, spec: TensorSpec, was: TensorSpec) -> Iterator[str]:
    import numpy as np

    given, wanted = np.dtype(was.dtype), np.dtype(spec.dtype)
    numbers = given.kind in "iuf" and wanted.kind in "iufc"
    if given != wanted and wanted.kind != "O" and not (numbers and np.can_cast(given, wanted, "safe")):
        yield f"{what} is {wanted.name}, callers send {given.name}, which is not always kept; train with {given.name}"
    if not _holds(spec.shape, was.shape):
        yield f"{what} has the shape {list(spec.shape)}, callers send {list(was.shape)}; keep the shape"


def _holds(shape: Sequence[int], given: Sequence[int]) -> bool:
    """Whether an array of the given shape fits; -1 stands for any length."""
    return len(shape) == len(given) and all(want in (-1, have) for want, have in zip(shape, given, strict=True))


def _params(known: tuple[ParamSpec, ...] | None, sent: tuple[ParamSpec, ...] | None) -> Iterator[str]:
    if known is None:  # what is not described is not checked when it comes
        return
    now = {spec.name: spec for spec in known}
    for was in sent or ():
        spec = now.get(was.name)
        if spec is None:
            yield f"parameter {was.name!r} is gone, callers may give it; keep it"
        elif (spec.type, spec.shape is None) != (was.type, was.shape is None):
            yield f"parameter {was.name!r} is {spec.type} now, it was {was.type}; keep its type"


def _outputs(given: Schema | None, expected: Schema | None) -> Iterator[str]:
    if not expected:
        return
    if not given:
        yield "its outputs are not described, the champion's are; save it with an input example"
        return
    if _form(given) != _form(expected):
        yield f"it answers with {_form(given)} where callers expect {_form(expected)}; keep the form"
        return
    answers, before = _by_name(given), _by_name(expected)
    for name, was in before.items():
        spec = answers.get(name)
        if spec is None:
            yield f"output {name!r} is gone (it answers with {', '.join(map(repr, answers))}); keep it"
        elif _kind(spec) != _kind(was):
            yield f"output {name!r} is of {_kind(spec)} now, callers expect {_kind(was)}; keep the kind"
        elif isinstance(spec, TensorSpec) and isinstance(was, TensorSpec) and not _holds(was.shape, spec.shape):
            yield f"output {name!r} has the shape {list(spec.shape)}, callers expect {list(was.shape)}; keep it"


def _form(schema: Schema) -> str:
    return "columns" if isinstance(schema[0], ColSpec) else "arrays"


def _kind(spec: Spec) -> str:
    if isinstance(spec, ColSpec):
        return KINDS.get(spec.type, f"type {spec.type}")
    import numpy as np

    dtype = np.dtype(spec.dtype)
    return _TENSOR_KINDS.get(dtype.kind, f"type {dtype.name}")
