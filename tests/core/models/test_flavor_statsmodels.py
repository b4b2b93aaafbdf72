from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.tsa.arima.model import ARIMA

from ratoon.errors import InvalidInput
from ratoon.manager import make_manager
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract


@pytest.fixture(scope="module")
def rows(wine: Any) -> pd.DataFrame:
    return sm.add_constant(wine[0][["ash", "hue", "magnesium"]])


@pytest.fixture(scope="module")
def alcohol(wine: Any) -> pd.Series:
    return wine[0]["alcohol"]


class _Statsmodels(FlavorContract):
    flavor_name = "statsmodels"
    library = "statsmodels"
    trust = "code"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, rows: pd.DataFrame) -> pd.DataFrame:
        return rows

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        return model.predict(data)


class TestLinear(_Statsmodels):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, rows: pd.DataFrame, alcohol: pd.Series) -> Any:
        return sm.OLS(alcohol, rows).fit()


class TestFormula(_Statsmodels):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> pd.DataFrame:
        return wine[0][["ash", "hue", "alcohol"]]

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, data: pd.DataFrame) -> Any:
        return smf.ols("alcohol ~ np.log(ash) + hue", data).fit()


class TestTimeSeries(_Statsmodels):
    finds_example = False

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> pd.DataFrame:
        return pd.DataFrame({"start": [170], "end": [182]})

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, alcohol: pd.Series) -> Any:
        return ARIMA(alcohol.to_numpy(), order=(1, 0, 0)).fit()

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        return model.predict(start=170, end=182)


@pytest.fixture(scope="module")
def flavors() -> pluggy.PluginManager:
    return make_manager(builtins=["ratoon.models.flavors.statsmodels"], installed=False)


def _holds(folder: Path, values: np.ndarray) -> bool:
    content = (folder / "model.statsmodels").read_bytes()
    return values.tobytes() in content


def _models(rows: pd.DataFrame, alcohol: pd.Series) -> dict[str, Any]:
    strong = (alcohol > 13).astype(int)
    return {
        "OLS": sm.OLS(alcohol, rows),
        "GLS": sm.GLS(alcohol, rows),
        "GLM": sm.GLM(strong, rows, family=sm.families.Binomial()),
        "Logit": sm.Logit(strong, rows),
        "RLM": sm.RLM(alcohol, rows),
        "QuantReg": sm.QuantReg(alcohol, rows),
    }


@pytest.mark.parametrize("name", ["OLS", "GLS", "GLM", "Logit", "RLM", "QuantReg"])
def test_training_data_stays_at_home(
    name: str, rows: pd.DataFrame, alcohol: pd.Series, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    model = _models(rows, alcohol)[name]
    result = model.fit(disp=0) if name == "Logit" else model.fit()
    expected = result.predict(rows)
    config = save_model(result, tmp_path / "model", manager=flavors).flavors["statsmodels"]
    assert config["ratoon_holds_training_data"] is False
    assert not _holds(tmp_path / "model", rows["ash"].to_numpy()) and not _holds(tmp_path / "model", model.endog)
    # What the user holds is as it was.
    assert len(result.fittedvalues) == len(rows)
    loaded = load_folder(tmp_path / "model", manager=flavors, trust="code")
    pd.testing.assert_series_equal(loaded.predict(rows), expected)
    np.testing.assert_array_equal(loaded.native.params, result.params)


def test_a_time_series_needs_its_data_and_says_so(
    alcohol: pd.Series, tmp_path: Path, flavors: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
) -> None:
    result = ARIMA(alcohol.to_numpy(), order=(1, 0, 0)).fit()
    with caplog.at_level(logging.WARNING):
        config = save_model(result, tmp_path / "model", manager=flavors).flavors["statsmodels"]
    assert config["ratoon_holds_training_data"] is True and _holds(tmp_path / "model", alcohol.to_numpy())
    assert "holds its training data" in caplog.text and "as private as the data" in caplog.text


def test_a_time_series_is_called_with_a_start_and_an_end(
    alcohol: pd.Series, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    save_model(ARIMA(alcohol.to_numpy(), order=(1, 0, 0)).fit(), tmp_path / "model", manager=flavors)
    loaded = load_folder(tmp_path / "model", manager=flavors, trust="code")
    for data in (pd.DataFrame({"start": [1]}), pd.DataFrame({"start": [1, 2], "end": [3, 4]})):
        with pytest.raises(InvalidInput, match="one row with the columns 'start' and 'end'"):
            loaded.predict(data)


def test_what_statsmodels_itself_unpickles(
    rows: pd.DataFrame, alcohol: pd.Series, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    result = sm.OLS(alcohol, rows).fit()
    save_model(result, tmp_path / "model", manager=flavors)
    loaded = sm.load(tmp_path / "model" / "model.statsmodels")
    pd.testing.assert_series_equal(loaded.predict(rows), result.predict(rows))
    assert pickle.dumps(loaded)
