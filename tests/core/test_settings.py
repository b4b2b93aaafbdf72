from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from ratoon.errors import InvalidSetting
from ratoon.settings import KEYS, LISTS, Settings, load_settings, project_folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with an empty settings file, so that the search ends here."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "ratoon.toml").write_text("")
    return folder


def load(project: Path, content: str = "", environ: dict[str, str] | None = None, **given: object) -> Settings:
    (project / "ratoon.toml").write_text(content, encoding="utf-8")
    return load_settings(project, environ or {}, **given)


def test_the_defaults_are_one_folder_in_the_project(project: Path) -> None:
    home = project / ".ratoon"
    assert load(project) == Settings(
        tracking_uri=f"sqlite:///{home}/ratoon.db",
        registry_uri=f"sqlite:///{home}/ratoon.db",
        artifact_root=str(home / "artifacts"),
        experiment="Default",
        user=getpass.getuser(),
        block_plugins=(),
        home=home,
    )


@pytest.mark.parametrize("key", [key for key in KEYS if key not in (*LISTS, "policy", "progress", "spool_limit")])
def test_an_argument_wins_over_the_environment_over_the_file_over_the_default(project: Path, key: str) -> None:
    environ, content = {f"RATOON_{key.upper()}": "x://environ"}, f"{key} = 'x://file'"
    assert getattr(load(project, content, environ, **{key: "x://argument"}), key) == "x://argument"
    assert getattr(load(project, content, environ, **{key: None}), key) == "x://environ"
    assert getattr(load(project, content), key) == "x://file"
    assert "x://" not in getattr(load(project), key)


def test_an_empty_variable_is_no_value(project: Path) -> None:
    assert load(project, "user = 'ada'", {"RATOON_USER": ""}).user == "ada"


def test_blocked_plugins_are_a_list_in_the_file_and_commas_in_the_environment(project: Path) -> None:
    content = "block_plugins = ['a', 'b']"
    assert load(project, content).block_plugins == ("a", "b")
    assert load(project, content, {"RATOON_BLOCK_PLUGINS": " c, d ,,"}).block_plugins == ("c", "d")
    assert load(project, content, block_plugins=("e",)).block_plugins == ("e",)


def test_whom_to_trust_is_never_read_from_a_file_that_comes_with_a_project(project: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"'trusted_registries' in .* is not allowed .* RATOON_TRUSTED_REGISTRIES"):
        load(project, "trusted_registries = ['sqlite:////here.db']")
    uri = "https://models.example.org"
    environ = {"RATOON_TRUSTED_REGISTRIES": f"{uri}, sqlite:///near.db"}
    # A relative URI is not made absolute: it would mean another registry in every folder.
    assert load(project, "", environ).trusted_registries == (uri, "sqlite:///near.db")


@pytest.mark.parametrize(
    ("places", "trusted"),
    [
        ({}, True),
        ({"registry_uri": "https://other"}, False),
        ({"tracking_uri": "https://other", "registry_uri": "https://known"}, False),
        ({"artifact_root": "s3://other"}, False),
        ({"artifact_root": "s3://known"}, True),
    ],
)
def test_trust_covers_every_place_that_decides_what_is_loaded(
    project: Path, places: dict[str, str], trusted: bool
) -> None:
    given = {"tracking_uri": "https://known"} | places
    assert load(project, **given, trusted_registries=["https://known", "s3://known"]).registry_is_trusted is trusted
    assert not load(project, **given).registry_is_trusted


def test_the_policy_is_a_file_of_the_project(project: Path) -> None:
    assert load(project).policy is None
    assert load(project, "policy = 'gates/strict.yml'").policy == project / "gates" / "strict.yml"
    assert load(project, "policy = 'a.yml'", {"RATOON_POLICY": "/etc/b.yml"}).policy == Path("/etc/b.yml")


def test_a_switch_has_words_in_the_environment_and_mlflows_name_too(project: Path) -> None:
    assert load(project).progress is True
    assert load(project, "progress = false").progress is False
    assert load(project, "progress = false", progress=True).progress is True
    for text, wanted in (("0", False), ("off", False), ("False", False), ("1", True), ("YES", True)):
        assert load(project, "", {"RATOON_PROGRESS": text}).progress is wanted
    assert load(project, "", {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}).progress is False
    both = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "RATOON_PROGRESS": "1"}
    assert load(project, "", both).progress is True
    with pytest.raises(InvalidSetting, match="'progress' in MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR is 'perhaps'; give"):
        load(project, "", {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "perhaps"})


