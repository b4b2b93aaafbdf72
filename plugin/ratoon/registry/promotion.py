"""Promotion is judging and moving; rollback is moving to whoever held the alias before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from ratoon.clock import now_ms
from ratoon.entities import AliasMove, ModelVersion, MoveKind, Verdict
from ratoon.errors import InvalidInput, NotFound, PromotionRefused
from ratoon.manager import notify, votes
from ratoon.registry.contender import Contender, MetricRule, PromotionContext
from ratoon.stores.limits import check_alias
from ratoon.tracking.client import Client

CHAMPION = "champion"


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
        rules: What its metrics must be like.
        reason: Why, for the history.
        force: Move whatever the gates say; the refusals are kept, and that it was forced.
        dry_run: Ask the gates and move nothing; a refusal is then not raised.

    Raises:
        PromotionRefused: A gate refused, or none had anything to say. Nothing was moved, the verdicts are kept.
        Conflict: Somebody moved the alias while the gates judged.
    """
    check_alias(alias)
    candidate = _contender(client, client.registry.get_version(name, version))
    holder = client.registry.get_registered_model(name).aliases.get(alias)
    if holder == version:
        return Promotion(verdicts=(), champion=holder, move=None)
    champion = _contender(client, client.registry.get_version(name, holder)) if holder is not None else None
    context = PromotionContext(alias=alias, rules=tuple(_checked(rules)))
    verdicts = tuple(_verdicts(client, candidate, champion, context))
    if dry_run:
        return Promotion(verdicts=verdicts, champion=holder, move=None)
    refusal = None if force else _refusal(f"version {version} of model {name!r}", alias, verdicts)
    kind = MoveKind.REFUSED if refusal else MoveKind.PROMOTE
    reason = f"{reason} (forced)".strip() if force else reason
    move = _move(client, name, alias, (holder, version), kind=kind, reason=reason, verdicts=verdicts)
    if refusal:
        raise refusal
    return Promotion(verdicts=verdicts, champion=holder, move=move)


def rollback(client: Client, name: str, *, alias: str = CHAMPION, reason: str = "") -> AliasMove:
    """Give an alias back to the version that held it before; called again, to the one before that.

    Raises:
        NotFound: Nobody held it before.
    """
    held: list[int | None] = [None]
    for move in client.registry.alias_history(name, alias):
        if move.kind == MoveKind.ROLLBACK:
            while held[-1] != move.to_version:
                held.pop()
        elif move.kind != MoveKind.REFUSED and move.to_version != held[-1]:
            held.append(move.to_version)
    earlier = [version for version in held[:-1] if version is not None]
    if not earlier:
        raise NotFound(
            f"alias {alias!r} of model {name!r} has no earlier holder; choose one with 'ratoon promote {name} VERSION'"
        )
    return _move(client, name, alias, (held[-1], earlier[-1]), kind=MoveKind.ROLLBACK, reason=reason)


def set_alias(client: Client, name: str, alias: str, version: int | None, *, reason: str = "") -> AliasMove:
    """Give an alias to a version without asking any gate, or take it away with a version of None."""
    holder = client.registry.get_registered_model(name).aliases.get(alias)
    kind = MoveKind.DELETE if version is None else MoveKind.SET
    return _move(client, name, alias, (holder, version), kind=kind, reason=reason)


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


def _contender(client: Client, version: ModelVersion) -> Contender:
    if version.run_id is None:
        return Contender(version=version)
    try:
        run = client.tracking.get_run(version.run_id)
    except NotFound:
        return Contender(version=version)
    return Contender(version=version, run=run, metrics={key: each.value for key, each in run.metrics.items()})


def _checked(rules: Sequence[MetricRule]) -> Iterable[MetricRule]:
    for rule in rules:
        numbers = {"minimum": rule.minimum, "maximum": rule.maximum, "tolerance": rule.tolerance}
        for what, number in numbers.items():
            if number is not None and not math.isfinite(number):
                raise InvalidInput(f"the {what} for metric {rule.metric!r} is {number}; give a finite number")
        if rule.tolerance < 0:
            raise InvalidInput(f"the tolerance for metric {rule.metric!r} is {rule.tolerance}; give 0 or more")
        yield rule


def _verdicts(
    client: Client, candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Iterable[Verdict]:
    arguments = {"candidate": candidate, "champion": champion, "context": context}
    for plugin, answer in votes(client.manager, "judge_promotion", **arguments):
        if isinstance(answer, Exception):
            yield Verdict(gate=plugin, passed=False, reason=f"the gate itself failed: {answer!r}")
        elif isinstance(answer, Sequence) and all(isinstance(verdict, Verdict) for verdict in answer):
            yield from answer
        else:  # what cannot be understood must not pass for agreement
            reason = f"the gate itself failed: it answered {answer!r} instead of a list of verdicts"
            yield Verdict(gate=plugin, passed=False, reason=reason)


def _refusal(candidate: str, alias: str, verdicts: Sequence[Verdict]) -> PromotionRefused | None:
    against = [verdict for verdict in verdicts if not verdict.passed]
    if verdicts and not against:
        return None
    causes = [f"{verdict.gate}: no, {verdict.reason}" for verdict in against]
    cause = "; ".join(causes) or "no gate had anything to judge it by"
    what_to_do = "improve it" if causes else "name a metric with --metric"
    return PromotionRefused(
        f"{candidate} may not take {alias!r} ({cause}); {what_to_do}, or move it with --force", verdicts
    )
