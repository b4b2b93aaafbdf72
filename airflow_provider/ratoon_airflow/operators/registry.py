"""Register what a run produced, let gates decide whether it goes into service, and go back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from ratoon_airflow.operators.base import RatoonOperator
from ratoon_airflow.runs import found_versions

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ratoon.entities import AliasMove, Model, ModelVersion, Verdict
    from ratoon.registry.promotion import Promotion
    from ratoon.tracking.client import Client


class RegisterOperator(RatoonOperator):
    """Registers a model of a run as a new version and returns ``{"name": …, "version": …}``.

    A model that is a version of that name already is not registered again: its version is returned.

    Args:
        run_id: The run that produced the model.
        model_name: The name to register it under; made if there is none.
        artifact: The name that the run gave to the model.
    """

    template_fields: Sequence[str] = ("run_id", "model_name", "artifact")

    def __init__(self, *, run_id: str, model_name: str, artifact: str = "model", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.model_name = model_name
        self.artifact = artifact

    def work(self, client: Client, context: Context) -> object:
        """Register, or find what an earlier try registered."""
        from ratoon.tracking.locations import parse_model_uri
        from ratoon.tracking.models import logged_model, register_model

        uri = f"runs:/{self.run_id}/{self.artifact}"
        model = logged_model(client, parse_model_uri(uri))
        version = _version_of(model, self.model_name, client)
        if version is None:
            version = register_model(f"models:/{model.model_id}", self.model_name, client=client)
        self.log.info("%s is version %d of '%s'", uri, version.version, version.name)
        return {"name": version.name, "version": version.version}


class PromoteOperator(RatoonOperator):
    """Lets the gates judge a version and gives it the alias if none refuses.

    The value returned holds ``name``, ``version``, ``alias``, ``previous`` (the version that held the alias before, or
    None) and ``verdicts``. A version that holds the alias already stays where it is.

    Args:
        model_name: The registered model.
        version: The candidate; a text with a number is fine, as templates make texts.
        metric: The metric of the versions' runs that decides.
        alias: The alias to move.
        higher_is_better: Whether more of the metric is better.
        minimum: Refuse a candidate below this.
        maximum: Refuse a candidate above this.
        tolerance: How much worse than the holder of the alias the candidate may be.
        reason: Why, for the history of the alias.
        on_refusal: ``fail`` ends the task as failed, without a retry; ``skip`` ends it as skipped.
    """

    template_fields: Sequence[str] = ("model_name", "version", "metric", "alias", "reason")

    def __init__(
        self,
        *,
        model_name: str,
        version: int | str,
        metric: str,
        alias: str = "champion",
        higher_is_better: bool = True,
        minimum: float | None = None,
        maximum: float | None = None,
        tolerance: float = 0.0,
        reason: str = "",
        on_refusal: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.version = version
        self.metric = metric
        self.alias = alias
        self.higher_is_better = higher_is_better
        self.minimum = minimum
        self.maximum = maximum
        self.tolerance = tolerance
        self.reason = reason
        self.on_refusal = on_refusal

    def work(self, client: Client, context: Context) -> object:
        """Judge and move, or find that the version is where it should be."""
        version = version_number(self.version)
        held = self._held(client, version)
        if held is not None:
            self.log.info("'%s' of '%s' is version %d already", self.alias, self.model_name, version)
            return self._answer(version, held.from_version, held.verdicts)
        promotion = self._promote(client, version)
        self.log.info("'%s' of '%s' is version %d now", self.alias, self.model_name, version)
        return self._answer(version, promotion.champion, promotion.verdicts)

    def _held(self, client: Client, version: int) -> AliasMove | None:
        """The move that gave the alias to this version, if it has it now: an earlier try may have made it."""
        from ratoon.entities import MoveKind

        client.registry.get_version(self.model_name, version)
        history = client.registry.alias_history(self.model_name, self.alias)
        made = [move for move in history if move.kind is not MoveKind.REFUSED]
        return made[-1] if made and made[-1].to_version == version else None

    def _promote(self, client: Client, version: int) -> Promotion:
        from ratoon.errors import PromotionRefused
        from ratoon.registry.contender import MetricRule
        from ratoon.registry.promotion import promote

        if self.on_refusal not in ("fail", "skip"):
            raise AirflowFailException(f"on_refusal is {self.on_refusal!r}; give 'fail' or 'skip'")
        rule = MetricRule(
            metric=self.metric,
            higher_is_better=self.higher_is_better,
            minimum=self.minimum,
            maximum=self.maximum,
            tolerance=self.tolerance,
        )
        try:
            return promote(client, self.model_name, version, alias=self.alias, rules=(rule,), reason=self.reason)
        except PromotionRefused as refusal:
            exception = AirflowSkipException if self.on_refusal == "skip" else AirflowFailException
            raise exception(str(refusal)) from refusal

    def _answer(self, version: int, previous: int | None, verdicts: Sequence[Verdict]) -> dict[str, object]:
        return {
            "name": self.model_name,
            "version": version,
            "alias": self.alias,
            "previous": previous,
            "verdicts": verdicts,
        }


class RollbackOperator(RatoonOperator):
    """Gives an alias back to the version that held it before.

    The value returned holds ``name``, ``alias``, ``version`` (who holds it now), ``previous`` (who held it until then)
    and ``reason``. The same task instance goes back once: a retry, or clearing the task, finds its move in the history
    of the alias and makes no second one.

    Args:
        model_name: The registered model.
        alias: The alias to move back.
        reason: Why, for the history of the alias; the task is added to it.
    """

    template_fields: Sequence[str] = ("model_name", "alias", "reason")

    def __init__(self, *, model_name: str, alias: str = "champion", reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.alias = alias
        self.reason = reason

    def work(self, client: Client, context: Context) -> object:
        """Move the alias back, unless this task instance did so before."""
        from ratoon.entities import MoveKind
        from ratoon.registry.promotion import rollback

        ti = context["ti"]
        mark = f"[airflow: {ti.dag_id} / {ti.run_id} / {ti.task_id} / {ti.map_index}]"
        history = client.registry.alias_history(self.model_name, self.alias)
        made = (move for move in history if move.kind is MoveKind.ROLLBACK and move.reason.endswith(mark))
        move = next(made, None)
        if move is None:
            reason = f"{self.reason} {mark}".lstrip()
            move = rollback(client, self.model_name, alias=self.alias, reason=reason)
        self.log.info("'%s' of '%s': %s -> %s", move.alias, move.name, move.from_version, move.to_version)
        return {
            "name": move.name,
            "alias": move.alias,
            "version": move.to_version,
            "previous": move.from_version,
            "reason": move.reason,
        }


def _version_of(model: Model, name: str, client: Client) -> ModelVersion | None:
    """The version of that name which a model is already."""
    from ratoon.stores.grammar import quoted

    # MLflow's own server does not search versions by their model.
    of_run = "" if model.source_run_id is None else f" AND run_id = '{model.source_run_id}'"
    versions = found_versions(client.registry, f"name = {quoted(name)}{of_run}")
    return next((version for version in versions if version.model_id == model.model_id), None)


def version_number(value: int | str) -> int:
    """The number of a version, which a template may have turned into a text.

    Raises:
        AirflowFailException: It is no positive whole number.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or int(text) == 0:
        raise AirflowFailException(
            f"version {value!r} is not a version number (a positive whole number is); "
            "give what RegisterOperator returned under 'version'"
        )
    return int(text)
