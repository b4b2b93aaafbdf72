from __future__ import annotations

import json
import logging
import pickle
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import torch
import yaml

from ratoon.errors import Corrupt, InvalidInput, RatoonError, Untrusted
from ratoon.manager import make_manager
from ratoon.models.flavors.pt2_checks import check_archive, is_expression, is_guard
from ratoon.models.flavors.pytorch import PytorchFlavor
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.models.trust import policy_from
from ratoon.testing import FlavorContract

pytestmark = [
    # PyTorch says so of TorchScript, which it still saves and loads, and which old models of MLflow are made of.
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]
DYNAMIC = ({0: torch.export.Dim.DYNAMIC},)


class Net(torch.nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(width, 8)
        self.out = torch.nn.Linear(8, 2)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        return self.out(self.dropout(torch.relu(self.hidden(x))))


class Sized(Net):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.init_args = {"width": width}


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.second = torch.nn.Linear(4, 4)
        self.second.weight = self.first.weight


class Named(torch.nn.Module):
    def forward(self, left: Any, right: Any) -> Any:
        return {"sum": left + right, "both": (left, right)}


def rows(count: int = 7) -> Any:
    return np.random.default_rng(0).normal(size=(count, 4)).astype("float32")


def exported(model: Any, count: int = 7) -> Any:
    return torch.export.export(model.eval(), (torch.from_numpy(rows(count)),), dynamic_shapes=DYNAMIC)


def not_exportable(model: Any) -> Any:
    """The module, with a hook that looks at the numbers: no graph can be made of that."""
    # Written in __main__, so that a pickle holds the function and not the name of this module.
    model.register_forward_pre_hook(
        eval("lambda module, args: bool(args[0].sum() > 1e9) or None", {"__name__": "__main__"})
    )
    return model.eval()


class TestExportedProgram(FlavorContract):
    flavor_name = "pytorch"
    library = "torch"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Any:
        return rows()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        torch.manual_seed(0)
        return exported(Net())


class TestPickled(TestExportedProgram):
    trust = "code"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return not_exportable(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh()))


class TestWeights(TestExportedProgram):
    trust = ("torch.nn.modules.activation.PReLU",)
    finds_example = False

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return not_exportable(torch.nn.PReLU())


@pytest.fixture(scope="module")
def manager() -> pluggy.PluginManager:
    return make_manager(builtins=["ratoon.models.flavors.pytorch"], installed=False)


