"""The registry behind a server."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ratoon.entities import ModelVersion, Page, Query, RegisteredModel
from ratoon.errors import InvalidInput, NotFound
from ratoon.remote.connection import MLFLOW
from ratoon.stores import fields
from ratoon.stores.limits import check_alias, check_model_name, check_stage, normalised
from ratoon.stores.protocol import EVERYTHING, TagChanges, Tags
from ratoon.stores.rest.aliases import RestAliases
from ratoon.stores.rest.experiments import check_tags
from ratoon.stores.rest.mapping import WIRE_VERSION_STATUS, from_dict, model_id_of, to_registered_model, to_version

# MLflow's server refuses larger pages of names.
MOST_NAMES = 1000


class RestRegistry(RestAliases):
    """What is registered, kept by a server. See :class:`ratoon.stores.protocol.Registry` for each method."""

    def create_registered_model(self, name: str, description: str = "", tags: Tags | None = None) -> RegisteredModel:
        """Create a name; AlreadyExists if it is taken."""
        check_tags(tags)
        body = {"name": check_model_name(name), "description": description, "tags": from_dict(tags)}
        made = self._connection.post("/registered-models/create", body, repeatable=False)
        return to_registered_model(made["registered_model"])

    def update_registered_model(
        self, name: str, *, new_name: str | None = None, description: str | None = None, tags: TagChanges | None = None
    ) -> RegisteredModel:
        """Change what is given; AlreadyExists if the new name is taken."""
        name = normalised(name)
        check_tags(tags)
        if new_name is not None:
            body = {"name": name, "new_name": check_model_name(new_name)}
            self._connection.post("/registered-models/rename", body, repeatable=False)
            name = body["new_name"]
        if description is not None:
            self._change("PATCH", "/registered-models/update", {"name": name, "description": description})
        self._tag("/registered-models", {"name": name}, tags)
        return self.get_registered_model(name)

    def delete_registered_model(self, name: str) -> None:
        """Delete a name with its versions, aliases and history; NotFound if there is none."""
        self._change("DELETE", "/registered-models/delete", {"name": normalised(name)})

    def search_registered_models(self, query: Query = EVERYTHING) -> Page[RegisteredModel]:
        """Names that fulfil a query, in alphabetical order unless it says otherwise."""
        asked = self._ask(fields.REGISTERED_MODEL, query, most=MOST_NAMES)
        answer = self._connection.get("/registered-models/search", **asked.body)
        return asked.page(answer, "registered_models", to_registered_model)

    def create_version(self, version: ModelVersion) -> ModelVersion:
        """Store a version under the next free number; its ``version`` and times are ignored."""
        check_tags(version.tags)
        body: dict[str, Any] = {
            "name": normalised(version.name),
            "source": version.source,
            "description": version.description,
            "tags": from_dict(version.tags),
        }
        model_id = version.model_id or model_id_of(version.source)
        given = {"run_id": version.run_id, "model_id": model_id, "run_link": version.run_link}
        if self._connection.is_ratoon:
            given |= {"user_id": version.user_id, "status": WIRE_VERSION_STATUS[version.status]}
        body |= {key: value for key, value in given.items() if value}
        made = self._connection.post("/model-versions/create", body, repeatable=False)
        return to_version(made["model_version"])

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Read a version; NotFound if there is none."""
        self._check_number(name, version)
        try:
            answer = self._connection.get("/model-versions/get", name=normalised(name), version=str(version))
        except NotFound as error:
            if not self._connection.is_ratoon:  # MLflow's server does not say which there are
                raise self._no_version(name, version) from error
            raise
        return to_version(answer["model_version"])

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Read the version that holds an alias; NotFound if nobody does."""
        check_alias(alias)
        try:
            answer = self._connection.get("/registered-models/alias", name=normalised(name), alias=alias)
        except InvalidInput as error:  # how MLflow's server says that nobody holds it
            known = self.get_registered_model(name).aliases
            held = ", ".join(f"{each} by version {version}" for each, version in sorted(known.items())) or "none"
            raise NotFound(f"alias {alias!r} of model {name!r} is held by no version (held are: {held})") from error
        return to_version(answer["model_version"])

    def search_versions(self, query: Query = EVERYTHING) -> Page[ModelVersion]:
        """Versions that fulfil a query, the newest first unless it says otherwise."""
        asked = self._ask(fields.VERSION, query)
        page = asked.page(self._connection.get("/model-versions/search", **asked.body), "model_versions", to_version)
        return page if self._connection.is_ratoon else self._with_aliases(page)

    def update_version(
        self,
        name: str,
        version: int,
        *,
        description: str | None = None,
        stage: str | None = None,
        tags: TagChanges | None = None,
    ) -> ModelVersion:
        """Change what is said about a version; what it consists of never changes."""
        named = {"name": normalised(name), "version": str(version)}
        check_tags(tags)
        self._check_number(name, version)
        if description is not None:
            self._change("PATCH", "/model-versions/update", named | {"description": description})
        if stage is not None:
            body: dict[str, Any] = named | {"stage": check_stage(stage), "archive_existing_versions": False}
            self._connection.post("/model-versions/transition-stage", body)
        self._tag("/model-versions", named, tags)
        return self.get_version(name, version)

    def delete_version(self, name: str, version: int) -> None:
        """Delete a version and its aliases; NotFound if there is none."""
        self._check_number(name, version)
        self._change("DELETE", "/model-versions/delete", {"name": normalised(name), "version": str(version)})

    def _check_number(self, name: str, version: int) -> None:
        """A number that no version can have is no number at all for a server."""
        if version < 1:
            raise self._no_version(name, version)

    def _no_version(self, name: str, version: int) -> NotFound:
        latest = self.get_registered_model(name).latest_version
        return NotFound(f"version {version} of model {name!r} does not exist; the newest is {latest}")

    def _with_aliases(self, page: Page[ModelVersion]) -> Page[ModelVersion]:
        """MLflow's server tells aliases with a name, not with the versions that it found."""
        held: dict[tuple[str, int], list[str]] = {}
        for name in {version.name for version in page.items}:
            for alias, version in self.get_registered_model(name).aliases.items():
                held.setdefault((name, version), []).append(alias)
        found = (replace(each, aliases=tuple(held.get((each.name, each.version), ()))) for each in page.items)
        return Page(tuple(found), page.next_token)

    def _tag(self, path: str, named: dict[str, str], tags: TagChanges | None) -> None:
        for key, value in (tags or {}).items():
            if value is None:
                self._change("DELETE", f"{path}/delete-tag", named | {"key": key})
            else:
                self._connection.post(f"{path}/set-tag", named | {"key": key, "value": value})

    def _change(self, method: str, path: str, body: dict[str, str]) -> None:
        self._connection.call(method, MLFLOW + path, body=body)
