"""One small model for each row of the table of flavors, data for it, and what its library alone predicts.

Neither ratoon nor MLflow is imported here: both sides save these models, and both call what they loaded the same way.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

SCRIPT = pathlib.Path(__file__).with_name("flavors_script.py")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "not")


class Net(torch.nn.Module):
    """A class that can be imported by its name, and called with nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Scaler:
    """A model of nobody's library."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, rows: Any) -> Any:
        return (rows["a"] * self.factor).to_numpy()


def doubled(rows: Any) -> Any:
    return (rows["a"] * 2).to_numpy()


def table() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(40, 4)), columns=list("abcd"))


def arrays() -> Any:
    return np.random.default_rng(0).normal(size=(7, 4)).astype("float32")


def texts() -> pd.DataFrame:
    return pd.DataFrame({"text": ["a good film", "a bad film", "not bad", "good"]})


def kinds() -> Any:
    return np.where(table()["a"] + table()["b"] > 0, "yes", "no")


def amounts() -> Any:
    return (table()["a"] * 2 - table()["c"]).to_numpy()


def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(table(), kinds())


def with_lambda() -> Any:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(lambda rows: rows * 2), LinearRegression()).fit(table(), amounts())


def xgboost_classifier() -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=3).fit(table(), kinds() == "yes")


def xgboost_booster() -> Any:
    import xgboost

    return xgboost.train({"max_depth": 2}, xgboost.DMatrix(table(), amounts()), 3)


def lightgbm_classifier() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=3, verbose=-1).fit(table(), kinds())


def lightgbm_booster() -> Any:
    import lightgbm

    return lightgbm.train({"verbose": -1, "min_data_in_leaf": 3}, lightgbm.Dataset(table(), amounts()), 3)


def catboost_classifier() -> Any:
    import catboost

    options = {"iterations": 3, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    return catboost.CatBoostClassifier(**options).fit(table(), kinds())


def least_squares() -> Any:
    import statsmodels.api as sm

    return sm.OLS(amounts(), table()).fit()


def network() -> Any:
    torch.manual_seed(0)
    return Net().eval()


def network_of_nobody() -> Any:
    """Nothing but layers: which they were is told by no class."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()


def keras_network() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    return model


def tensorflow_module() -> Any:
    import tensorflow as tf

    class Linear(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.reshape(tf.range(8.0), (4, 2)))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return x @ self.weights

    return Linear()


def onnx_graph() -> Any:
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", 1, ["n", 4])],
        [helper.make_tensor_value_info("y", 1, ["n", 2])],
        [numpy_helper.from_array(np.arange(8, dtype="float32").reshape(4, 2), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def text_classifier() -> Any:
    """A pipeline with a few hundred random weights, made without the net."""
    import transformers

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **sizes)
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = pathlib.Path(folder, "vocab.txt")
        vocabulary.write_text("\n".join(WORDS))
        tokenizer = transformers.BertTokenizerFast(str(vocabulary))
    return transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def spark_pipeline() -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler

    # Stages are made in the JVM at once.
    session = spark_session()
    stages = [VectorAssembler(inputCols=list("abcd"), outputCol="features"), LogisticRegression(maxIter=5)]
    return Pipeline(stages=stages).fit(session.createDataFrame(table().assign(label=(kinds() == "yes").astype(int))))


def spark_session() -> Any:
    from pyspark.sql import SparkSession

    options = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.default.parallelism": "1",
    }
    return SparkSession.builder.master("local[1]").config(map=options).getOrCreate()


def predict(model: Any, data: Any) -> Any:
    return model.predict(data)


def predict_booster(model: Any, data: Any) -> Any:
    import xgboost

    return model.predict(xgboost.DMatrix(data))


def predict_keras(model: Any, data: Any) -> Any:
    return model.predict(data, verbose=0) if hasattr(model, "predict") else model.serve(data)


def predict_torch(model: Any, data: Any) -> Any:
    with torch.no_grad():
        return model(torch.from_numpy(data))


def predict_module(model: Any, data: Any) -> Any:
    return model(data)


def predict_onnx(model: Any, data: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {"y": session.run(["y"], {"x": data})[0]}


def predict_texts(model: Any, data: Any) -> Any:
    return model(data["text"].tolist())


def predict_spark(model: Any, data: Any) -> Any:
    return [row.prediction for row in model.transform(spark_session().createDataFrame(data)).collect()]


class Case(NamedTuple):
    """A row: the flavor by its name in both programs, and how to make, feed and call a model of it."""

    flavor: str
    make: Callable[[], Any]
    data: Callable[[], Any] = table
    predict: Callable[[Any, Any], Any] = predict


CASES = {
    "sklearn": Case("sklearn", forest),
    "sklearn-lambda": Case("sklearn", with_lambda),
    "xgboost": Case("xgboost", xgboost_classifier),
    "xgboost-booster": Case("xgboost", xgboost_booster, predict=predict_booster),
    "lightgbm": Case("lightgbm", lightgbm_classifier),
    "lightgbm-booster": Case("lightgbm", lightgbm_booster),
    "catboost": Case("catboost", catboost_classifier),
    "statsmodels": Case("statsmodels", least_squares),
    "pytorch": Case("pytorch", network, arrays, predict_torch),
    "pytorch-class": Case("pytorch", network, arrays, predict_torch),
    "pytorch-pickle": Case("pytorch", network_of_nobody, arrays, predict_torch),
    "keras": Case("keras", keras_network, arrays, predict_keras),
    "keras-exported": Case("keras", keras_network, arrays, predict_keras),
    "keras-tensorflow": Case("tensorflow", keras_network, arrays, predict_keras),
    "tensorflow": Case("tensorflow", tensorflow_module, arrays, predict_module),
    "onnx": Case("onnx", onnx_graph, arrays, predict_onnx),
    "transformers": Case("transformers", text_classifier, texts, predict_texts),
    "spark": Case("spark", spark_pipeline, predict=predict_spark),
    "class": Case("python_function", lambda: Scaler(3.0)),
    "function": Case("python_function", lambda: doubled, predict=lambda model, data: model(data)),
    "script": Case("python_function", lambda: SCRIPT, predict=lambda _, data: doubled(data)),
}


def plain(value: Any) -> Any:
    """Predictions of any type as JSON has them."""
    if isinstance(value, pd.DataFrame):
        return value.to_dict("records")
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if hasattr(value, "detach"):
        value = value.detach()
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value.tolist() if hasattr(value, "tolist") else value


def note(path: pathlib.Path, work: Callable[[], dict[str, Any]]) -> None:
    """Write what a piece of work gives, or the error that it ends with."""
    try:
        result = work()
    except Exception as error:  # each library has errors of its own, and the next piece shall run all the same
        trace = traceback.format_exc()
        result = {"error": type(error).__name__, "message": str(error), "trace": trace[-3000:]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