@pytest.fixture
def own_package(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with the classes of this one: test modules cannot be imported by theirs."""
    module = types.ModuleType("my_nets")
    for kind in (Net, Sized, Tied):
        monkeypatch.setattr(kind, "__module__", "my_nets")
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "my_nets", module)
    return "my_nets"


def save(model: Any, folder: Path, example: Any = None) -> dict[str, Any]:
    """A folder as the flavor leaves it, with the MLmodel file that loading needs."""
    folder.mkdir()
    config = dict(PytorchFlavor().save_with_example(model, folder, example))
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"pytorch": config}}))
    return config


def rewritten(folder: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The archive of a model with other records."""
    path = folder / "data" / "model.pt2"
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    change(records)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return path


def in_graph(change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def apply(records: dict[str, bytes]) -> None:
        graph = json.loads(records["model/models/model.json"])
        change(graph)
        records["model/models/model.json"] = json.dumps(graph).encode()

    return apply


class TestExporting:
    def test_a_module_with_an_example_needs_no_code_and_takes_any_batch(
        self, tmp_path: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
    ) -> None:
        for count in (1, 5):
            model = Net().train()
            config = save(model, tmp_path / str(count), rows(count))
            assert (config["ratoon_format"], config["model_data"]) == ("pt2", "data") and model.dropout.training
            loaded = load_folder(tmp_path / str(count), manager=manager)
            for size in (1, 2, 9):
                wanted = model.eval()(torch.from_numpy(rows(size))).detach().numpy()
                np.testing.assert_allclose(loaded.predict(rows(size)), wanted, atol=1e-6)
        assert not [record for record in caplog.records if record.name.startswith("ratoon")]

    def test_named_tensors_and_several_outputs(self, tmp_path: Path, manager: pluggy.PluginManager) -> None:
        example = {"left": rows(3), "right": rows(3)}
        assert save(Named(), tmp_path / "model", example)["ratoon_format"] == "pt2"
        outputs = load_folder(tmp_path / "model", manager=manager).predict({"left": rows(2), "right": rows(2)})
        np.testing.assert_array_equal(outputs["sum"], rows(2) * 2)
        assert set(outputs["both"]) == {"output_0", "output_1"}

    def test_what_cannot_be_exported_is_kept_in_another_form(
        self, tmp_path: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Branching(torch.nn.Module):
            def forward(self, x: Any) -> Any:
                return x + 1 if x.sum() > 0 else x - 1

        with caplog.at_level(logging.INFO, logger="ratoon"):
            assert save(Branching(), tmp_path / "model", rows())["ratoon_format"] == "pickle"
        assert "Branching' is not exported" in caplog.text and "needs trust='code'" in caplog.text

    def test_a_table_becomes_a_table(self) -> None:
        frame = pd.DataFrame(rows(2).astype("float64"), index=[5, 6], columns=list("abcd"))
        predicted = PytorchFlavor().predict(Net(), frame)
        assert isinstance(predicted, pd.DataFrame) and list(predicted.index) == [5, 6] and predicted.shape == (2, 2)

    def test_data_that_is_no_number_is_named(self) -> None:
        for data in (pd.DataFrame({"a": ["x"]}), np.array(["x"]), object()):
            with pytest.raises(InvalidInput, match="all numbers|cannot become a tensor|cannot be given"):
                PytorchFlavor().predict(Net(), data)

    def test_what_is_no_tensor_is_named(self) -> None:
        class Chatty(torch.nn.Module):
            def forward(self, x: Any) -> Any:
                return "text"

        with pytest.raises(RatoonError, match="a value of type 'str'"):
            PytorchFlavor().predict(Chatty(), rows())

    def test_the_example_fits_the_graph(self) -> None:
        flavor, array = PytorchFlavor(), rows()
        for model in (exported(Net()), Net()):
            assert flavor.example_from(model, [rows()[:, :3], array]) is array


# Each would run code, or read a file, if PyTorch read it.
EVIL = {
    "an expression": lambda graph: graph["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"].update(
        expr_str="__import__('os').system('touch ran')"
    ),
    "a function of the module os": lambda graph: graph["graph_module"]["graph"]["nodes"][-1].update(
        target="torch.os.system"
    ),
    "an operator that reads a file": lambda graph: graph["graph_module"]["graph"]["nodes"][-1].update(
        target="torch.ops.aten.from_file.default"
    ),
    "an operator that writes a file": lambda graph: graph["graph_module"]["graph"]["nodes"][-1].update(
        target="torch.ops.aten.save.default"
    ),
    "a higher-order operator": lambda graph: graph["graph_module"]["graph"]["nodes"][-1].update(
        target="torch.ops.higher_order.call_torchbind"
    ),
    "a name that is a statement": lambda graph: graph["graph_module"]["graph"]["nodes"][-1].update(
        name="x=1;import os"
    ),
    "a guard": lambda graph: graph.update(guards_code=["__import__('os').system('touch ran')"]),
    "a guard that calls": lambda graph: graph.update(guards_code=["L['x'].numpy()[0] == 1"]),
    "an enumeration": lambda graph: graph["graph_module"]["module_call_graph"][0]["signature"].update(
        in_spec='[1, {"type": "builtins.dict", "context": "[{\\"__enum__\\": true, \\"fqn\\": \\"antigravity:X\\"}]", '
        '"children_spec": []}]'
    ),
    "a default factory": lambda graph: graph["graph_module"]["module_call_graph"][0]["signature"].update(
        out_spec='[1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}]'
    ),
}


class TestArchives:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        save(exported(Net()), tmp_path / "model")
        return tmp_path / "model"

    @pytest.mark.parametrize("what", EVIL)
    def test_a_graph_that_would_run_code_is_refused_before_it_is_read(
        self, what: str, folder: Path, manager: pluggy.PluginManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        rewritten(folder, in_graph(EVIL[what]))
        with pytest.raises(Untrusted, match=r'model\.pt2.*trust="code"'):
            load_folder(folder, manager=manager)
        assert not (folder / "ran").exists() and "antigravity" not in sys.modules

    def test_pickled_weights_are_refused(self, folder: Path, manager: pluggy.PluginManager, canary: Any) -> None:
        name = "model/data/weights/model_weights_config.json"

        def change(records: dict[str, bytes]) -> None:
            config = json.loads(records[name])
            config["config"]["out.bias"]["use_pickle"] = True
            records[name] = json.dumps(config).encode()
            records["model/data/weights/weight_3"] = pickle.dumps(canary)

        rewritten(folder, change)
        with pytest.raises(Untrusted, match="weight or constant is pickled"):
            load_folder(folder, manager=manager)
        assert not canary.path.exists()

    def test_pickled_samples_are_refused(self, folder: Path, manager: pluggy.PluginManager, canary: Any) -> None:
        rewritten(folder, lambda records: records.update({"model/data/sample_inputs/model.pt": pickle.dumps(canary)}))
        with pytest.raises(Untrusted, match="sample inputs are more than tensors"):
            load_folder(folder, manager=manager)
        assert not canary.path.exists()

    @pytest.mark.parametrize(
        "name", ["version", "model/../../x", "/x", "model/data/aotinductor/model/x.so", "other/models/model.json"]
    )
    def test_foreign_records_are_refused(self, name: str, folder: Path, manager: pluggy.PluginManager) -> None:
        rewritten(folder, lambda records: records.update({name: b"1"}))
        with pytest.raises(Untrusted, match="records are not in one folder|has the record"):
            load_folder(folder, manager=manager)

    def test_what_is_no_archive_is_named(self, folder: Path, manager: pluggy.PluginManager) -> None:
        (folder / "data" / "model.pt2").write_bytes(b"nothing")
        with pytest.raises(Corrupt, match=r"model\.pt2' is no \.pt2 archive \(BadZipFile\)"):
            load_folder(folder, manager=manager)
        with pytest.raises(RatoonError, match=r"model\.pt2' cannot be loaded"):
            load_folder(folder, manager=manager, trust="code")

    def test_operators_of_others_need_to_be_named(self, tmp_path: Path, manager: pluggy.PluginManager) -> None:
        @torch.library.custom_op("mine::double", mutates_args=())
        def double(x: torch.Tensor) -> torch.Tensor:
            return x * 2

        double.register_fake(torch.empty_like)

        class Doubler(torch.nn.Module):
            def forward(self, x: Any) -> Any:
                return torch.ops.mine.double(x)

        save(Doubler(), tmp_path / "model", rows())
        assert check_archive(tmp_path / "model" / "data" / "model.pt2") == {"mine.double"}
        with pytest.raises(Untrusted, match=r"trust=\['mine\.double'\]"):
            load_folder(tmp_path / "model", manager=manager)
        loaded = load_folder(tmp_path / "model", manager=manager, trust=["mine.double"])
        np.testing.assert_array_equal(loaded.predict(rows()), rows() * 2)

    @pytest.mark.parametrize(
        ("text", "allowed"),
        [
            ("Symbol('s0', positive=True, integer=True)", True),
            ("Add(Integer(1), Mul(Integer(2), Symbol('s0')))", True),
            ("2*s0 + 1", True),
            ("Max(1, s0//2)", True),
            ("exec('x')", False),
            ("Symbol('s0').name", False),
            ("Symbol('a b')", False),
            ("[x for x in s0]", False),
            ("(lambda: 0)()", False),
            ("__import__", False),
            ("Eq(s0", False),
            ("f'{s0}'", False),
        ],
    )
    def test_expressions(self, text: str, allowed: bool) -> None:
        assert is_expression(text) is allowed

    def test_guards(self) -> None:
        assert is_guard("2*L['x'].size()[0] > 5") and is_guard("L['args'][0].size()[1] == 3")
        assert not is_guard("L['x'].size(exec('1'))[0] > 5") and not is_guard("L['x'].tolist()")


class TestClasses:
    def test_weights_need_the_class_to_be_named(
        self, own_package: str, tmp_path: Path, manager: pluggy.PluginManager, caplog: pytest.LogCaptureFixture
    ) -> None:
        for model, name in ((Net(), "Net"), (Sized(4), "Sized")):
            folder = tmp_path / name
            config = save(model, folder)
            assert config["ratoon_class"] == f"my_nets.{name}" and f"trust=['my_nets.{name}']" in caplog.text
            for trust in (None, ["my_nets.Other"]):
                with pytest.raises(Untrusted, match=rf"'my_nets\.{name}'"):
                    load_folder(folder, manager=manager, trust=trust)
            for trust in ([f"my_nets.{name}"], "code"):
                loaded = load_folder(folder, manager=manager, trust=trust)
                assert type(loaded.native) is type(model) and not loaded.native.training
                np.testing.assert_array_equal(loaded.predict(rows()), PytorchFlavor().predict(model, rows()))
        assert PytorchFlavor().python_function(model, config) is None

    def test_a_class_that_is_named_by_a_file_only_is_not_imported(
        self, own_package: str, tmp_path: Path, manager: pluggy.PluginManager
    ) -> None:
        config = save(Net(), tmp_path / "model") | {"ratoon_class": "antigravity.Net"}
        (tmp_path / "model" / "MLmodel").write_text(yaml.safe_dump({"flavors": {"pytorch": config}}))
        with pytest.raises(Untrusted, match=r"'antigravity\.Net'"):
            load_folder(tmp_path / "model", manager=manager)
        assert "antigravity" not in sys.modules

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"ratoon_class": "my_nets.Gone"}, RatoonError, "is not in its module"),
            ({"ratoon_class": "no_such_package.Net"}, RatoonError, "cannot be imported"),
            ({"ratoon_class": None}, Corrupt, "does not say which class"),
            ({"ratoon_arguments": {"width": 3}}, Corrupt, "does not fit the class 'my_nets.Net'"),
            ({"ratoon_format": "dill"}, Corrupt, "unknown format 'dill'"),
            ({"model_data": "../x"}, Corrupt, "outside the model"),
        ],
    )
    def test_what_is_wrong_is_named(
        self,
        change: dict[str, Any],
        error: type[Exception],
        message: str,
        own_package: str,
        tmp_path: Path,
        manager: pluggy.PluginManager,
    ) -> None:
        config = save(Net(), tmp_path / "model") | change
        (tmp_path / "model" / "MLmodel").write_text(yaml.safe_dump({"flavors": {"pytorch": config}}))
        with pytest.raises(error, match=message):
            load_folder(tmp_path / "model", manager=manager, trust="code")

    def test_tied_weights_survive(self, own_package: str, tmp_path: Path, manager: pluggy.PluginManager) -> None:
        assert save(Tied(), tmp_path / "model")["ratoon_format"] == "safetensors"
        native = load_folder(tmp_path / "model", manager=manager, trust=["my_nets.Tied"]).native
        assert native.first.weight is native.second.weight


