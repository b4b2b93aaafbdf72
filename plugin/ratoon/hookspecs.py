"""The hooks: the one way by which anything joins ratoon, its own parts included.

Four families, told by their grammar:

==========  ================================  ============================================  =====================
family      form                              what happens to the answers                   an exception
==========  ================================  ============================================  =====================
provide     ``register_flavors(register)``    each is kept; a duplicate is refused          stops, plugin named
answer      ``open_tracking_store(uri)``      None declines, the first other answer wins    reaches the caller
observe     ``run_finished(run)``             there are none                                is logged, plugin named
vote        ``judge_promotion(candidate)``    any refusal refuses; all are kept             counts as a refusal
==========  ================================  ============================================  =====================

Plugins given explicitly are asked before installed ones, installed ones before the builtins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from ratoon.artifacts.protocol import ArtifactStore
    from ratoon.entities import AliasMove, Deployment, ModelVersion, Run, Verdict
    from ratoon.models.flavor import Flavor
    from ratoon.registry.contender import Contender, PromotionContext
    from ratoon.serving.targets.protocol import DeployTarget
    from ratoon.stores.protocol import Registry, TrackingStore
    from ratoon.tracking.outputs import Description

PROJECT = "ratoon"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def open_tracking_store(uri: str) -> TrackingStore | None:
    """Open the store that runs are recorded in.

    Called once for each URI and process. Return None to decline; the first other answer wins. An exception reaches
    the caller.

    Args:
        uri: The setting ``tracking_uri``, absolute: ``sqlite:////data/ratoon.db`` or a scheme of your own.
    """


@hookspec(firstresult=True)
def open_registry(uri: str) -> Registry | None:
    """Open the registry that versions and aliases are kept in.

    Called once for each URI and process. Return None to decline; the first other answer wins. An exception reaches
    the caller.

    Args:
        uri: The setting ``registry_uri``, absolute; it may name another place than the tracking store.
    """


@hookspec(firstresult=True)
def open_artifact_store(uri: str) -> ArtifactStore | None:
    """Open the store that files are kept in.

    Called once for each URI and process. Return None to decline; the first other answer wins. An exception reaches
    the caller.

    Args:
        uri: The setting ``artifact_root``: an absolute path, a ``file:`` URI or a scheme of your own.
    """


@hookspec(firstresult=True)
def describe_output(name: str, value: object) -> Description | None:
    """Say what a value that a pipeline made is worth: metrics, their history, figures, a document, models.

    Called for each output of a tracked pipeline. Return None to decline; the first other answer wins, and one without
    anything in it says that the value is worth nothing. If all decline, a value that a flavor saves is a model. An
    exception reaches the caller, which records the run without this value.

    Args:
        name: The name of the value, a Kedro dataset's for example.
        value: The value itself; it must not be changed.
    """


@hookspec
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide model flavors: ``register(name, flavor)``.

    Called when a model is first saved or loaded. Every registration is kept; a name that is taken is refused with both
    plugins named. An exception stops the call, with the plugin's name.

    Args:
        register: Takes the key under ``flavors`` in the MLmodel file, and the flavor.
    """


@hookspec
def register_deploy_targets(register: Callable[[str, DeployTarget], None]) -> None:
    """Provide places where models are put into service: ``register(name, target)``.

    Called when a deployment is made or looked at. Every registration is kept; a name that is taken is refused with
    both plugins named. An exception stops the call, with the plugin's name.

    Args:
        register: Takes the name that ``ratoon deploy --to`` is given, and the target.
    """


@hookspec
def register_commands(register: Callable[[str, click.Command | str], None]) -> None:
    """Provide commands of the ``ratoon`` command line: ``register(name, command)``.

    Called when the command line starts. Every registration is kept; a name that is taken is refused with both plugins
    named. An exception stops the command line, with the plugin's name.

    Args:
        register: Takes the command's name, and the click command or ``"module:attribute"`` to import it from on use.
    """


@hookspec
def run_started(run: Run) -> None:
    """A run was created or resumed.

    Called after the run is stored, in the process that runs it. Answers are ignored; an exception is logged with the
    plugin's name and stops nothing.

    Args:
        run: The run as it was stored.
    """


@hookspec
def run_finished(run: Run) -> None:
    """A run came to its end, well or badly; ``run.status`` tells.

    Called after everything that was logged is durable. Answers are ignored; an exception is logged with the plugin's
    name and stops nothing.

    Args:
        run: The run with its final params, metrics and tags.
    """


@hookspec
def artifact_logged(run_id: str, path: str) -> None:
    """A file of a run is stored.

    Called after the bytes are durable. Answers are ignored; an exception is logged with the plugin's name and stops
    nothing.

    Args:
        run_id: The run it belongs to.
        path: Its path below the run's artifacts, with forward slashes.
    """


@hookspec
def version_registered(version: ModelVersion) -> None:
    """A registered model has a new version.

    Called after it is stored. Answers are ignored; an exception is logged with the plugin's name and stops nothing.

    Args:
        version: The version as it was stored.
    """


@hookspec
def alias_moved(move: AliasMove) -> None:
    """An alias has another holder: by hand, by promotion or by rollback.

    Called after the move is stored. Answers are ignored; an exception is logged with the plugin's name and stops
    nothing.

    Args:
        move: From which version to which, by whom, why and on which verdicts.
    """


@hookspec
def deployment_changed(deployment: Deployment, event: str) -> None:
    """A deployment was made, replaced or taken away.

    Called after the target has done it. Answers are ignored; an exception is logged with the plugin's name and stops
    nothing.

    Args:
        deployment: The deployment as it is now, or as it was before it was removed.
        event: ``deployed`` or ``removed``.
    """


@hookspec
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Judge whether the candidate may take the alias.

    Called for every promotion and every rollback before anything moves, and for dry runs; not for a rollback that is
    forced. Every verdict is recorded; one refusal refuses the move. None or an empty sequence means that the gate has
    nothing to say. An exception counts as a refusal with the exception as its reason, but for
    :class:`~ratoon.errors.InvalidSetting`: that one reaches the caller, and nothing is moved or recorded.

    A gate that takes options has a name, under which the policy lists them. It asks ``context.options`` for that name
    on every call, whether it has anything to say or not: a name in the policy that no gate asks for is refused.

    Args:
        candidate: The version that is to take the alias, with the metrics of its runs.
        champion: The version that holds the alias now; None if nobody does.
        context: The alias, the rules that the caller asked to be applied, the options of each gate, and the client.
    """
