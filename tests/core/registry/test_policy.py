"""The policy file: what it may say, which part of it counts, and how it is refused."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from ratoon.entities import MoveKind, Verdict
from ratoon.errors import InvalidSetting, PromotionRefused
from ratoon.hookspecs import hookimpl
from ratoon.registry.contender import PromotionContext
from ratoon.registry.policy import Policy, load_policy, policy_of
from ratoon.registry.promotion import promote, rollback, set_alias
from ratoon.testing.values import version_of
from ratoon.tracking.client import Client

from .conftest import GATES, MakeClient, Version, wine_policy

EXAMPLE = """
format: 1
models:
  "*":
    champion:
      signature:
  "wine-*":
    "*":
      tags: {required: [owner]}
  wine-red:
    challenger:
      metrics:
        - {metric: auc, minimum: 0.8, tolerance: 0.01}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "promotion.yml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("model", "alias", "gates"),
    [
        ("beer", "champion", {"signature": {}}),
        ("beer", "challenger", {}),
        ("wine-red", "challenger", {"metrics": [{"metric": "auc", "minimum": 0.8, "tolerance": 0.01}]}),
        ("wine-red", "champion", {"signature": {}}),
        ("wine-white", "challenger", {"tags": {"required": ["owner"]}}),
        ("WINE-white", "challenger", {}),
    ],
)
def test_a_name_counts_before_patterns_and_patterns_in_their_order(
    tmp_path: Path, model: str, alias: str, gates: dict[str, object]
) -> None:
    policy = load_policy(written(tmp_path, EXAMPLE))
    assert dict(policy.gates(model, alias)) == gates


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modells: {}", "unknown field `modells`); did you mean 'models'?"),
        ("{}", "missing required field `models`); known keys are models, format"),
        ("models: {wine: [champion]}", "Expected `object`, got `array`"),
        ("models: {}\nformat: 2", "Invalid enum value 2"),
        ("models: {a: {b: {}}, a: {}}", "'a' stands twice in line 1"),
        ("models:\n  wine:\n    champion:\n      tags: {}\n    champion: {}", "'champion' stands twice in line 5"),
        ("models: &all {}\nformat: *all", "it has an alias; write the value out"),
        ("models: !!python/object/apply:os.system [true]", "is no plain YAML"),
        ("models: [", "is no plain YAML"),
        ("- 1", "Expected `object`, got `array`"),
        ("", "Expected `object`, got `null`"),
        ("models: {}  # " + "x" * 2**20, "is too large (more than 1,048,576 bytes)"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidSetting, match=re.escape(said)) as caught:
        load_policy(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"models: {\xe4: {}}")
    for path in (tmp_path / "nothing.yml", tmp_path, tmp_path / "latin"):
        with pytest.raises(InvalidSetting, match="cannot be read"):
            load_policy(path)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        (
            {"metrics": [{"metric": "auc", "minimun": 0.5}]},
            "field `minimun` - at `$[0]`); did you mean 'minimum'?",
        ),
        ({"metrics": [{"minimum": 0.5}]}, "missing required field `metric`"),
        ({"metrics": {"metric": "auc"}}, "Expected `array`, got `object`); known keys are metric, higher_is_better"),
        ({"metrics": [{"metric": "auc", "tolerance": -1}]}, "the tolerance for metric 'auc' is -1"),
        ({"segments": [{"metric": "auc"}]}, "says nothing that can be judged; give it a minimum"),
        ({"segments": [{"metric": "auc", "minimum": float("nan")}]}, "says nothing that can be judged"),
        ({"significance": {"metric": "acuracy"}}, "metric 'acuracy' of gate 'significance' is unknown; did you mean"),
        ({"significance": {"metric": "accuracy", "confidence": 95}}, "Expected `float` < 1.0"),
        ({"signature": {"strict": True}}, "unknown field `strict`"),
        ({"loads": {"latency": 5}}, "did you mean 'latency_ms'?"),
        ({"loads": {"trust": "everything"}}, "gate 'loads' cannot be asked: trust 'everything' cannot be used"),
        ({"loads": {"timeout": 0}}, "Expected `float` > 0"),
        ({"tags": {}}, "missing required field `required`"),
        ({"approval": {"count": 0}}, "Expected `int` >= 1"),
        ({"segmnts": {}}, "gate 'segmnts' in 'promotion.yml' is known to no plugin; did you mean 'segments'?"),
        ({"horoscope": {}}, "gate 'horoscope' in 'promotion.yml' is known to no plugin; install the plugin"),
    ],
)
def test_what_a_gate_does_not_understand_stops_everything(
    client: Client, add: Version, gates: dict[str, object], said: str
) -> None:
    version = add({"auc": 0.9}).version
    for options in ({}, {"dry_run": True}, {"force": True}):
        with pytest.raises(InvalidSetting, match=re.escape(said)):
            promote(client, "wine", version, policy=wine_policy(**gates), **options)
    assert client.registry.alias_history("wine", "champion") == []


