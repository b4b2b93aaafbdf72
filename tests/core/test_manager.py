from __future__ import annotations

import importlib
import inspect
import logging
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ratoon import hookspecs
from ratoon.errors import PluginError
from ratoon.hookspecs import hookimpl
from ratoon.manager import BUILTINS, collect, make_manager, notify, votes, way_out

FIRST = tuple(BUILTINS)[:4]


def plugin(name: str, **hooks: Any) -> ModuleType:
    """A plugin module with these hook implementations."""
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    return module


def opener(answer: str | None) -> Any:
    def open_tracking_store(uri: str) -> str | None:
        return answer

    return open_tracking_store


def registrar(*names: str) -> Any:
    def register_flavors(register: Any) -> None:
        for name in names:
            register(name, object())

    return register_flavors


def raiser(error: BaseException) -> Any:
    def run_finished(run: object) -> None:
        raise error

    return run_finished


def manager_of(*plugins: object, **options: Any) -> Any:
    return make_manager(plugins, **{"builtins": (), "installed": False} | options)


def test_the_plugin_given_last_is_asked_first() -> None:
    first, last = (
        plugin("first", open_tracking_store=opener("first")),
        plugin("last", open_tracking_store=opener("last")),
    )
    assert manager_of(first, last).hook.open_tracking_store(uri="x") == "last"
    declines = plugin("declines", open_tracking_store=opener(None))
    assert manager_of(first, declines).hook.open_tracking_store(uri="x") == "first"


def test_builtins_are_asked_after_everything_else(tmp_path: Any) -> None:
    uri = f"sqlite:///{tmp_path}/r.db"
    mine = plugin("mine", open_tracking_store=opener("mine"))
    assert manager_of(mine, builtins=["ratoon.stores.sql.plugin"]).hook.open_tracking_store(uri=uri) == "mine"


def test_a_manager_without_plugins_answers_nothing() -> None:
    assert manager_of().hook.open_tracking_store(uri="x") is None
    assert collect(manager_of(), "register_flavors") == {}
    notify(manager_of(), "run_finished", run=None)


@pytest.mark.parametrize("blocked", FIRST)
def test_a_blocked_plugin_takes_no_part(blocked: str) -> None:
    manager = manager_of(builtins=FIRST, blocked=[blocked])
    assert sorted(name for name, found in manager.list_name_plugin() if found) == sorted(set(FIRST) - {blocked})


def test_a_blocked_plugin_is_left_out_even_if_it_is_given() -> None:
    mine = plugin("mine", open_tracking_store=opener("mine"))
    assert manager_of(mine, blocked=["mine"]).hook.open_tracking_store(uri="x") is None


def test_a_hook_that_does_not_exist_is_refused_with_the_plugin_named() -> None:
    misspelt = plugin("misspelt", run_finnished=lambda run: None)
    with pytest.raises(
        PluginError, match="plugin 'misspelt' does not fit .*run_finnished.*RATOON_BLOCK_PLUGINS=misspelt"
    ):
        manager_of(misspelt)


def test_an_argument_that_does_not_exist_is_refused_with_the_plugin_named() -> None:
    wrong = plugin("wrong", run_finished=lambda ran: None)
    with pytest.raises(PluginError, match="plugin 'wrong' does not fit .*ran.*; correct it"):
        manager_of(wrong)


def test_one_plugin_given_twice_is_refused_with_its_name() -> None:
    mine = plugin("mine", run_finished=lambda run: None)
    for second in (mine, plugin("mine", run_finished=lambda run: None)):
        with pytest.raises(PluginError, match="plugin 'mine'"):
            manager_of(mine, second)


def test_what_plugins_register_is_collected_with_their_names() -> None:
    found = collect(manager_of(plugin("a", register_flavors=registrar("x", "y")), plugin("b")), "register_flavors")
    assert {name: each.plugin for name, each in found.items()} == {"x": "a", "y": "a"}


