from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

import ratoon
from ratoon.entities import AliasMove, MoveKind, Verdict
from ratoon.errors import Conflict, InvalidInput, NotFound, PromotionRefused
from ratoon.hookspecs import hookimpl
from ratoon.registry.contender import Contender, MetricRule
from ratoon.registry.promotion import promote, rollback, set_alias
from ratoon.testing.values import version_of
from ratoon.tracking.client import Client

INF, NAN = math.inf, math.nan
AUC = (MetricRule(metric="auc"),)


class MakeClient(Protocol):
    def __call__(self, *plugins: object) -> Client: ...


def register(client: Client, *values: float | None) -> None:
    """A version of the model wine for each value, made by a run with this auc."""
    client.registry.create_registered_model("wine")
    for value in values:
        with client.start_run() as run:
            if value is not None:
                run.log_metric("auc", value)
        client.registry.create_version(version_of("wine", run_id=run.run_id))


def holder(client: Client) -> int | None:
    return client.registry.get_registered_model("wine").aliases.get("champion")


def history(client: Client) -> list[AliasMove]:
    return client.registry.alias_history("wine", "champion")


def test_a_promotion_moves_the_alias_and_keeps_its_verdicts(client: Client) -> None:
    register(client, 0.8, 0.9)
    first = promote(client, "wine", 1, rules=AUC)
    second = promote(client, "wine", 2, rules=AUC, reason="better")
    assert (first.champion, second.champion, holder(client)) == (None, 1, 2)
    assert second.passed and second.move is not None
    assert second.move.verdicts == second.verdicts
    assert (second.move.kind, second.move.moved_by, second.move.reason) == (MoveKind.PROMOTE, "ada", "better")
    assert history(client) == [first.move, second.move]


def test_a_refusal_moves_nothing_and_carries_its_verdicts(client: Client) -> None:
    register(client, 0.9, 0.8)
    promote(client, "wine", 1, rules=AUC)
    wanted = r"version 2 of model 'wine' may not take 'champion' \(auc not worse than the champion's: no, auc is 0.8"
    with pytest.raises(PromotionRefused, match=wanted) as caught:
        promote(client, "wine", 2, rules=AUC)
    assert [verdict.passed for verdict in caught.value.verdicts] == [False]
    assert holder(client) == 1
    assert [move.kind for move in history(client)] == [MoveKind.PROMOTE, MoveKind.REFUSED]
    assert history(client)[1].verdicts == caught.value.verdicts


def test_a_promotion_that_nobody_judged_is_refused(client: Client) -> None:
    register(client, 0.9)
    with pytest.raises(PromotionRefused, match="no gate had anything to judge it by.*name a metric with --metric"):
        promote(client, "wine", 1)
    assert holder(client) is None


def test_force_moves_whatever_the_gates_say_and_is_recorded(client: Client) -> None:
    register(client, 0.9, None)
    promote(client, "wine", 1, rules=AUC)
    forced = promote(client, "wine", 2, rules=AUC, force=True, reason="hotfix")
    assert not forced.passed and holder(client) == 2
    assert history(client)[-1].reason == "hotfix (forced)"
    assert [verdict.passed for verdict in history(client)[-1].verdicts] == [False]


def test_a_dry_run_asks_and_moves_nothing(client: Client) -> None:
    register(client, 0.9, 0.8)
    promote(client, "wine", 1, rules=AUC)
    dry = promote(client, "wine", 2, rules=AUC, dry_run=True)
    assert not dry.passed and dry.move is None and dry.champion == 1
    assert holder(client) == 1 and len(history(client)) == 1


def test_a_version_that_holds_the_alias_is_not_moved_again(client: Client) -> None:
    register(client, 0.9)
    promote(client, "wine", 1, rules=AUC)
    again = promote(client, "wine", 1, rules=AUC)
    assert (again.move, again.champion, again.verdicts) == (None, 1, ())
    assert len(history(client)) == 1


@pytest.mark.parametrize("value", [INF, -INF])
def test_infinite_figures_are_kept_with_the_move(client: Client, value: float) -> None:
    register(client, value)
    promotion = promote(client, "wine", 1, rules=AUC)
    assert promotion.verdicts[0].evidence["candidate"] == value
    assert history(client) == [promotion.move]


@pytest.mark.parametrize(
    "rule",
    [{"minimum": NAN}, {"maximum": INF}, {"tolerance": NAN}, {"tolerance": -0.1}],
)
def test_rules_that_make_no_sense_are_refused(client: Client, rule: dict[str, float]) -> None:
    register(client, 0.9)
    with pytest.raises(InvalidInput, match="for metric 'auc' is .*; give"):
        promote(client, "wine", 1, rules=[MetricRule(metric="auc", **rule)])
    assert history(client) == []


def test_what_is_not_there_is_not_found(client: Client) -> None:
    register(client, 0.9)
    for name, version in (("beer", 1), ("wine", 2)):
        with pytest.raises(NotFound):
            promote(client, name, version, rules=AUC)
    with pytest.raises(NotFound):
        rollback(client, "beer")
    with pytest.raises(InvalidInput):
        promote(client, "wine", 1, alias="latest", rules=AUC)


def gate(answer: Any) -> object:
    """A plugin whose gate answers so."""

    class Gate:
        __name__ = "strict"

        @hookimpl
        def judge_promotion(self, candidate: Contender) -> Any:
            if callable(answer):
                return answer(candidate)
            return answer

    return Gate()