def test_the_policy_of_the_project_is_used_where_none_is_given(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ratoon.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    client = make_client()
    assert policy_of(client.settings) == Policy()
    written(tmp_path, "models: {wine: {champion: {metrics: [{metric: auc, minimum: 0.8}]}}}")
    client.registry.create_registered_model("wine")
    for value in (0.7, 0.9):
        with client.start_run() as run:
            run.log_metric("auc", value)
        client.registry.create_version(version_of("wine", run_id=run.run_id))
    with pytest.raises(PromotionRefused, match="auc is 0.7, wanted is at least 0.8"):
        promote(client, "wine", 1)
    assert promote(client, "wine", 2).passed
    with pytest.raises(PromotionRefused, match="no gate had anything to judge it by"):
        promote(client, "wine", 1, policy=Policy())


def test_the_policy_and_the_gate_of_the_documentation_are_understood(
    make_client: MakeClient, client: Client, add: Version, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "promotion.md").read_text()
    policy = load_policy(written(tmp_path, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]))
    named = set(policy.gates("wine", "champion"))
    assert named == {name.rsplit(".")[-1] for name in (*GATES, ".metrics")}
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(policy.gates("wine", "champion"))
    add({"accuracy": 0.9, "log_loss": 0.1})
    quick = Policy(models={"wine": {"champion": dict(policy.gates("wine", "champion").without(["loads"]))}})
    assert len(promote(client, "wine", 1, policy=quick, dry_run=True).verdicts) == 7

    gate = ModuleType("size")
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[-1], vars(gate))
    (verdict,) = promote(make_client(gate), "wine", 1, policy=wine_policy(size={"most_bytes": 5})).verdicts
    assert verdict.reason == "the model has 0 bytes, at most 5 are allowed"


class Horoscope:
    """A gate of somebody else's, with options of its own."""

    def __init__(self) -> None:
        self.seen: list[PromotionContext] = []

    @hookimpl
    def judge_promotion(self, context: PromotionContext) -> list[Verdict]:
        self.seen.append(context)
        sign = context.options.get("horoscope", {}).get("sign")
        return [Verdict(gate="horoscope", passed=sign == "leo", reason=f"the sign is {sign}")]


def test_a_gate_of_a_plugin_gets_its_own_options(make_client: MakeClient) -> None:
    gate = Horoscope()
    client = make_client(gate)
    client.registry.create_registered_model("wine")
    for _ in range(2):
        client.registry.create_version(version_of("wine"))
    with pytest.raises(PromotionRefused, match="the sign is virgo"):
        promote(client, "wine", 1, policy=wine_policy(horoscope={"sign": "virgo"}))
    assert promote(client, "wine", 1, policy=wine_policy(horoscope={"sign": "leo"})).passed
    set_alias(client, "wine", "champion", 2)
    rollback(client, "wine", policy=wine_policy(horoscope={"sign": "leo"}))
    assert [context.kind for context in gate.seen] == [MoveKind.PROMOTE, MoveKind.PROMOTE, MoveKind.ROLLBACK]
    assert {(context.by, context.alias, context.client) for context in gate.seen} == {("ada", "champion", client)}


def test_a_gate_that_fails_before_it_reads_its_options_refuses(make_client: MakeClient) -> None:
    class Broken:
        @hookimpl
        def judge_promotion(self, context: PromotionContext) -> list[Verdict]:
            raise OSError("no stars tonight")

    client = make_client(Broken())
    client.registry.create_registered_model("wine")
    client.registry.create_version(version_of("wine"))
    with pytest.raises(PromotionRefused, match="no stars tonight"):
        promote(client, "wine", 1, policy=wine_policy(horoscope={"sign": "leo"}))
