from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from msgspec.structs import replace

from ratoon.errors import InvalidSetting
from ratoon_kedro.options.config import Config, DatasetSelection, Registration, announce, load_config, parse_config
from ratoon_kedro.options.selection import EVERYTHING, NOTHING, Selection

# Kedro's loader calls a function of OmegaConf under its old name.
pytestmark = pytest.mark.filterwarnings("ignore:register_new_resolver:UserWarning")


def loader(folder: Path, base: str | None = None, local: str | None = None) -> OmegaConfigLoader:
    for name, text in (("base", base), ("local", local)):
        (folder / name).mkdir()
        if text is not None:
            (folder / name / "ratoon.yml").write_text(text)
    made = OmegaConfigLoader(str(folder), base_env="base", default_run_env="local")
    announce(made)
    return made


def test_a_project_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert load_config(loader(tmp_path)) == Config()


def test_an_empty_file_and_empty_keys_are_the_defaults(tmp_path: Path) -> None:
    assert load_config(loader(tmp_path, base="# nothing\n", local="experiment:\n")) == Config()


def test_environments_overwrite_by_key(tmp_path: Path) -> None:
    base = "experiment: wines\ntags: {team: growers, year: 2026}\n"
    config = load_config(loader(tmp_path, base, local="tags: {team: traders}\n"))
    assert (config.experiment, config.tags) == ("wines", {"team": "traders"})


def test_models_are_registered_by_name_or_with_an_alias(tmp_path: Path) -> None:
    text = "register:\n  tree: wine\n  forest: {name: wine-forest, alias: challenger}\n"
    assert load_config(loader(tmp_path, text)).register == {
        "tree": Registration("wine"),
        "forest": Registration("wine-forest", "challenger"),
    }


def test_a_selection_takes_what_is_included_and_not_excluded() -> None:
    selection = Selection(include=("model.*", "seed"), exclude=("*.secret?",))
    names = ("model.depth", "seed", "seeds", "model.secret1", "model.secret", "MODEL.depth", "other")
    assert [name for name in names if selection.picks(name)] == ["model.depth", "seed", "model.secret"]
    assert EVERYTHING.picks("anything") and EVERYTHING.is_everything
    assert not NOTHING.picks("anything") and not NOTHING.is_everything


def test_what_is_selected_where_nothing_is_said(tmp_path: Path) -> None:
    text = "params: {exclude: 'a*'}\ndatasets: {digest: content}\nartifacts: {exclude: [b]}\nsystem_metrics: true\n"
    config = load_config(loader(tmp_path, text))
    assert config.params == Selection(exclude=("a*",))
    assert config.datasets == DatasetSelection(digest="content")
    assert not config.artifacts.picks("a"), "no file is kept that was not asked for"
    assert (config.system_metrics, parse_config({"system_metrics": False}).system_metrics) == (10.0, None)


@pytest.mark.parametrize(
    ("pipelines", "names", "tracked"),
    [
        ({}, ["__default__"], True),
        ({"exclude": ["eda*"]}, ["eda_plots"], False),
        ({"exclude": ["eda*"]}, ["eda_plots", "training"], True),
        ({"include": ["training"]}, ["__default__"], False),
    ],
)
def test_pipelines_that_are_not_wanted_are_not_tracked(
    pipelines: dict[str, list[str]], names: list[str], tracked: bool
) -> None:
    assert parse_config({"pipelines": pipelines}).tracks(names) is tracked
    assert not parse_config({"pipelines": pipelines, "enabled": False}).tracks(names)


def test_the_configuration_travels_to_other_processes() -> None:
    config = parse_config({"datasets": {"include": ["a"]}, "register": {"m": "x"}, "tags": {"a": 1}})
    assert ForkingPickler.loads(ForkingPickler.dumps(config)) == config


