"""What is said where a library is not installed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from ratoon.errors import MissingExtra
from ratoon.models.flavor import Flavor
from ratoon.models.trust import policy_from


@pytest.mark.parametrize("name", ["catboost", "lightgbm", "statsmodels", "xgboost"])
def test_the_extra_that_installs_the_library_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flavors: dict[str, Flavor] = {}
    import_module(f"ratoon.models.flavors.{name}").register_flavors(flavors.__setitem__)
    (tmp_path / "model").touch()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"'{name}' needs the package '{name}'; pip install 'ratoon\[{name}\]'"):
        flavors[name].load(tmp_path, {"data": "model"}, policy_from("code"))
