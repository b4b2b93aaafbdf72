"""Signatures: what callers of the champion would run into with the candidate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from ratoon.models.schema import ColSpec, ParamSpec, TensorSpec
from ratoon.models.signature import Signature
from ratoon.registry.compatibility import incompatibilities
from ratoon.registry.promotion import promote, set_alias
from ratoon.tracking.client import Client

from .conftest import FRAME, TARGETS, Refused, Version, wine_policy

SIGNATURE = wine_policy(signature={})


def columns(*specs: str) -> tuple[ColSpec, ...]:
    """Columns such as ``sugar:double`` or, if they may be left out, ``sugar:double?``."""
    found = []
    for spec in specs:
        name, _, kind = spec.partition(":")
        found.append(ColSpec(name=name or None, type=kind.rstrip("?"), required=not kind.endswith("?")))
    return tuple(found)


def tensor(dtype: str, *shape: int, name: str | None = None) -> tuple[TensorSpec, ...]:
    return (TensorSpec(dtype=dtype, shape=shape, name=name),)


def nested(**details: Any) -> tuple[ColSpec, ...]:
    return (ColSpec(name="words", type="array", details=details),)


INPUTS = [
    (columns("a:double"), columns("a:double"), None),
    (columns("a:double"), columns("a:double", "b:long"), None),
    (columns("b:long", "a:double"), columns("a:double", "b:long"), None),
    (columns("a:double", "b:long?"), columns("a:double"), None),
    (columns("a:double", "b:long"), columns("a:double"), "input 'b' is new and required, which no caller sends"),
    (columns("a:double?"), columns("a:double"), None),
    (columns("a:double"), columns("a:double?"), "input 'a' is required now, callers may leave it out"),
    (columns("a:long"), columns("a:integer"), None),
    (columns("a:double"), columns("a:integer"), None),
    (columns("a:double"), columns("a:float"), None),
    (columns("a:any"), columns("a:string"), None),
    (columns("a:float"), columns("a:integer"), "input 'a' is float, callers send integer, which is not always kept"),
    (columns("a:double"), columns("a:long"), "input 'a' is double, callers send long, which is not always kept"),
    (columns("a:float"), columns("a:double"), "input 'a' is float, callers send double"),
    (columns("a:integer"), columns("a:long"), "input 'a' is integer, callers send long"),
    (columns("a:long"), columns("a:boolean"), "input 'a' is long, callers send boolean"),
    (columns("a:string"), columns("a:long"), "input 'a' is string, callers send long"),
    (columns("a:string"), columns("a:any"), "input 'a' is string, callers send any"),
    (columns(":double", ":double"), columns(":double", ":double"), None),
    (columns(":double", ":double"), columns(":double"), "input 1 is new and required"),
    (nested(items={"type": "string"}), nested(items={"type": "string"}), None),
    (nested(items={"type": "long"}), nested(items={"type": "string"}), "input 'words' is built otherwise within"),
    (columns("a:double"), tensor("float64", -1, 1), "it takes columns where callers send arrays"),
    (tensor("float64", -1, 1), columns("a:double"), "it takes arrays where callers send columns"),
    (tensor("float64", -1, 4), tensor("float32", -1, 4), None),
    (tensor("float64", -1, -1), tensor("float64", -1, 4), None),
    (tensor("float32", -1, 4), tensor("float64", -1, 4), "input 0 is float32, callers send float64"),
    (tensor("float64", -1, 4), tensor("int64", -1, 4), None),
    (tensor("float64", -1, 4), tensor("bool", -1, 4), "input 0 is float64, callers send bool"),
    (tensor("float64", -1, 5), tensor("float64", -1, 4), "input 0 has the shape [-1, 5], callers send [-1, 4]"),
    (tensor("float64", -1, 4), tensor("float64", -1, -1), "input 0 has the shape [-1, 4], callers send [-1, -1]"),
    (tensor("float64", -1), tensor("float64", -1, 4), "input 0 has the shape [-1], callers send [-1, 4]"),
    (tensor("int64", -1, name="mask"), tensor("int64", -1, name="ids"), "input 'mask' is new and required"),
    (None, columns("a:double"), None),
    (columns("a:double"), None, None),
]


@pytest.mark.parametrize(("candidate", "champion", "fault"), INPUTS)
def test_every_input_of_today_is_accepted(candidate: Any, champion: Any, fault: str | None) -> None:
    found = incompatibilities(Signature(inputs=candidate), Signature(inputs=champion))
    assert found == [] if fault is None else len(found) == 1 and found[0].startswith(fault) and ";" in found[0]


OUTPUTS = [
    (columns(":long"), columns(":integer"), None),
    (columns(":float"), columns(":double"), None),
    (columns(":double"), columns(":long"), "output 0 is of fractions now, callers expect whole numbers; keep the kind"),
    (columns(":string"), columns(":long"), "output 0 is of type string now, callers expect whole numbers"),
    (columns("p:double", "q:double"), columns("p:double"), None),
    (columns("q:double"), columns("p:double"), "output 'p' is gone (it answers with 'q'); keep it"),
    (None, columns(":long"), "its outputs are not described, the champion's are"),
    (columns(":long"), None, None),
    (tensor("float32", -1), tensor("float64", -1), None),
    (tensor("int64", -1), tensor("float64", -1), "output 0 is of whole numbers now, callers expect fractions"),
    (tensor("bool", -1), tensor("float64", -1), "output 0 is of type bool now, callers expect fractions"),
    (tensor("float64", -1, 3), tensor("float64", -1, 2), "output 0 has the shape [-1, 3], callers expect [-1, 2]"),
    (columns(":double"), tensor("float64", -1), "it answers with columns where callers expect arrays"),
]


@pytest.mark.parametrize(("candidate", "champion", "fault"), OUTPUTS)
def test_the_answers_are_of_the_same_kind(candidate: Any, champion: Any, fault: str | None) -> None:
    found = incompatibilities(Signature(outputs=candidate), Signature(outputs=champion))
    assert found == [] if fault is None else len(found) == 1 and found[0].startswith(fault)


def test_parameters_that_callers_give_are_kept() -> None:
    def params(**kinds: str) -> Signature:
        return Signature(params=tuple(ParamSpec(name=name, type=kind) for name, kind in kinds.items()))

    assert incompatibilities(params(top="long", new="string"), params(top="long")) == []
    assert incompatibilities(Signature(), params(top="long")) == []
    assert incompatibilities(params(top="long"), Signature()) == []
    assert incompatibilities(params(), params(top="long")) == ["parameter 'top' is gone, callers may give it; keep it"]
    assert incompatibilities(params(top="double"), params(top="long")) == [
        "parameter 'top' is double now, it was long; keep its type"
    ]


def test_a_model_that_needs_a_new_column_is_refused(client: Client, add: Version, refused: Refused) -> None:
    add()
    assert promote(client, "wine", 1, policy=SIGNATURE).verdicts[0].reason.startswith("it has a signature, and there")
    wider = FRAME.assign(colour=[1.0, 2.0, 3.0, 4.0])
    add(model=LogisticRegression().fit(wider, TARGETS), example=wider)
    verdict = refused(2, SIGNATURE)
    assert verdict.gate == "signature compatible"
    assert (
        verdict.reason == "input 'colour' is new and required, which no caller sends; make it optional or leave it out"
    )


def test_a_model_that_needs_less_is_promoted(client: Client, add: Version) -> None:
    add()
    set_alias(client, "wine", "champion", 1)
    add(model=LogisticRegression().fit(FRAME[["acid"]], TARGETS), example=FRAME[["acid"]])
    (verdict,) = promote(client, "wine", 2, policy=SIGNATURE).verdicts
    assert verdict.reason == "what callers send to version 1 is accepted, the answers are of the same kind"


def test_answers_of_another_kind_are_refused(client: Client, add: Version, refused: Refused) -> None:
    add()
    set_alias(client, "wine", "champion", 1)
    add(model=LinearRegression().fit(FRAME, TARGETS))
    assert "output 0 is of fractions now, callers expect whole numbers" in refused(2, SIGNATURE).reason


def test_a_model_without_a_signature_is_refused_and_its_successor_is_not(
    client: Client, add: Version, refused: Refused
) -> None:
    add(example=None)
    said = "version 1 has no signature; log the model with an input example"
    assert refused(1, SIGNATURE).reason == said
    set_alias(client, "wine", "champion", 1)
    add()
    assert promote(client, "wine", 2, policy=SIGNATURE).verdicts[0].reason == (
        "version 1, the champion, has none to compare it with"
    )


def test_files_that_are_gone_are_a_refusal(client: Client, add: Version, refused: Refused) -> None:
    version = add()
    client.artifacts.delete(client.tracking.get_model(str(version.model_id)).artifact_uri.split(":/")[1].strip("/"))
    assert "MLmodel" in refused(1, SIGNATURE).reason


def test_what_is_called_compatible_is_accepted_by_the_model_itself() -> None:
    """The table above and what enforcement does are the same, for the extreme values of each type."""
    extremes: dict[str, Any] = {
        "boolean": np.array([True, False]),
        "integer": np.array([-(2**31), 2**31 - 1], "int32"),
        "long": np.array([-(2**63), 2**63 - 1], "int64"),
        "float": np.array([-3.4e38, 1.1754944e-38], "float32"),
        "double": np.array([-1.7e308, 5e-324], "float64"),
        "string": np.array(["", "x"], object),
    }
    for was, values in extremes.items():
        for now in extremes:
            candidate = Signature(inputs=columns(f"a:{now}"))
            try:
                taken = candidate.enforce(pd.DataFrame({"a": values}))
                accepted = taken["a"].tolist() == values.tolist()
            except Exception:
                accepted = False
            found = incompatibilities(candidate, Signature(inputs=columns(f"a:{was}")))
            assert (found == []) == accepted, (was, now, found)
