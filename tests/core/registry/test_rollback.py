"""Going back: to whom, with which checks, and what the history tells of it."""

from __future__ import annotations

import pytest

from ratoon.entities import MoveKind
from ratoon.errors import InvalidInput, NotFound, PromotionRefused
from ratoon.registry.history import history_of, verdicts_of
from ratoon.registry.promotion import promote, rollback, set_alias
from ratoon.tracking.client import Client
from ratoon.tracking.models import load_model

from .conftest import FRAME, Version, wine_policy

POLICY = wine_policy(
    metrics=[{"metric": "auc", "minimum": 0.5}],
    signature={},
    tags={"required": ["owner"]},
    approval={"by_others": False},
)


def holder(client: Client) -> int | None:
    return client.registry.get_registered_model("wine").aliases.get("champion")


def test_a_rollback_restores_the_version_itself_and_the_history_tells_all(client: Client, add: Version) -> None:
    add({"auc": 0.8})
    before = client.registry.get_version("wine", 1)
    answers = load_model("models:/wine/1", client=client).predict(FRAME).tolist()
    rule = wine_policy(metrics=[{"metric": "auc", "minimum": 0.5}])
    promote(client, "wine", 1, policy=rule)
    add({"auc": 0.9})
    promote(client, "wine", 2, policy=rule, reason="better")
    add({"auc": 0.4})
    with pytest.raises(PromotionRefused):
        promote(client, "wine", 3, policy=rule)
    move = rollback(client, "wine", policy=rule, reason="it drifts")
    assert (move.from_version, move.to_version) == (2, 1)
    now = client.registry.version_by_alias("wine", "champion")
    assert (now.version, now.source, now.model_id) == (before.version, before.source, before.model_id)
    assert load_model("models:/wine@champion", client=client).predict(FRAME).tolist() == answers
    told = [(each.kind, each.from_version, each.to_version, each.moved_by) for each in history_of(client, "wine")]
    assert told == [
        (MoveKind.PROMOTE, None, 1, "ada"),
        (MoveKind.PROMOTE, 1, 2, "ada"),
        (MoveKind.REFUSED, 2, 3, "ada"),
        (MoveKind.ROLLBACK, 2, 1, "ada"),
    ]


def test_the_checks_that_make_sense_are_made(client: Client, add: Version) -> None:
    add({"auc": 0.1})
    set_alias(client, "wine", "champion", 1)
    add({"auc": 0.9})
    set_alias(client, "wine", "champion", 2)
    with pytest.raises(PromotionRefused, match=r"'champion' \(required tags: no, tag 'owner' is missing") as caught:
        rollback(client, "wine", policy=POLICY)
    assert [verdict.gate for verdict in caught.value.verdicts] == ["required tags", "signature compatible"]
    assert holder(client) == 2
    refused = client.registry.alias_history("wine", "champion")[-1]
    assert (refused.kind, refused.from_version, refused.to_version) == (MoveKind.REFUSED, 2, 1)
    client.registry.update_version("wine", 1, tags={"owner": "ada"})
    move = rollback(client, "wine", policy=POLICY)
    assert [verdict.passed for verdict in move.verdicts] == [True, True]
    assert holder(client) == 1


def test_force_asks_nobody_and_is_recorded(client: Client, add: Version) -> None:
    for _ in range(2):
        set_alias(client, "wine", "champion", add().version)
    move = rollback(client, "wine", policy=POLICY, force=True, reason="fire")
    assert (move.to_version, move.reason, move.verdicts) == (1, "fire (forced)", ())
    assert client.registry.alias_history("wine", "champion")[-1] == move


def test_a_version_may_be_named_whether_it_held_the_alias_or_not(client: Client, add: Version) -> None:
    for _ in range(4):
        add()
    for version in (1, 2, 3):
        set_alias(client, "wine", "champion", version)
    assert rollback(client, "wine", to=1).to_version == 1
    with pytest.raises(NotFound, match="has no earlier holder"):
        rollback(client, "wine")
    assert rollback(client, "wine", to=4).to_version == 4
    assert rollback(client, "wine").to_version == 1
    with pytest.raises(InvalidInput, match="version 1 of model 'wine' holds 'champion' already"):
        rollback(client, "wine", to=1)
    with pytest.raises(NotFound, match="version 9 of model 'wine'"):
        rollback(client, "wine", to=9)


def test_a_deleted_version_is_passed_over(client: Client, add: Version) -> None:
    for _ in range(3):
        set_alias(client, "wine", "champion", add().version)
    client.registry.delete_version("wine", 2)
    assert rollback(client, "wine").to_version == 1


def test_verdicts_are_found_by_version(client: Client, add: Version) -> None:
    rule = wine_policy(metrics=[{"metric": "auc", "minimum": 0.5}])
    add({"auc": 0.4})
    add({"auc": 0.9})
    for _ in range(2):
        with pytest.raises(PromotionRefused):
            promote(client, "wine", 1, policy=rule)
    promote(client, "wine", 1, policy=rule, force=True)
    promote(client, "wine", 2, policy=rule)
    set_alias(client, "wine", "shadow", 2)
    kinds = [(move.kind, [verdict.passed for verdict in move.verdicts]) for move in verdicts_of(client, "wine", 1)]
    assert kinds == [(MoveKind.REFUSED, [False])] * 2 + [(MoveKind.PROMOTE, [False])]
    assert [move.kind for move in verdicts_of(client, "wine", 2)] == [MoveKind.PROMOTE]
    assert {move.alias for move in history_of(client, "wine")} == {"champion", "shadow"}
    assert [move.to_version for move in history_of(client, "wine", "shadow")] == [2]
    with pytest.raises(NotFound):
        verdicts_of(client, "wine", 9)
    with pytest.raises(NotFound):
        history_of(client, "beer")