def test_the_message_names_file_key_and_the_near_match(tmp_path: Path) -> None:
    given = loader(tmp_path, base="enabled: true\n", local="tracking_url: sqlite:///x.db\n")
    with pytest.raises(InvalidSetting) as caught:
        load_config(given)
    assert str(caught.value) == (
        f"setting 'tracking_url' in {tmp_path}/local/ratoon.yml is unknown; did you mean 'tracking_uri'?"
    )


def test_a_key_that_is_like_no_other_is_answered_with_all_of_them() -> None:
    with pytest.raises(InvalidSetting, match=r"'zzz' in ratoon.yml is unknown; known keys are enabled, pipelines, "):
        parse_config({"zzz": 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"enabled": "maybe"}, "setting 'enabled' in ratoon.yml is 'maybe'; give true or false"),
        ({"experiment": 3}, "setting 'experiment' in ratoon.yml is 3; give a string"),
        ({"tags": ["a"]}, "setting 'tags' in ratoon.yml is ['a']; give a mapping of tags"),
        ({"register": "x"}, "setting 'register' in ratoon.yml is 'x'; give a mapping of dataset names to model names"),
        (
            {"register": {"m": {"name": "x", "allias": "y"}}},
            "setting 'register.m.allias' in ratoon.yml is unknown; did you mean 'alias'?",
        ),
        (
            {"register": {"m": {"alias": "y"}}},
            "setting 'register.m' in ratoon.yml is {'alias': 'y'};"
            " give a model's name, or 'name' and 'alias' and 'policy'",
        ),
        (
            {"params": ["a"]},
            "setting 'params' in ratoon.yml is ['a']; give a mapping with include or exclude",
        ),
        (
            {"artifacts": {"inculde": ["a"]}},
            "setting 'artifacts.inculde' in ratoon.yml is unknown; did you mean 'include'?",
        ),
        (
            {"metrics": {"exclude": [3]}},
            "setting 'metrics.exclude' in ratoon.yml is [3]; give a list of names, or of patterns such as 'train*'",
        ),
        (
            {"datasets": {"digest": "full"}},
            "setting 'datasets.digest' in ratoon.yml is 'full'; give cheap or content",
        ),
        (
            {"datasets": {"profile": 1}},
            "setting 'datasets.profile' in ratoon.yml is 1; give true or false",
        ),
        (
            {"system_metrics": -1},
            "setting 'system_metrics' in ratoon.yml is -1; give true, false or a number of seconds",
        ),
        ({"redact": [3]}, "setting 'redact' in ratoon.yml is [3]; give a list of regular expressions"),
        (
            {"redact": ["("]},
            "setting 'redact' in ratoon.yml holds '(' (missing ), unterminated subpattern at position 0);"
            " give a regular expression",
        ),
    ],
)
def test_values_that_cannot_be_used_are_refused(content: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        parse_config(content)
    assert str(caught.value) == message


def test_broken_yaml_is_refused_with_the_file_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="settings file 'ratoon.yml' cannot be read"):
        load_config(loader(tmp_path, base="tags: [\n"))


def test_the_template_is_valid_and_every_key_is_in_it() -> None:
    import yaml

    import ratoon_kedro.commands.init as init

    text = init.TEMPLATE.read_text(encoding="utf-8")
    assert yaml.safe_load(text) is None, "everything is commented out"
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    examples = [line for line in lines if line.startswith(" ") or line.split(":")[0] in Config.__struct_fields__]
    given = yaml.safe_load("\n".join(examples))
    assert set(given) == set(Config.__struct_fields__)
    config, default = parse_config(given), Config()
    invented = {"tracking_uri", "registry_uri", "artifact_root", "credentials", "experiment", "run_name"}
    invented |= {"tags", "register", "redact", "pipeline_models"}
    for key in set(Config.__struct_fields__) - invented:
        shown, kept = getattr(config, key), getattr(default, key)
        if isinstance(shown, Selection):
            shown = replace(shown, include=None if shown.include == ("*",) else shown.include)
        assert shown == kept, f"{key} is shown with another value than its default"