def test_a_size_has_units(project: Path) -> None:
    assert load(project).spool_limit == 10 * 2**30
    assert load(project, "spool_limit = 5").spool_limit == 5
    for text, wanted in (("7", 7), ("1.5 GiB", 3 * 2**29), ("2kb", 2000), ("1 TiB", 2**40), ("0", 0)):
        assert load(project, "spool_limit = 5", {"RATOON_SPOOL_LIMIT": text}).spool_limit == wanted
    for wrong in ("-1", "much", "1 XB", "", "1e3"):
        with pytest.raises(InvalidSetting, match="'spool_limit' in the arguments is .*; give a number of bytes, or a"):
            load(project, spool_limit=wrong)
    for bad in (True, 1.5, -1):
        with pytest.raises(InvalidSetting):
            load(project, spool_limit=bad)


def test_other_variables_are_left_alone(project: Path) -> None:
    assert load(project, "", {"RATOON_HOME": "x", "RATOON_COLOUR": "x"}) == load(project)


def test_the_process_environment_is_read_if_no_other_is_given(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATOON_USER", "bob")
    monkeypatch.chdir(project)
    assert load_settings().user == "bob"


def test_the_search_goes_upwards_to_the_nearest_file_or_folder(project: Path) -> None:
    below = project / "src" / "deep"
    below.mkdir(parents=True)
    assert project_folder(below) == project
    assert load_settings(below, {}) == load(project)
    (project / "src" / ".ratoon").mkdir()
    assert project_folder(below) == project / "src"
    assert project_folder(project) == project


def test_a_file_named_like_the_folder_does_not_end_the_search(project: Path) -> None:
    below = project / "src"
    below.mkdir()
    (below / ".ratoon").write_text("")
    assert project_folder(below) == project


def test_relative_places_mean_the_same_from_every_folder(project: Path) -> None:
    found = load(project, "tracking_uri = 'sqlite:///data/r.db'\nartifact_root = 'files'\nregistry_uri = 'reg.json'")
    assert found.tracking_uri == f"sqlite:///{project}/data/r.db"
    assert found.artifact_root == str(project / "files")
    assert found.registry_uri == str(project / "reg.json")


@pytest.mark.parametrize("uri", ["sqlite:////abs/r.db", "https://host/x", "file:///abs", "file:rel", "memory:", "/abs"])
def test_absolute_places_are_taken_as_they_are(project: Path, uri: str) -> None:
    assert load(project, tracking_uri=uri).tracking_uri == uri


def test_the_registry_is_where_the_runs_are(project: Path) -> None:
    assert load(project, tracking_uri="https://host/x").registry_uri == "https://host/x"


def test_artifacts_lie_beside_the_database(project: Path) -> None:
    assert load(project, tracking_uri="sqlite:////data/r.db").artifact_root == "/data/artifacts"
    assert load(project, tracking_uri="postgresql://host/x").artifact_root == str(project / ".ratoon" / "artifacts")


def test_a_server_keeps_files_too(project: Path) -> None:
    assert load(project, tracking_uri="https://host/x").artifact_root == "https://host/x"


@pytest.mark.parametrize("uri", ["sqlite:///", "sqlite:///:memory:"])
def test_a_database_without_a_file_is_no_reason_to_fail_here(project: Path, uri: str) -> None:
    assert load(project, tracking_uri=uri).tracking_uri == uri


def test_an_unknown_key_is_named_with_the_nearest_one(project: Path) -> None:
    with pytest.raises(InvalidSetting) as caught:
        load(project, "tracking_url = 'x'")
    file = project / "ratoon.toml"
    assert str(caught.value) == f"setting 'tracking_url' in {file} is unknown; did you mean 'tracking_uri'?"


def test_an_unknown_key_that_is_like_no_other_is_told_all_of_them(project: Path) -> None:
    with pytest.raises(InvalidSetting, match=f"'colour' in .* is unknown; known keys are {', '.join(KEYS)}"):
        load(project, "colour = 'red'")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user = 3", r"setting 'user' in .*ratoon\.toml is 3; give a string"),
        ("experiment = ['a']", r"setting 'experiment' in .*ratoon\.toml is \['a'\]; give a string"),
        ("block_plugins = 'a'", r"setting 'block_plugins' in .*ratoon\.toml is 'a'; give a list of strings"),
        ("block_plugins = [1]", r"setting 'block_plugins' in .*ratoon\.toml is \[1\]; give a list of strings"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_source(project: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidSetting, match=message):
        load(project, content)


def test_arguments_are_checked_like_the_file(project: Path) -> None:
    with pytest.raises(InvalidSetting, match="setting 'tracking_url' in the arguments is unknown; did you mean"):
        load(project, tracking_url="x")
    with pytest.raises(InvalidSetting, match="setting 'user' in the arguments is 3; give a string"):
        load(project, user=3)


def test_a_file_that_cannot_be_read_is_named(project: Path) -> None:
    for content in (b"user = ", b"user = '\xff'"):
        (project / "ratoon.toml").write_bytes(content)
        with pytest.raises(
            InvalidSetting, match=r"settings file '.*ratoon\.toml' cannot be read .*; correct or remove"
        ):
            load_settings(project, {})
