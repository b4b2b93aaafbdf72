"""What runs used and produced: datasets and models."""

from __future__ import annotations

from ratoon.entities import ModelOutput
from ratoon.server.endpoint import Answer, Call, Permission
from ratoon.server.wire.inputs import LogInputs, LogOutputs, input_of
from ratoon.tracking.client import Client


def log_inputs(client: Client, request: LogInputs) -> Answer:
    """Record datasets and models that a run used."""
    inputs = [input_of(each) for each in request.datasets or ()]
    client.tracking.log_inputs(request.run, inputs, [model.model_id for model in request.models or ()])
    return {}


def log_outputs(client: Client, request: LogOutputs) -> Answer:
    """Record models that a run produced."""
    client.tracking.log_outputs(
        request.run, [ModelOutput(model_id=each.model_id, step=each.step) for each in request.models]
    )
    return {}


ROUTES = (
    Call("POST", "/runs/log-inputs", log_inputs, Permission.LOG, request=LogInputs),
    Call("POST", "/runs/outputs", log_outputs, Permission.LOG, request=LogOutputs),
)
