from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from ratoon.errors import Corrupt, InvalidInput, Untrusted
from ratoon.models.flavors.sklearn import SklearnFlavor
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model

CLASSIFIERS = {
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "random forest": RandomForestClassifier(20, random_state=0),
    "extra trees": ExtraTreesClassifier(20, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=10, random_state=0),
    "histogram gradient boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "decision tree": DecisionTreeClassifier(random_state=0),
    "ada boost": AdaBoostClassifier(n_estimators=5, random_state=0),
    "k nearest neighbours": KNeighborsClassifier(),
    "ball tree": KNeighborsClassifier(algorithm="ball_tree"),
    "manhattan": KNeighborsClassifier(p=1, algorithm="kd_tree"),
    "support vectors": SVC(),
    "perceptron": make_pipeline(StandardScaler(), MLPClassifier((5,), random_state=0, early_stopping=True)),
    "isolation forest": IsolationForest(n_estimators=10, max_features=3, random_state=0),
    "voting": VotingClassifier([("rf", RandomForestClassifier(5, random_state=0)), ("knn", KNeighborsClassifier())]),
    "calibrated": CalibratedClassifierCV(DecisionTreeClassifier(random_state=0)),
    "search": GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1]}, cv=2),
    "selection": make_pipeline(SimpleImputer(), SelectKBest(k=3), StandardScaler(), LogisticRegression()),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_come_back_without_the_users_doing(
    name: str, wine: Any, tmp_path: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    features, target = wine
    if name == "isolation forest":
        features = features.to_numpy()  # its members are fitted without the names, of which scikit-learn warns
    model = CLASSIFIERS[name].fit(features, target)
    save_model(model, tmp_path / "model", manager=manager, input_example=features)
    loaded = load_folder(tmp_path / "model", manager=manager)
    assert type(loaded.native) is type(model) and loaded.flavor_name == "sklearn" and loaded.verified
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))
    assert (tmp_path / "model" / "model.skops").exists() and not caplog.records


@pytest.mark.parametrize("model", [Ridge(), RandomForestRegressor(10, random_state=0), HistGradientBoostingRegressor()])
def test_regressors_come_back_equal(model: Any, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    features, target = load_diabetes(return_X_y=True)
    model.fit(features, target)
    save_model(model, tmp_path / "model", manager=manager, input_example=features)
    loaded = load_folder(tmp_path / "model", manager=manager)
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))


