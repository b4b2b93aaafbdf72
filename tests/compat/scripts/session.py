"""A working day of MLflow's own client, through its public API only: run as ``python session.py PART URL FOLDER``.

It runs in an environment of its own, without ratoon and without pytest; an assertion that fails ends it.
"""

from __future__ import annotations

import pathlib
import sys

import mlflow
import modelling
import recording
from parts import PARTS

assert modelling and recording  # importing them is what fills the table

if __name__ == "__main__":
    name, url, place = sys.argv[1:]
    mlflow.set_tracking_uri(url)
    PARTS[name](pathlib.Path(place))
    print(f"{name}: passed")