def raises(candidate: Contender) -> Any:
    raise ZeroDivisionError("no data")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (raises, r"strict: no, the gate itself failed: ZeroDivisionError\('no data'\)"),
        (Verdict(gate="bias", passed=False, reason="unfair"), "strict: no, the gate itself failed: it answered"),
        (["no"], "strict: no, the gate itself failed: it answered"),
        (False, "strict: no, the gate itself failed: it answered"),
        ([Verdict(gate="bias", passed=False, reason="unfair")], "bias: no, unfair"),
    ],
)
def test_a_gate_that_fails_or_cannot_be_understood_refuses(
    make_client: MakeClient, answer: object, reason: str
) -> None:
    client = make_client(gate(answer))
    register(client, 0.9)
    with pytest.raises(PromotionRefused, match=reason):
        promote(client, "wine", 1, rules=AUC)
    assert holder(client) is None


@pytest.mark.parametrize("answer", [None, []])
def test_a_gate_with_nothing_to_say_is_no_obstacle(make_client: MakeClient, answer: object) -> None:
    client = make_client(gate(answer))
    register(client, 0.9)
    assert len(promote(client, "wine", 1, rules=AUC).verdicts) == 1


def test_a_move_made_while_the_gates_judge_is_a_conflict(make_client: MakeClient) -> None:
    def slow(candidate: Contender) -> list[Verdict]:
        set_alias(other, "wine", "champion", 2)
        return [Verdict(gate="slow", passed=True, reason="fine")]

    other = make_client()
    client = make_client(gate(slow))
    register(client, 0.8, 0.9)
    with pytest.raises(Conflict, match="version 2 holds it, not nobody"):
        promote(client, "wine", 1, rules=AUC)
    assert holder(client) == 2


def test_rollback_goes_back_step_by_step(client: Client) -> None:
    register(client, 0.7, 0.8, 0.9)
    for version in (1, 2, 3):
        promote(client, "wine", version, rules=AUC)
    first = rollback(client, "wine", reason="it drifts")
    assert (first.from_version, first.to_version, first.kind) == (3, 2, MoveKind.ROLLBACK)
    assert rollback(client, "wine").to_version == 1
    with pytest.raises(NotFound, match="has no earlier holder; choose one with 'ratoon promote wine VERSION'"):
        rollback(client, "wine")
    assert holder(client) == 1
    assert len(history(client)) == 5


def test_rollback_after_a_new_promotion_goes_to_the_last_holder(client: Client) -> None:
    register(client, 0.7, 0.8, 0.9)
    for version in (1, 2):
        promote(client, "wine", version, rules=AUC)
    rollback(client, "wine")
    promote(client, "wine", 3, rules=AUC)
    assert rollback(client, "wine").to_version == 1


def test_rollback_passes_over_refusals_and_moves_to_the_holder_itself(client: Client) -> None:
    register(client, 0.7, 0.8, 0.1)
    for version in (1, 2):
        promote(client, "wine", version, rules=AUC)
    with pytest.raises(PromotionRefused):
        promote(client, "wine", 3, rules=AUC)
    set_alias(client, "wine", "champion", 2)
    assert rollback(client, "wine").to_version == 1


def test_rollback_gives_back_an_alias_that_was_taken_away(client: Client) -> None:
    register(client, 0.7)
    promote(client, "wine", 1, rules=AUC)
    set_alias(client, "wine", "champion", None)
    assert holder(client) is None
    assert rollback(client, "wine").to_version == 1


def test_rollback_passes_over_a_time_in_which_nobody_held_the_alias(client: Client) -> None:
    register(client, 0.8, 0.9)
    for version in (1, None, 2):
        set_alias(client, "wine", "champion", version)
    assert rollback(client, "wine").to_version == 1
    with pytest.raises(NotFound, match="has no earlier holder"):
        rollback(client, "wine")


def test_observers_hear_of_moves_and_of_nothing_else(make_client: MakeClient) -> None:
    heard: list[AliasMove] = []

    class Observer:
        @hookimpl
        def alias_moved(self, move: AliasMove) -> None:
            heard.append(move)

    client = make_client(Observer())
    register(client, 0.8, 0.7)
    promote(client, "wine", 1, rules=AUC)
    promote(client, "wine", 2, rules=AUC, dry_run=True)
    with pytest.raises(PromotionRefused):
        promote(client, "wine", 2, rules=AUC)
    set_alias(client, "wine", "champion", 2)
    rollback(client, "wine")
    assert heard == [move for move in history(client) if move.kind != MoveKind.REFUSED]
    assert [move.to_version for move in heard] == [1, 2, 1]


def test_a_version_whose_run_is_unknown_has_no_metrics(client: Client) -> None:
    client.registry.create_registered_model("wine")
    for run_id in (None, "0" * 32):
        version = client.registry.create_version(version_of("wine", run_id=run_id)).version
        with pytest.raises(PromotionRefused, match="its run has: none"):
            promote(client, "wine", version, rules=AUC)


def test_the_functions_are_offered_by_the_package() -> None:
    found = SimpleNamespace(promote=ratoon.promote, rollback=ratoon.rollback, set_alias=ratoon.set_alias)
    assert vars(found) == {"promote": promote, "rollback": rollback, "set_alias": set_alias}