def test_probabilities_are_equal_too(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    features, target = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(10, random_state=0).fit(features, target)
    save_model(model, tmp_path / "model", manager=manager)
    loaded = load_folder(tmp_path / "model", manager=manager)
    np.testing.assert_array_equal(loaded.native.predict_proba(features), model.predict_proba(features))


def test_categories_and_gaps_come_back(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    frame = pd.DataFrame({"city": ["a", "b", None, "a"] * 5, "age": [1.0, np.nan, 3.0, 4.0] * 5})
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough", sparse_threshold=0)
    model = make_pipeline(encode, HistGradientBoostingClassifier(min_samples_leaf=1, categorical_features=[0]))
    model.fit(frame, [0, 1] * 10)
    save_model(model, tmp_path / "model", manager=manager, input_example=frame)
    loaded = load_folder(tmp_path / "model", manager=manager)
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert loaded.signature is not None and [spec.required for spec in loaded.signature.inputs or ()] == [False, False]


def test_the_keys_are_those_of_mlflow(saved: Path) -> None:
    import sklearn

    flavors = yaml.safe_load((saved / "MLmodel").read_text())["flavors"]
    assert flavors["sklearn"] == {
        "code": None,
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "sklearn_version": sklearn.__version__,
        "skops_trusted_types": None,
    }
    entry = flavors["python_function"]
    assert entry.pop("python_version").startswith("3.")
    assert entry == {
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": "mlflow.sklearn",
        "model_path": "model.skops",
        "predict_fn": "predict",
    }


def test_the_types_that_mlflow_must_trust_are_written_for_it(
    wine: Any, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    info = save_model(DecisionTreeClassifier().fit(*wine), tmp_path / "model", manager=manager)
    assert info.flavors["sklearn"]["skops_trusted_types"] == ["sklearn.tree._tree.Tree"]


def test_what_skops_cannot_write_is_pickled_and_needs_trust(
    wine: Any, tmp_path: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    features, target = wine
    model = make_pipeline(FunctionTransformer(lambda x: x / 2), LogisticRegression(max_iter=5000)).fit(features, target)
    info = save_model(model, tmp_path / "model", manager=manager)
    assert info.flavors["sklearn"]["serialization_format"] == "cloudpickle"
    assert "loading it needs trust='code'" in caplog.text
    assert "cloudpickle==" in (tmp_path / "model" / "requirements.txt").read_text()
    assert not (tmp_path / "model" / "model.skops").exists()
    with pytest.raises(Untrusted, match=r'model\.pkl.*trust="code"'):
        load_folder(tmp_path / "model", manager=manager)
    loaded = load_folder(tmp_path / "model", manager=manager, trust="code")
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))


class Halver(BaseEstimator):
    """A user's own estimator."""

    def fit(self, x: Any, y: Any) -> Halver:
        self.n_features_in_ = x.shape[1]
        return self

    def predict(self, x: Any) -> Any:
        return np.asarray(x)[:, 0] / 2


def test_a_users_own_class_needs_to_be_named(
    wine: Any,
    tmp_path: Path,
    manager: pluggy.PluginManager,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # skops names a class by its module, and test modules are not importable by name.
    monkeypatch.setitem(sys.modules, "my_estimators", sys.modules[__name__])
    monkeypatch.setattr(Halver, "__module__", "my_estimators")
    save_model(Halver().fit(*wine), tmp_path / "model", manager=manager)
    assert "needs trust=['my_estimators.Halver']" in caplog.text
    with pytest.raises(Untrusted, match=r"vouched for: 'my_estimators\.Halver'.*trust=\['my_estimators\.Halver'\]"):
        load_folder(tmp_path / "model", manager=manager)
    for trust in (["my_estimators.Halver"], "code"):
        loaded = load_folder(tmp_path / "model", manager=manager, trust=trust)
        assert loaded.predict(wine[0])[0] == wine[0].iloc[0, 0] / 2


def foreign_model(folder: Path, config: dict[str, Any], files: dict[str, bytes]) -> Path:
    """A folder as MLflow writes it: without digests."""
    folder.mkdir()
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": config}}))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("serialization", ["pickle", "cloudpickle", None])
def test_a_foreign_pickle_is_refused_before_it_is_read(
    serialization: str | None, tmp_path: Path, canary: Any, manager: pluggy.PluginManager
) -> None:
    config = {"pickled_model": "model.pkl"} | ({"serialization_format": serialization} if serialization else {})
    folder = foreign_model(tmp_path / "model", config, {"model.pkl": pickle.dumps(canary)})
    for trust in (None, ["pathlib.Path"]):
        with pytest.raises(Untrusted, match=r"model\.pkl"):
            load_folder(folder, manager=manager, trust=trust)
    assert not canary.path.exists()


def test_a_pickle_that_calls_itself_skops_is_refused(
    tmp_path: Path, canary: Any, manager: pluggy.PluginManager
) -> None:
    config = {"pickled_model": "model.skops", "serialization_format": "skops", "skops_trusted_types": ["builtins.eval"]}
    folder = foreign_model(tmp_path / "model", config, {"model.skops": pickle.dumps(canary)})
    with pytest.raises(Corrupt, match=r"model\.skops' cannot be loaded"):
        load_folder(folder, manager=manager)
    assert not canary.path.exists()


def test_types_that_the_model_itself_trusts_are_not_trusted(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    import skops.io

    payload = skops.io.dumps(make_pipeline(FunctionTransformer(subprocess.getoutput)))
    config = {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "skops_trusted_types": ["subprocess.getoutput"],
    }
    folder = foreign_model(tmp_path / "model", config, {"model.skops": payload})
    with pytest.raises(Untrusted, match=r"'subprocess\.getoutput'"):
        load_folder(folder, manager=manager)


def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    (tmp_path / "outside.skops").touch()
    config = {"pickled_model": "../outside.skops", "serialization_format": "skops"}
    with pytest.raises(Corrupt, match="outside the model"):
        load_folder(foreign_model(tmp_path / "model", config, {}), manager=manager)


def test_an_unknown_serialization_format_is_refused(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    config = {"pickled_model": "model.x", "serialization_format": "dill"}
    with pytest.raises(Corrupt, match="unknown serialization format 'dill'"):
        load_folder(foreign_model(tmp_path / "model", config, {"model.x": b""}), manager=manager)


def test_a_damaged_skops_file_of_mlflow_is_named(saved: Path, tmp_path: Path, manager: pluggy.PluginManager) -> None:
    config = {"pickled_model": "model.skops", "serialization_format": "skops"}
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("schema.json", "{}")
    for number, content in enumerate(
        ((saved / "model.skops").read_bytes()[:1000], (tmp_path / "empty.zip").read_bytes())
    ):
        folder = foreign_model(tmp_path / f"damaged{number}", config, {"model.skops": content})
        with pytest.raises(Corrupt, match=r"model\.skops' cannot be loaded"):
            load_folder(folder, manager=manager)


def test_the_example_is_what_the_estimator_was_fitted_with(pipeline: Any, wine: Any) -> None:
    features, target = wine
    others = [3, None, "text", target, target.to_numpy(), features.iloc[:, :5], features[features.columns[::-1]]]
    flavor = SklearnFlavor()
    assert flavor.example_from(pipeline, [*others, features, features]) is features
    assert flavor.example_from(pipeline, others) is None
    array = features.to_numpy()
    fitted = LogisticRegression(max_iter=5000).fit(array, target)
    assert flavor.example_from(fitted, [target, array[:, :5], array]) is array
    assert flavor.example_from(LogisticRegression(), [features, array]) is None


def test_an_estimator_without_predict_is_saved_but_cannot_be_called(
    wine: Any, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    info = save_model(StandardScaler().fit(wine[0]), tmp_path / "model", manager=manager, input_example=wine[0])
    assert "python_function" not in info.flavors and info.signature is not None and info.signature["outputs"] is None
    loaded = load_folder(tmp_path / "model", manager=manager)
    with pytest.raises(InvalidInput, match=r"'StandardScaler' cannot predict .* use \.native"):
        loaded.predict(wine[0])


def test_recognising_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from ratoon.models.flavors.sklearn import SklearnFlavor; "
        "assert not SklearnFlavor().recognises(object()); assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("missing", "package"), [("sklearn", "scikit-learn"), ("skops", "skops")])
def test_a_missing_library_is_named_with_what_installs_it(saved: Path, missing: str, package: str) -> None:
    code = f"""
import sys; sys.modules[{missing!r}] = None
from pathlib import Path
from ratoon.manager import make_manager
from ratoon.models.loading import load_folder
load_folder(Path({str(saved)!r}), manager=make_manager(builtins=["ratoon.models.flavors.sklearn"], installed=False))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    message = f"the flavor 'sklearn' needs the package '{package}'; pip install 'ratoon[sklearn]'"
    assert result.stderr.strip().endswith(message)


def test_a_type_of_ours_is_known_to_this_version_of_scikit_learn() -> None:
    from importlib import import_module

    from ratoon.models.flavors.sklearn_types import KNOWN_TYPES

    for name in KNOWN_TYPES:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name
