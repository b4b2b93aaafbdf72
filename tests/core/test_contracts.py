from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import ratoon
import ratoon.testing
from ratoon.artifacts.protocol import ArtifactStore
from ratoon.stores.protocol import Registry, TrackingStore
from ratoon.testing import ArtifactStoreContract, Limit, RegistryContract, TrackingStoreContract
from ratoon.testing.limits import Rules, added, left_out

ROOT = Path(ratoon.__path__[0])


def test_nothing_else_in_ratoon_imports_the_contracts() -> None:
    importing = []
    for path in ROOT.rglob("*.py"):
        if "testing" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            importing += [path for module in modules if module.split(".")[0] in ("pytest", "_pytest")]
            importing += [path for module in modules if module.startswith("ratoon.testing")]
    assert importing == []


@pytest.mark.parametrize(
    ("contract", "protocol"),
    [
        (TrackingStoreContract, TrackingStore),
        (RegistryContract, Registry),
        (ArtifactStoreContract, ArtifactStore),
    ],
)
def test_every_method_of_a_protocol_is_called_by_its_contract(contract: type, protocol: type) -> None:
    source = "".join(inspect.getsource(inspect.getmodule(each) or each) for each in contract.__mro__[:-1])
    methods = {name for part in protocol.__mro__[:-1] for name in vars(part) if not name.startswith("_")}
    assert [name for name in methods if f"store.{name}" not in source] == []


@pytest.mark.parametrize("contract", [TrackingStoreContract, RegistryContract])
def test_a_contract_without_limits_keeps_every_rule_and_none_instead_of_one(contract: type[Rules]) -> None:
    assert left_out(contract) == added(contract) == {}


def test_what_a_limit_takes_away_another_rule_replaces() -> None:
    for limit in Limit:
        limited = [
            type("Limited", (contract,), {"limits": frozenset({limit})})
            for contract in (TrackingStoreContract, RegistryContract)
        ]
        assert any(left_out(each) for each in limited), f"no rule needs what {limit} takes away"
        for each in limited:
            assert bool(left_out(each)) == bool(added(each)), f"nothing says what happens instead of {limit}"
            assert all(getattr(each, name) is None for name in left_out(each))
            assert all(callable(getattr(each, name)) for name in added(each))


def test_a_rule_that_a_test_class_writes_itself_stays() -> None:
    class Mine(TrackingStoreContract):
        limits = frozenset({Limit.PLACES})

        def test_an_experiment_keeps_its_own_place_for_files(self) -> None:
            """My own."""

    class Further(Mine):
        limits = frozenset()

    name = "test_an_experiment_keeps_its_own_place_for_files"
    assert getattr(Mine, name) is getattr(Further, name) is vars(Mine)[name]
    assert left_out(Mine) == {} and added(Further) == {}


def test_a_contract_without_a_store_says_what_is_missing(tmp_path: Path, run_python: object) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from ratoon.testing import ArtifactStoreContract\nclass TestMine(ArtifactStoreContract):\n    pass\n"
    )
    script = "import pytest; raise SystemExit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test_mine.py']))"
    done = run_python(script, returncode=1)  # type: ignore[operator]
    assert "give your test class a fixture 'store' that returns a new, empty store" in done.stdout
    assert " passed" not in done.stdout


def test_the_example_in_the_docstring_is_one(tmp_path: Path, run_python: object) -> None:
    example = inspect.cleandoc(str(ratoon.testing.__doc__)).split("::\n")[1].split("\npytest then")[0]
    fake = "from ratoon.stores.sql.database import Database\nfrom ratoon.stores.sql.tracking import SqlTrackingStore\n"
    fake += "def MyStore(folder): return SqlTrackingStore(Database(f'sqlite:///{folder}/r.db'))\n"
    (tmp_path / "test_mine.py").write_text(fake + inspect.cleandoc(example))
    options = ["-q", "-k", "param_is", "-p", "no:cacheprovider", "test_mine.py"]
    script = f"import pytest; raise SystemExit(pytest.main({options}))"
    assert "1 passed" in run_python(script).stdout  # type: ignore[operator]
