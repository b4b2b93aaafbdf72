"""What may stand under ``pipeline_models``, and what is said about everything else."""

from __future__ import annotations

from typing import Any

import pytest

from ratoon.errors import InvalidSetting
from ratoon_kedro.options.config import Registration
from ratoon_kedro.pipeline_models.config import PipelineModel, parse_pipeline_models

LEAST = {"pipeline": "inference", "input": "wines"}


def test_everything_that_can_be_said() -> None:
    given = {
        **LEAST,
        "output": "answers",
        "example": "test_wines",
        "after": "training",
        "parameters": ["params:threshold", "model.sure"],
        "register": {"name": "wine", "alias": "champion", "policy": "promotion.yml"},
    }
    assert parse_pipeline_models({"service": given, "least": LEAST, "short": {**LEAST, "register": "wine"}}, "f") == {
        "service": PipelineModel(
            name="service",
            pipeline="inference",
            input="wines",
            output="answers",
            example="test_wines",
            after=("training",),
            parameters=("threshold", "model.sure"),
            register=Registration("wine", "champion", "promotion.yml"),
        ),
        "least": PipelineModel(name="least", pipeline="inference", input="wines"),
        "short": PipelineModel(name="short", pipeline="inference", input="wines", register=Registration("wine")),
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "setting 'pipeline_models' in conf/ratoon.yml is []; give a mapping of model names to mappings"),
        ({"service": "inference"}, "'pipeline_models.service' in conf/ratoon.yml is 'inference'; give a mapping with"),
        ({"a/b": LEAST}, "give a name of a model without any of / : @ % # ?"),
        ({"service": {"pipeline": "inference"}}, "give 'input', too"),
        (
            {"service": {**LEAST, "pipline": "x"}},
            "'pipeline_models.service.pipline' in conf/ratoon.yml is unknown; di",
        ),
        ({"service": {**LEAST, "colour": "x"}}, "is unknown; known keys are pipeline, input, output, example, after"),
        ({"service": {**LEAST, "output": 3}}, "'pipeline_models.service.output' in conf/ratoon.yml is 3; give a name"),
        ({"service": {**LEAST, "after": [1]}}, "is [1]; give a name or a list of names"),
        ({"service": {**LEAST, "register": {}}}, "give a model's name, or 'name' and 'alias' and 'policy'"),
        ({"service": {**LEAST, "register": {"nam": "x"}}}, "'pipeline_models.service.register.nam' in conf/ratoon.yml"),
        ({"service": {**LEAST, "register": {"name": 1}}}, "'pipeline_models.service.register.name' in conf/ratoon.yml"),
    ],
)
def test_everything_else_is_refused(value: Any, said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        parse_pipeline_models(value, "conf/ratoon.yml")
    assert said in str(refused.value)
