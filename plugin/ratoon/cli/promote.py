"""``ratoon promote``: give an alias to a version, if the gates agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ratoon.cli.output import client_of, format_value, json_option, print_json
from ratoon.cli.verdicts import given_policy, policy_option, print_verdicts
from ratoon.errors import InvalidInput, PromotionRefused
from ratoon.registry.contender import MetricRule
from ratoon.registry.promotion import CHAMPION, Promotion
from ratoon.registry.promotion import promote as promote_version


@click.command
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--alias", default=CHAMPION, show_default=True, help="What the version is to take over.")
@click.option("--metric", help="The metric to judge by; it must not be worse than the holder's.")
@click.option("--lower-is-better", is_flag=True, help="A smaller value of the metric is the better one.")
@click.option("--minimum", type=float, help="The smallest value of the metric that is good enough.")
@click.option("--maximum", type=float, help="The largest value of the metric that is good enough.")
@click.option("--tolerance", type=float, default=0.0, help="By how much it may be worse than the holder's.")
@policy_option
@click.option("--reason", default="", help="Why, for the history.")
@click.option("--force", is_flag=True, help="Move it whatever the gates say; that is kept, too.")
@click.option("--dry-run", is_flag=True, help="Only ask the gates.")
@json_option
@click.pass_context
def promote(
    ctx: click.Context,
    /,
    name: str,
    version: int,
    alias: str,
    policy_file: Path | None,
    reason: str,
    force: bool,
    dry_run: bool,
    as_json: bool,
    **rule: Any,
) -> None:
    """Give an alias of the model NAME to VERSION, if every gate agrees."""
    rules, policy = _rules(**rule), given_policy(policy_file)
    try:
        promotion = promote_version(
            client_of(ctx),
            name,
            version,
            alias=alias,
            rules=rules,
            policy=policy,
            reason=reason,
            force=force,
            dry_run=dry_run,
        )
    except PromotionRefused as refused:
        _print(as_json, Promotion(verdicts=refused.verdicts, champion=None, move=None))
        raise
    _print(as_json, promotion)
    if not as_json:
        click.echo(_said(promotion, name, version, alias, dry_run))
    if dry_run and not promotion.passed:
        ctx.exit(1)


def _rules(
    *, metric: str | None, lower_is_better: bool, minimum: float | None, maximum: float | None, tolerance: float
) -> list[MetricRule]:
    if metric is None:
        if minimum is not None or maximum is not None or lower_is_better or tolerance:
            raise InvalidInput("limits were given without a metric; name the metric they are for with --metric")
        return []
    return [
        MetricRule(
            metric=metric,
            higher_is_better=not lower_is_better,
            minimum=minimum,
            maximum=maximum,
            tolerance=tolerance,
        )
    ]


def _print(as_json: bool, promotion: Promotion) -> None:
    if as_json:
        print_json({"passed": promotion.passed, "verdicts": promotion.verdicts, "move": promotion.move})
    else:
        print_verdicts(promotion.verdicts)


def _said(promotion: Promotion, name: str, version: int, alias: str, dry_run: bool) -> str:
    if dry_run and promotion.champion != version:
        nobody = "" if promotion.verdicts else ", and no gate had anything to judge it by"
        return f"a dry run: nothing was moved{nobody}"
    if promotion.move is None:
        return f"version {version} of model {name!r} holds {alias!r} already"
    before = "nobody" if promotion.champion is None else f"version {format_value(promotion.champion)}"
    return f"version {version} of model {name!r} is now {alias!r}, before it was {before}"
