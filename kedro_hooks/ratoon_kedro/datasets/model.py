"""A model of the run: saved to it, and loaded from it, from another run or from the registry."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kedro.io import Version

from ratoon.errors import InvalidInput, NotFound, StoreError
from ratoon_kedro.datasets.keeping import private_folder, replacing
from ratoon_kedro.datasets.place import Place, RunDataset

if TYPE_CHECKING:
    from ratoon.entities import Model
    from ratoon.models.loading import LoadedModel
    from ratoon.models.trust import Trust

DEFAULT_NAME = "model"


class ModelDataset(RunDataset):
    """Logs a model to the tracked run when it is saved, and loads it again.

    ``load`` takes the first of these that there is:

    1. the version that was asked for: ``kedro run --load-versions classifier:3``, or an alias in place of the number;
    2. the model that this very run saved;
    3. ``uri``, or ``name`` with ``alias``;
    4. the copy in ``filepath``;
    5. the newest model that any run of the experiment logged under the dataset's name.

    Without a tracked run ``save`` starts none: the model is kept in ``filepath``, or else until the process ends. So it
    is if the store fails; then a warning says so.

    ::

        classifier:
          type: ratoon_kedro.datasets.ModelDataset
          register_as: wine            # a new version for each model
        champion:
          type: ratoon_kedro.datasets.ModelDataset
          name: wine
          alias: champion

    Args:
        uri: Where to load from: ``models:/name@alias``, ``models:/name/3``, ``models:/m-…`` or ``runs:/<run>/<name>``.
        name: A registered model; its latest version unless there is an ``alias``. Another way to write ``uri``.
        alias: Of the registered model.
        flavor: The flavor to save with; the first that recognises the model if None.
        register_as: The registered model that each saved model becomes a version of.
        input_example: Rows to infer the signature from; found among what the node received if None.
        load_as: ``native`` for the object that was saved; ``predictor`` for one whose ``predict`` checks the signature.
        trust: What loading may run: ``data`` for nothing, ``code``, or a list of types. If None, what this very run
            saved is loaded as it is, and of everything else only data.
        filepath: A folder that gets a copy of each saved model.
        save_args: Options of ``log_model``: ``metadata``.
        credentials: What the server asks for: ``token``, or ``username`` and ``password``.
        version: What Kedro makes of ``--load-versions``.
        metadata: For other plugins.

    Raises:
        InvalidInput: The options contradict each other.
    """

    _RATOON = "model"
    # Kedro's own mark of a class that always takes a version.
    versioned = True

    def __init__(
        self,
        *,
        uri: str | None = None,
        name: str | None = None,
        alias: str | None = None,
        flavor: str | None = None,
        register_as: str | None = None,
        input_example: Any = None,
        load_as: Literal["native", "predictor"] = "native",
        trust: str | Sequence[str] | None = None,
        filepath: str | None = None,
        save_args: Mapping[str, Any] | None = None,
        credentials: Mapping[str, str] | None = None,
        version: Version | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        _check(uri, name, alias, load_as)
        self._uri = uri or _registered_uri(name, alias)
        self._registered = name or register_as
        self._flavor = flavor
        self._register_as = register_as
        self._input_example = input_example
        self._load_as = load_as
        self._trust = trust
        self._copy_in = Path(filepath) if filepath else None
        self._save_args = dict(save_args or {})
        self._credentials = credentials
        self._version = version
        self.metadata = metadata
        self._kept_in = private_folder(self)
        self._loaded: str | None = None
        self._place_of_model: str | None = None
        self._candidates: list[object] = []

    def __getstate__(self) -> dict[str, Any]:
        # What a node received is none of another process's business.
        return self.__dict__ | {"_candidates": []}

    def offer_examples(self, values: list[object]) -> None:
        """Take what the node received: the example of the model that is saved next is looked for among it."""
        self._candidates = values

    def save(self, data: Any) -> None:
        """Log the model to the tracked run, and copy it where that was asked for."""
        candidates, self._candidates = self._candidates, []
        with self._place_to_save() as place, place.saving_model:
            options = self._options(data, candidates, place)
            if self._copy_in is not None:
                _write(data, self._copy_in, options, place)
            if place.run is None:
                _write(data, self._kept_in, options, place)
                return
            try:
                logged = place.run.log_model(
                    data, self._run_name, register_as=self._register_as, **options, **self._save_args
                )
            except StoreError as error:
                _write(data, self._kept_in, options, place)
                where = self._copy_in or "a folder that goes with this process, for it has no filepath"
                self._forgive(f"log model {self._run_name!r}, which is kept in {where}", error, kept=True)
            else:
                self._place_of_model = f"models:/{logged.model_id}"
                shutil.rmtree(self._kept_in, ignore_errors=True)

    def load(self) -> Any:
        """Load the model; see the class for which one."""
        with self._place() as place:
            found = self._fetch(place)
        return found if self._load_as == "predictor" else found.native

    def resolve_load_version(self) -> str | None:
        """The version of the registered model that was loaded; the one that was asked for before that."""
        return self._loaded or self._wanted

    @property
    def _wanted(self) -> str | None:
        return self._version.load if self._version else None

    @property
    def _run_name(self) -> str:
        from ratoon_kedro.recording.outputs import model_name

        return model_name(self._name) if self._name else DEFAULT_NAME

    def _fetch(self, place: Place) -> LoadedModel:
        from ratoon.models.loading import load_folder
        from ratoon.tracking.models import load_model, resolve_version

        source, trust = self._source(place)
        if isinstance(source, Path):
            return load_folder(source, manager=place.manager, trust=trust)
        version = resolve_version(place.client, source)
        self._loaded = str(version.version) if version else None
        # An alias moves; what was loaded stays where it is.
        self._place_of_model = f"models:/{version.name}/{version.version}" if version else source
        return load_model(source, trust=trust, client=place.client)

    def _source(self, place: Place) -> tuple[str | Path, Trust]:
        """What is to be loaded, and what may be run for it."""
        trust: Trust = None if self._trust == "data" else self._trust
        own: Trust = "code" if self._trust is None else trust
        if self._wanted:
            return self._uri_of_version(self._wanted), trust
        if (model := self._model_of_this_run(place)) is not None:
            return f"models:/{model.model_id}", own
        if self._kept_in.is_dir():
            return self._kept_in, own
        if self._uri is not None:
            return self._uri, trust
        if self._copy_in is not None and self._copy_in.is_dir():
            return self._copy_in, own
        return f"models:/{self._newest(place).model_id}", trust

    def _uri_of_version(self, version: str) -> str:
        name = self._registered
        if name is None and self._uri is not None:
            from ratoon.tracking.locations import parse_model_uri

            name = parse_model_uri(self._uri).name
        if name is None:
            raise InvalidInput(
                f"version {version!r} of model {self._run_name!r} cannot be loaded (the dataset names no registered "
                "model); give it name or register_as"
            )
        return f"models:/{name}/{version}" if version.isdigit() else f"models:/{name}@{version}"

    def _model_of_this_run(self, place: Place) -> Model | None:
        saved_here = self._binding is None or self._binding.produced
        if place.run is None or not (saved_here or self._uri is None):
            return None
        models = place.client.tracking.run_models(place.run.run_id)
        return next((model for model in reversed(models) if _is_complete(model, self._run_name)), None)

    def _newest(self, place: Place) -> Model:
        from ratoon.entities import Query

        experiment_id = place.experiment_id()
        if experiment_id is not None:
            query = Query(filter=f"name = {_quoted(self._run_name)}", limit=20)
            models = place.client.tracking.search_models([experiment_id], query).items
            for model in models:
                if _is_complete(model, self._run_name):
                    return model
        raise NotFound(
            f"model {self._run_name!r} is not there (no run of the experiment logged it); "
            "save it first, or give the dataset a uri"
        )

    def _options(self, model: object, candidates: list[object], place: Place) -> dict[str, Any]:
        """What is known about a model that is saved: its flavor, and rows that it can be called with."""
        from ratoon.models.flavors import flavor_of, registered_flavors

        name = self._flavor or flavor_of(model, place.manager)[0]
        example = self._input_example
        if example is None and (flavor := registered_flavors(place.manager).get(name)) is not None:
            example = flavor.example_from(model, [value for value in candidates if value is not model])
        return {"flavor": name, "input_example": example}

    def _exists(self) -> bool:
        from ratoon.tracking.locations import parse_model_uri
        from ratoon.tracking.models import logged_model

        with self._place() as place:
            try:
                source, _ = self._source(place)
                if isinstance(source, str):
                    logged_model(place.client, parse_model_uri(source))
            except NotFound:
                return False
        return True

    def _describe(self) -> dict[str, Any]:
        return {
            "uri": self._uri,
            "filepath": self._copy_in,
            "register_as": self._register_as,
            "flavor": self._flavor,
            "load_as": self._load_as,
            "version": self._wanted,
            "path": self._place_of_model,
        }


def _check(uri: str | None, name: str | None, alias: str | None, load_as: str) -> None:
    from ratoon.tracking.locations import parse_model_uri

    if uri is not None and (name is not None or alias is not None):
        raise InvalidInput(f"model URI {uri!r} is given beside name or alias; give one or the other")
    if alias is not None and name is None:
        raise InvalidInput(f"alias {alias!r} belongs to no model; give its name, too")
    if load_as not in ("native", "predictor"):
        raise InvalidInput(f"load_as is {load_as!r}; give native or predictor")
    if uri is not None:
        parse_model_uri(uri)


def _registered_uri(name: str | None, alias: str | None) -> str | None:
    if name is None:
        return None
    return f"models:/{name}@{alias}" if alias else f"models:/{name}"


def _write(model: object, folder: Path, options: Mapping[str, Any], place: Place) -> None:
    from ratoon.models.saving import save_model

    with replacing(folder) as scratch:
        save_model(model, scratch, manager=place.manager, **options)


def _is_complete(model: Model, name: str) -> bool:
    from ratoon.entities import ModelStatus

    return model.name == name and model.status is ModelStatus.READY


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "") + '"' if "'" in text else f"'{text}'"
