"""A model from code, the way MLflow wants it."""

from __future__ import annotations

import mlflow


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # MLflow would take type hints for a schema
        return (model_input["a"] * 2).to_numpy()


mlflow.models.set_model(Doubler())