def test_what_a_load_would_do_is_shown(own_package: str, tmp_path: Path) -> None:
    shown = []
    for number, model in enumerate((exported(Net()), Net(), torch.nn.Sequential(torch.nn.Linear(4, 2)))):
        config = save(model, tmp_path / str(number))
        shown += PytorchFlavor().needs(tmp_path / str(number), config)
    assert [(need.file, need.level.value, need.names) for need in shown] == [
        ("data/model.pt2", "data", ()),
        ("data/model.safetensors", "trusted-types", ("my_nets.Net",)),
        ("data/model.pth", "trusted-code", ()),
    ]
    rewritten(tmp_path / "0", in_graph(EVIL["an expression"]))
    (need,) = PytorchFlavor().needs(tmp_path / "0", {"model_data": "data"})
    assert need.level.value == "trusted-code" and "could run any code" in need.reason


def test_a_module_with_an_example_needs_no_trust(tmp_path: Path, manager: pluggy.PluginManager) -> None:
    model = Net().eval()
    save_model(model, tmp_path / "model", manager=manager, input_example=rows())
    loaded = load_folder(tmp_path / "model", manager=manager)
    assert loaded.info.flavors["pytorch"]["model_data"] == "data"
    assert loaded.signature is not None and loaded.signature.outputs is not None
    np.testing.assert_allclose(loaded.predict(rows(3)), model(torch.from_numpy(rows(3))).detach(), rtol=1e-6)


