"""The protocols behind every model flavor: how models of one library become files and come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ratoon.models.trust import TrustPolicy


class Flavor(Protocol):
    """One library's models."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """Names of the distributions that loading needs; their installed versions are pinned in the model."""

    def recognises(self, model: object) -> bool:
        """Whether this flavor saves such an object; must not import the library if it was not imported already."""

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write the model's files into the folder.

        Returns:
            What goes under ``flavors: <name>`` in the MLmodel file. A flavor that MLflow knows, too, uses its keys.
        """

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Read the model back; Untrusted if that would run code which ``policy`` does not allow.

        The digests of all files were verified before, unless the model was saved by MLflow, which writes none. The
        configuration comes from the model's folder: nothing in it may widen the policy, and a file that it names is
        opened through :func:`ratoon.models.mlmodel.data_file`.
        """

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the model; ``data`` fits its signature already."""

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first candidate that the model can be called with; None if there is none.

        Candidates are, for example, what a training node received: features, targets, parameters.
        """


@runtime_checkable
class SavedWithExample(Protocol):
    """A flavor whose best format is made by calling the model; a flavor need not be one."""

    def save_with_example(self, model: Any, folder: Path, example: Any) -> Mapping[str, Any]:
        """Do as ``save``, with the first rows of the input example."""


@runtime_checkable
class ReadByMlflow(Protocol):
    """A flavor whose files MLflow's ``pyfunc`` can load, too; a flavor need not be one."""

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What goes under ``flavors: python_function`` beside the environment: ``loader_module`` and what it reads.

        Args:
            model: The object that was saved.
            config: What ``save`` returned.

        Returns:
            None if MLflow cannot predict with this model.
        """
