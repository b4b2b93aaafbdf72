"""Promotion is judging and moving; rollback is moving back to a version that was good before."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ratoon.clock import now_ms
from ratoon.entities import AliasMove, MoveKind, Verdict
from ratoon.errors import InvalidInput, PromotionRefused
from ratoon.manager import notify
from ratoon.registry.contender import Contender, MetricRule, PromotionContext, contender_of
from ratoon.registry.history import earlier_holder
from ratoon.registry.judging import checked_rules, judge, refusal_of
from ratoon.registry.policy import Policy, policy_of
from ratoon.stores.limits import check_alias
from ratoon.tracking.client import Client

CHAMPION = "champion"
# What is asked of a version that wants to become better is not asked of one that was good enough before.
NOT_FOR_ROLLBACK = frozenset({"approval", "metrics", "segments", "significance"})


class Promotion(Struct, frozen=True, kw_only=True):
    """What became of a promotion.

    Attributes:
        verdicts: What every gate thought.
        champion: The version that held the alias before; None if nobody did.
        move: The move that was made; None for a dry run, or if the candidate held the alias already.
    """

    verdicts: tuple[Verdict, ...]
    champion: int | None
    move: AliasMove | None

    @property
    def passed(self) -> bool:
        """Whether no gate refused."""
        return all(verdict.passed for verdict in self.verdicts)


def promote(
    client: Client,
    name: str,
    version: int,
    *,
    alias: str = CHAMPION,
    rules: Sequence[MetricRule] = (),
    policy: Policy | None = None,
    reason: str = "",
    force: bool = False,
    dry_run: bool = False,
) -> Promotion:
    """Give an alias to a version if every gate agrees. The verdicts are kept with the move.

    Args:
        client: Where the model is registered and its runs are kept.
        name: The registered model.
        version: The candidate.
        alias: What it is to take over.
        rules: What its metrics must be like, beside what the policy demands.
        policy: Which gates judge; the project's ``promotion.yml`` if None.
        reason: Why, for the history.
        force: Move whatever the gates say; the refusals are kept, and that it was forced.
        dry_run: Ask the gates and move nothing; a refusal is then not raised.

    Raises:
        PromotionRefused: A gate refused, or none had anything to say. Nothing was moved, the verdicts are kept.
        InvalidSetting: The policy cannot be used.
        Conflict: Somebody moved the alias while the gates judged.
    """
    candidate, champion = _contenders(client, name, version, alias)
    holder = champion.version.version if champion else None
    if holder == version:
        return Promotion(verdicts=(), champion=holder, move=None)
    context = PromotionContext(
        alias=alias,
        client=client,
        rules=tuple(checked_rules(rules)),
        options=(policy or policy_of(client.settings)).gates(candidate.version.name, alias),
        by=client.settings.user,
    )
    verdicts = judge(candidate, champion, context)
    if dry_run:
        return Promotion(verdicts=verdicts, champion=holder, move=None)
    refusal = None if force else refusal_of(candidate, context, verdicts, "improve it")
    move = _settle(context, name, (holder, version), refusal, reason=_reason(reason, force), verdicts=verdicts)
    return Promotion(verdicts=verdicts, champion=holder, move=move)


def rollback(
    client: Client,
    name: str,
    *,
    alias: str = CHAMPION,
    to: int | None = None,
    policy: Policy | None = None,
    reason: str = "",
    force: bool = False,
) -> AliasMove:
    """Give an alias back to the version that held it before; called again, to the one before that.

    The policy's gates are asked, but for those that compare it with the version it is to follow: that it loads, that
    callers can stay as they are, that it carries its tags.

    Args:
        client: Where the model is registered.
        name: The registered model.
        alias: The alias to give back.
        to: The version to go to; the one that held the alias before if None.
        policy: Which gates judge; the project's ``promotion.yml`` if None.
        reason: Why, for the history.
        force: Ask no gate; the history says so.

    Raises:
        NotFound: Nobody held it before, or there is no such version.
        InvalidInput: The version holds the alias already.
        PromotionRefused: A gate refused. Nothing was moved, the verdicts are kept.
    """
    version = earlier_holder(client, name, alias) if to is None else to
    candidate, champion = _contenders(client, name, version, alias)
    holder = champion.version.version if champion else None
    if holder == version:
        raise InvalidInput(f"version {version} of model {name!r} holds {alias!r} already; name another one with --to")
    options = (policy or policy_of(client.settings)).gates(candidate.version.name, alias).without(NOT_FOR_ROLLBACK)
    context = PromotionContext(
        alias=alias, client=client, options=options, kind=MoveKind.ROLLBACK, by=client.settings.user
    )
    verdicts = () if force else judge(candidate, champion, context)
    refusal = None if force else refusal_of(candidate, context, verdicts, "name another version with --to")
    return _settle(context, name, (holder, version), refusal, reason=_reason(reason, force), verdicts=verdicts)


def set_alias(client: Client, name: str, alias: str, version: int | None, *, reason: str = "") -> AliasMove:
    """Give an alias to a version without asking any gate, or take it away with a version of None."""
    holder = client.registry.get_registered_model(name).aliases.get(alias)
    kind = MoveKind.DELETE if version is None else MoveKind.SET
    return _move(client, name, alias, (holder, version), kind=kind, reason=reason)


def _contenders(client: Client, name: str, version: int, alias: str) -> tuple[Contender, Contender | None]:
    """The version that is to take an alias, and the one that holds it."""
    check_alias(alias)
    candidate = contender_of(client, name, version)
    holder = client.registry.get_registered_model(name).aliases.get(alias)
    return candidate, None if holder is None else contender_of(client, name, holder)


def _settle(
    context: PromotionContext,
    name: str,
    change: tuple[int | None, int],
    refusal: PromotionRefused | None,
    *,
    reason: str,
    verdicts: tuple[Verdict, ...],
) -> AliasMove:
    """Move the alias, or raise the refusal; either is in the history then."""
    kind = MoveKind.REFUSED if refusal else context.kind
    move = _move(context.client, name, context.alias, change, kind=kind, reason=reason, verdicts=verdicts)
    if refusal:
        raise refusal
    return move


def _reason(reason: str, force: bool) -> str:
    return f"{reason} (forced)".strip() if force else reason


def _move(
    client: Client,
    name: str,
    alias: str,
    change: tuple[int | None, int | None],
    *,
    kind: MoveKind,
    reason: str,
    verdicts: tuple[Verdict, ...] = (),
) -> AliasMove:
    move = AliasMove(
        name=name,
        alias=alias,
        from_version=change[0],
        to_version=change[1],
        kind=kind,
        moved_by=client.settings.user,
        reason=reason,
        timestamp=now_ms(),
        verdicts=verdicts,
    )
    client.registry.move_alias(move)
    if kind != MoveKind.REFUSED:
        notify(client.manager, "alias_moved", move=move)
    return move