class TestPickles:
    def test_a_scripted_module_comes_back(self, tmp_path: Path, manager: pluggy.PluginManager) -> None:
        model = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 2)).eval())
        save_model(model, tmp_path / "model", manager=manager)
        with pytest.raises(Untrusted, match=r'model\.pth.*trust="code"'):
            load_folder(tmp_path / "model", manager=manager)
        loaded = load_folder(tmp_path / "model", manager=manager, trust="code")
        np.testing.assert_array_equal(loaded.predict(rows()), PytorchFlavor().predict(model, rows()))

    @pytest.mark.parametrize("config", [{"model_data": "data"}, {"model_data": "data/model.pth"}, {}])
    def test_a_foreign_pickle_is_refused_before_it_is_read(
        self, config: dict[str, str], tmp_path: Path, canary: Any, manager: pluggy.PluginManager
    ) -> None:
        (tmp_path / "data").mkdir()
        torch.save(canary, tmp_path / "data" / "model.pth")
        (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"pytorch": config}}))
        with pytest.raises(RatoonError):
            load_folder(tmp_path, manager=manager)
        assert not canary.path.exists()

    def test_a_module_that_the_file_names_is_not_imported(self, tmp_path: Path, manager: pluggy.PluginManager) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(4, 1))
        save_model(model, tmp_path / "model", manager=manager)
        config = {"model_data": "data", "pytorch_version": "2.0"}
        (tmp_path / "model" / "data" / "pickle_module_info.txt").write_text("antigravity")
        (tmp_path / "model" / "digests.json").unlink()
        (tmp_path / "model" / "MLmodel").write_text(yaml.safe_dump({"flavors": {"pytorch": config}}))
        loaded = load_folder(tmp_path / "model", manager=manager, trust="code")
        assert loaded.predict(rows()).shape == (7, 1) and "antigravity" not in sys.modules

    def test_what_cannot_be_pickled_or_read_is_named(self, tmp_path: Path, manager: pluggy.PluginManager) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(4, 1))
        with (tmp_path / "log").open("w") as file:
            model.log = file
            with pytest.raises(InvalidInput, match="keep open files"):
                save_model(model, tmp_path / "model", manager=manager)
        (tmp_path / "model.pth").write_bytes(b"nothing")
        config = {"model_data": "model.pth"}
        with pytest.raises(Corrupt, match=r"model\.pth' cannot be loaded"):
            PytorchFlavor().load(tmp_path, config, policy_from("code"))