def test_a_name_that_two_plugins_register_is_refused_with_both_named() -> None:
    manager = manager_of(plugin("a", register_flavors=registrar("x")), plugin("b", register_flavors=registrar("x")))
    with pytest.raises(PluginError, match="'x' is registered in register_flavors by 'a' and by 'b'; set RATOON_BLOCK"):
        collect(manager, "register_flavors")


def test_a_name_that_one_plugin_registers_twice_is_refused() -> None:
    with pytest.raises(PluginError, match="by 'a' and by 'a'"):
        collect(manager_of(plugin("a", register_flavors=registrar("x", "x"))), "register_flavors")


def test_a_plugin_that_fails_to_register_is_named() -> None:
    def register_flavors(register: Any) -> None:
        raise ImportError("no module named torch")

    with pytest.raises(PluginError, match=r"plugin 'a' failed in register_flavors \(no module named torch\)") as caught:
        collect(manager_of(plugin("a", register_flavors=register_flavors)), "register_flavors")
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.parametrize("error", [ValueError("full"), AssertionError(), RecursionError()])
def test_an_observer_that_fails_is_logged_and_keeps_nobody_from_hearing(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    heard = []
    manager = manager_of(
        plugin("first", run_finished=lambda run: heard.append(("first", run))),
        plugin("broken", run_finished=raiser(error)),
        plugin("last", run_finished=lambda run: heard.append(("last", run))),
    )
    with caplog.at_level(logging.ERROR):
        notify(manager, "run_finished", run="r")
    assert sorted(heard) == [("first", "r"), ("last", "r")]
    (record,) = caplog.records
    assert "plugin 'broken' failed in run_finished" in record.getMessage()
    assert way_out("broken") in record.getMessage()
    assert record.exc_info is not None and record.exc_info[1] is error


def test_an_observer_cannot_swallow_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        notify(manager_of(plugin("a", run_finished=raiser(KeyboardInterrupt()))), "run_finished", run=None)


def test_votes_come_one_by_one_and_an_exception_is_an_answer() -> None:
    def judge(answer: Any) -> Any:
        def judge_promotion(candidate: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return judge_promotion

    error = ZeroDivisionError()
    answers = {"yes": ["verdict"], "nothing": None, "broken": error, "empty": []}
    manager = manager_of(*(plugin(name, judge_promotion=judge(answer)) for name, answer in answers.items()))
    found = list(votes(manager, "judge_promotion", candidate=None, champion=None, context=None))
    assert sorted(found, key=str) == sorted([("yes", ["verdict"]), ("broken", error), ("empty", [])], key=str)


def test_instances_are_plugins_too() -> None:
    class Observer:
        def __init__(self) -> None:
            self.heard: list[object] = []

        @hookimpl
        def run_finished(self, run: object) -> None:
            self.heard.append(run)

    first, second = Observer(), Observer()
    notify(manager_of(first, second, SimpleNamespace()), "run_finished", run=1)
    assert first.heard == second.heard == [1]


@pytest.mark.parametrize("name", BUILTINS)
def test_a_builtin_has_the_hooks_that_are_named_for_it(name: str) -> None:
    module = importlib.import_module(name)
    hooks = [each for each, found in vars(module).items() if hasattr(found, f"{hookspecs.PROJECT}_impl")]
    assert sorted(hooks) == sorted(BUILTINS[name])
    for hook in hooks:
        specified = inspect.signature(getattr(hookspecs, hook)).parameters
        assert list(inspect.signature(getattr(module, hook)).parameters) == list(specified)


def test_a_manager_imports_no_builtin_before_it_is_asked() -> None:
    code = (
        "import sys; from ratoon.manager import BUILTINS, make_manager; manager = make_manager(installed=False);"
        "assert not [name for name in BUILTINS if name in sys.modules];"
        "assert manager.hook.open_artifact_store(uri='nothing-of-ours:') is None;"
        "print([name for name in BUILTINS if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['ratoon.artifacts.plugin']\n"
