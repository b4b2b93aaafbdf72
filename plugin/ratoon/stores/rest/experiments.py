"""Experiments behind a server."""

from __future__ import annotations

from ratoon.entities import Experiment, LifecycleStage, Page, Query, ViewType
from ratoon.errors import AlreadyExists, NotFound
from ratoon.stores.limits import MAX_TAG, check_key, check_name, check_text
from ratoon.stores.protocol import EVERYTHING, TagChanges, Tags
from ratoon.stores.rest.mapping import from_dict, to_experiment
from ratoon.stores.rest.part import RestPart, every, page_of, paging


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
        body = paging(query) | {"view_type": query.view.value}
        return page_of(self._connection.post("/experiments/search", body), "experiments", to_experiment)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name; AlreadyExists if it is taken."""
        body = {"experiment_id": experiment_id, "new_name": check_name("experiment", name)}
        self._connection.post("/experiments/update", body)

    def move_experiment(self, experiment_id: str, stage: LifecycleStage) -> None:
        """Delete an experiment with its runs, or restore it with the runs that were deleted with it."""
        verb = "delete" if stage == LifecycleStage.DELETED else "restore"
        self._connection.post(f"/experiments/{verb}", {"experiment_id": experiment_id})

    def tag_experiment(self, experiment_id: str, tags: TagChanges) -> None:
        """Change tags of an experiment."""
        check_tags(tags)
        for key, value in tags.items():
            body = {"experiment_id": experiment_id, "key": key}
            if value is None:
                self._connection.post("/experiments/delete-experiment-tag", body)
            else:
                self._connection.post("/experiments/set-experiment-tag", body | {"value": value})

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
