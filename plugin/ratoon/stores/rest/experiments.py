"""Experiments behind a server."""

from __future__ import annotations

from ratoon.entities import Experiment, LifecycleStage, Page, Query, ViewType
from ratoon.errors import AlreadyExists, InvalidInput, NotFound
from ratoon.stores import fields
from ratoon.stores.limits import INT64, MAX_TAG, check_key, check_name, check_text
from ratoon.stores.protocol import EVERYTHING, TagChanges, Tags
from ratoon.stores.rest.mapping import from_dict, to_experiment
from ratoon.stores.rest.part import RestPart, every


class RestExperiments(RestPart):
    """See :class:`ratoon.stores.protocol.ExperimentStore` for each method."""

    def create_experiment(
        self, name: str, tags: Tags | None = None, *, artifact_location: str | None = None
    ) -> Experiment:
        """Create an experiment; AlreadyExists if the name is taken, by a deleted one too."""
        check_tags(tags)
        body = {"name": check_name("experiment", name), "tags": from_dict(tags)}
        if artifact_location:
            body["artifact_location"] = artifact_location
        try:
            made = self._connection.post("/experiments/create", body, repeatable=False)
        except AlreadyExists as error:  # MLflow's server shows its SQL in the message
            raise AlreadyExists(f"experiment {name!r} exists already; use it, or choose another name") from error
        return self.get_experiment(str(made["experiment_id"]))

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Read an experiment, a deleted one too; NotFound if there is none."""
        if experiment_id.isdecimal() and int(experiment_id) >= INT64:  # MLflow's database has no column for it
            raise NotFound(f"experiment '{experiment_id:.80}' does not exist; list what is there")
        return to_experiment(self._connection.get("/experiments/get", experiment_id=experiment_id)["experiment"])

    def find_experiment(self, name: str) -> Experiment | None:
        """Read an experiment by its name, a deleted one too; None if there is none."""
        try:
            found = self._connection.get("/experiments/get-by-name", experiment_name=check_name("experiment", name))
        except NotFound:
            return None
        return to_experiment(found["experiment"])

    def search_experiments(self, query: Query = EVERYTHING) -> Page[Experiment]:
        """Experiments that fulfil a query, the newest first unless it says otherwise."""
        asked = self._ask(fields.EXPERIMENT, query)
        answer = self._connection.post("/experiments/search", asked.body | {"view_type": query.view.value})
        return asked.page(answer, "experiments", to_experiment)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name; AlreadyExists if it is taken."""
        body = {"experiment_id": experiment_id, "new_name": check_name("experiment", name)}
        if not self._connection.is_ratoon:
            self._check_rename(experiment_id, body["new_name"])
        self._connection.post("/experiments/update", body)

    def move_experiment(self, experiment_id: str, stage: LifecycleStage) -> None:
        """Delete an experiment with its runs, or restore it with the runs that were deleted with it."""
        verb = "delete" if stage == LifecycleStage.DELETED else "restore"
        try:
            self._connection.post(f"/experiments/{verb}", {"experiment_id": experiment_id})
        except NotFound:  # MLflow's server finds none that is there already
            if self.get_experiment(experiment_id).lifecycle_stage != stage:
                raise

    def tag_experiment(self, experiment_id: str, tags: TagChanges) -> None:
        """Change tags of an experiment."""
        check_tags(tags)
        for key, value in tags.items():
            body = {"experiment_id": experiment_id, "key": key}
            if value is None:
                self._untag(experiment_id, body)
            else:
                self._connection.post("/experiments/set-experiment-tag", body | {"value": value})

    def _untag(self, experiment_id: str, body: dict[str, str]) -> None:
        try:
            self._connection.post("/experiments/delete-experiment-tag", body)
        except NotFound:  # MLflow's server misses the tag; the experiment may be missing, too
            self.get_experiment(experiment_id)

    def _check_rename(self, experiment_id: str, name: str) -> None:
        """Refuse what MLflow's server answers with the error of its database, or with 500."""
        self._check_active(experiment_id)
        holder = self.find_experiment(name)
        if holder is not None and holder.experiment_id != experiment_id:
            raise AlreadyExists(f"experiment {name!r} exists already; choose another name")

    def _check_active(self, experiment_id: str) -> None:
        if self.get_experiment(experiment_id).lifecycle_stage == LifecycleStage.DELETED:
            raise InvalidInput(f"experiment '{experiment_id}' is deleted; restore it first")

    def _experiment_ids(self, given: list[str]) -> list[str]:
        """The experiments to search: those that are given, or all of them, which the API has no word for."""
        if given:
            return given
        return [each.experiment_id for each in every(self.search_experiments, Query(view=ViewType.ALL, limit=1000))]


def check_tags(tags: TagChanges | Tags | None) -> None:
    """Refuse tags that could not be read back, before any of them is sent."""
    for key, value in (tags or {}).items():
        check_key("tag", key)
        if value is not None:
            check_text(f"value of tag {key!r}", value, MAX_TAG)
