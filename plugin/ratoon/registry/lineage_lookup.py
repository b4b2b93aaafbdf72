"""Questions to the stores about many things at once, answered page by page.

MLflow's server knows fewer of them: what it cannot be asked is found in another way, or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from ratoon.entities import Model, ModelVersion, Page, Query, Run, ViewType
from ratoon.errors import InvalidInput
from ratoon.registry.contender import EVALUATION_RUN
from ratoon.stores.grammar import quoted
from ratoon.tracking.client import Client

T = TypeVar("T")

# So many values go into one question.
AT_ONCE = 100
PAGE = 1000


class Lookup:
    """Finds things by what they belong to.

    Args:
        client: The stores to ask.
        limit: Where one question has more answers than this, the rest is left out.

    Attributes:
        truncated: Whether something was left out.
    """

    def __init__(self, client: Client, limit: int) -> None:
        self._client = client
        self._limit = limit
        self.truncated = False

    def runs(self, run_ids: Iterable[str]) -> list[Run]:
        """Runs by their ids, deleted ones too; what is not there is left out."""
        return self._many("run_id", run_ids, self._search_runs)

    def runs_with_data(self, digests: Iterable[str]) -> list[Run]:
        """Runs that read or wrote a dataset with one of these digests."""
        return self._many("datasets.digest", digests, self._search_runs)

    def models(self, model_ids: Iterable[str]) -> list[Model]:
        """Models by their ids; what is not there any more is left out."""
        return self._many("model_id", model_ids, self._search_models)

    def models_of_runs(self, run_ids: Iterable[str]) -> list[Model]:
        """Models that runs began."""
        return self._many("source_run_id", run_ids, self._search_models)

    def versions_of_models(self, models: Iterable[Model]) -> list[ModelVersion]:
        """Versions that were registered from models."""
        makers = {model.model_id: model.source_run_id for model in models}
        try:
            return self._versions("model_id", makers)
        except InvalidInput:
            found = self.versions_of_runs(filter(None, makers.values()))
            return [version for version in found if version.model_id in makers]

    def versions_of_runs(self, run_ids: Iterable[str]) -> list[ModelVersion]:
        """Versions whose model a run made."""
        return self._versions("run_id", run_ids)

    def versions_evaluated_in(self, run_ids: Iterable[str]) -> list[ModelVersion]:
        """Versions that were evaluated last in one of these runs."""
        try:
            return self._versions(f'tags."{EVALUATION_RUN}"', run_ids)
        except InvalidInput:
            return []

    def _versions(self, field: str, values: Iterable[str]) -> list[ModelVersion]:
        """Versions with their aliases, which MLflow's server tells with the model only."""
        registry = self._client.registry
        found = self._many(field, values, registry.search_versions)
        silent = {each.name for each in found} - {each.name for each in found if each.aliases}
        held = {name: registry.get_registered_model(name).aliases for name in silent}
        return [
            msgspec.structs.replace(
                each, aliases=tuple(alias for alias, version in held[each.name].items() if version == each.version)
            )
            if each.name in silent
            else each
            for each in found
        ]

    def _search_runs(self, query: Query) -> Page[Run]:
        return self._client.tracking.search_runs((), msgspec.structs.replace(query, view=ViewType.ALL))

    def _search_models(self, query: Query) -> Page[Model]:
        return self._client.tracking.search_models((), query)

    def _many(self, field: str, values: Iterable[str], search: Callable[[Query], Page[T]]) -> list[T]:
        wanted = list(dict.fromkeys(values))
        found: list[T] = []
        for begin in range(0, len(wanted), AT_ONCE):
            listed = ", ".join(map(quoted, wanted[begin : begin + AT_ONCE]))
            for each in self._pages(f"{field} IN ({listed})", search):
                if len(found) == self._limit:
                    self.truncated = True
                    return found
                found.append(each)
        return found

    def _pages(self, text: str, search: Callable[[Query], Page[T]]) -> Iterator[T]:
        query = Query(filter=text, limit=min(PAGE, self._limit + 1))
        page = search(query)
        yield from page.items
        while page.next_token:
            page = search(msgspec.structs.replace(query, page_token=page.next_token))
            yield from page.items
