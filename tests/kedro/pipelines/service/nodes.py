from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from .words import word_for


def split(wines: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    return wines.drop(columns="target"), wines["target"]


def fit(features: pd.DataFrame, grower: pd.Series) -> tuple[StandardScaler, LogisticRegression, pd.DataFrame]:
    scaler = StandardScaler().fit(features)
    limits = pd.DataFrame({"low": features.min(), "high": features.max()})
    return scaler, LogisticRegression().fit(scaler.transform(features), grower), limits


def check(classifier: LogisticRegression, scaler: StandardScaler, features: pd.DataFrame) -> float:
    return float(classifier.predict(scaler.transform(features)).mean())


def clean(features: pd.DataFrame, limits: pd.DataFrame, widen: float) -> pd.DataFrame:
    # In place, as nodes may do it: whoever else uses the table must not see it.
    limits["low"] -= widen
    limits["high"] += widen
    for column in features:
        features[column] = features[column].clip(limits.loc[column, "low"], limits.loc[column, "high"])
    return features


def scale(cleaned: pd.DataFrame, scaler: StandardScaler) -> tuple[np.ndarray, int]:
    return scaler.transform(cleaned), len(cleaned)


def answer(scaled: np.ndarray, classifier: LogisticRegression, decision: dict) -> pd.DataFrame:
    sure = classifier.predict_proba(scaled).max(axis=1)
    words = [
        word_for(int(each)) if how >= decision["sure"] else "unknown"
        for each, how in zip(classifier.predict(scaled), sure, strict=True)
    ]
    return pd.DataFrame({"grower": words, "sure": sure})
