"""Gates that ask people: tags that somebody sets, and approvals."""

from __future__ import annotations

import pytest

from ratoon.errors import InvalidInput, NotFound
from ratoon.registry.approvals import approvals_of, approve, withdraw
from ratoon.registry.promotion import promote
from ratoon.testing.values import version_of
from ratoon.tracking.client import Client

from .conftest import MakeClient, Refused, wine_policy


@pytest.fixture
def wine(client: Client) -> Client:
    """A client of a place in which wine has one version; its user is ada."""
    client.registry.create_registered_model("wine")
    client.registry.create_version(version_of("wine"))
    return client


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({}, "tag 'owner' is missing; tag 'reviewed' is missing"),
        ({"owner": "", "reviewed": "yes"}, "tag 'owner' is empty"),
        ({"owner": "ada", "reviewed": "no"}, "tag 'reviewed' is 'no', wanted is 'yes'"),
    ],
)
def test_a_missing_tag_is_named_with_the_command_that_sets_it(
    wine: Client, refused: Refused, tags: dict[str, str], said: str
) -> None:
    wine.registry.update_version("wine", 1, tags=tags)
    verdict = refused(1, wine_policy(tags={"required": ["owner", "reviewed=yes"]}))
    assert verdict.reason == f"{said}; set it with 'ratoon models tag wine 1 KEY=VALUE'"


def test_tags_that_are_there_are_enough(wine: Client) -> None:
    wine.registry.update_version("wine", 1, tags={"owner": "ada", "reviewed": "a=b"})
    (verdict,) = promote(wine, "wine", 1, policy=wine_policy(tags={"required": ["owner", "reviewed=a=b"]})).verdicts
    assert verdict.reason == "version 1 has owner, reviewed=a=b"


def test_who_promotes_does_not_approve(wine: Client, refused: Refused, make_client: MakeClient) -> None:
    policy = wine_policy(approval={})
    verdict = refused(1, policy)
    assert verdict.reason == (
        "0 of 1 approvals are there; ask somebody other than ada for"
        " 'ratoon approve wine 1 --alias champion --reason WHY'"
    )
    approve(wine, "wine", 1, reason="mine")
    assert "0 of 1 approvals are there (ada approved, which does not count)" in refused(1, policy).reason
    bob = make_client(user="bob@example.com")
    given = approve(bob, "wine", 1, reason="looks good")
    (verdict,) = promote(wine, "wine", 1, policy=policy).verdicts
    assert verdict.reason == "approved by bob@example.com (looks good)"
    kept = wine.registry.alias_history("wine", "champion")[-1].verdicts[0].evidence
    wanted = {"alias": "champion", "by": "bob@example.com", "at": given.at, "reason": "looks good"}
    assert kept == {"wanted": 1, "approvals": [wanted]}


def test_an_approval_counts_for_its_alias_and_its_version_alone(wine: Client, refused: Refused) -> None:
    wine.registry.create_version(version_of("wine"))
    approve(wine, "wine", 1, alias="challenger")
    approve(wine, "wine", 2)
    # A tag that somebody made up, and one whose name another alias begins with.
    made_up = {"ratoon.approval.champion.eve": "yes", "ratoon.approval.champion.two.bob": "{}"}
    wine.registry.update_version("wine", 1, tags=made_up)
    assert "0 of 1 approvals" in refused(1, wine_policy(approval={"by_others": False})).reason


def test_several_people_must_approve_and_each_counts_once(
    wine: Client, refused: Refused, make_client: MakeClient
) -> None:
    policy = wine_policy(approval={"count": 2, "by_others": False, "by": ["ada", "bob", "cleo"]})
    for user in ("ada", "ada", "dan"):
        approve(make_client(user=user), "wine", 1)
    reason = refused(1, policy).reason
    assert reason.startswith("1 of 2 approvals are there (dan approved, which does not count); ask one of ada, bob")
    approve(make_client(user="cleo"), "wine", 1)
    assert promote(wine, "wine", 1, policy=policy).verdicts[0].reason == "approved by ada, cleo"


def test_an_approval_is_replaced_and_taken_back(wine: Client) -> None:
    approve(wine, "wine", 1, reason="first")
    approve(wine, "wine", 1, reason="second")
    (given,) = approvals_of(wine.registry.get_version("wine", 1), "champion")
    assert (given.by, given.reason) == ("ada", "second")
    assert withdraw(wine, "wine", 1) == given
    assert wine.registry.get_version("wine", 1).tags == {}
    with pytest.raises(NotFound, match="has no approval of 'ada' for 'champion'"):
        withdraw(wine, "wine", 1)


def test_what_cannot_be_approved_is_refused(wine: Client) -> None:
    with pytest.raises(NotFound, match="version 9 of model 'wine'"):
        approve(wine, "wine", 9)
    with pytest.raises(InvalidInput, match="reads as a version"):
        approve(wine, "wine", 1, alias="v2")
