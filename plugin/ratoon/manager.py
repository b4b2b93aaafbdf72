"""Plugin managers: how they are made, and how each family of hooks is called.

A manager is a value. :func:`default_manager` is the one that is used where none is given, built on first use.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any, NamedTuple

import pluggy

from ratoon import hookspecs
from ratoon.errors import PluginError
from ratoon.settings import load_settings

ENTRY_POINT_GROUP = "ratoon"

# Named with their hooks, not imported: a builtin costs nothing until it is asked; no room depends on the ones above it.
BUILTINS: Mapping[str, tuple[str, ...]] = {
    "ratoon.stores.sql.plugin": ("open_tracking_store", "open_registry"),
    "ratoon.stores.memory": ("open_tracking_store", "open_registry"),
    "ratoon.stores.rest.plugin": ("open_tracking_store", "open_registry"),
    "ratoon.artifacts.plugin": ("open_artifact_store",),
    "ratoon.models.flavors.catboost": ("register_flavors",),
    "ratoon.models.flavors.keras": ("register_flavors",),
    "ratoon.models.flavors.lightgbm": ("register_flavors",),
    "ratoon.models.flavors.onnx": ("register_flavors",),
    "ratoon.models.flavors.python_function": ("register_flavors",),
    "ratoon.models.flavors.pytorch": ("register_flavors",),
    "ratoon.models.flavors.sklearn": ("register_flavors",),
    "ratoon.models.flavors.spark": ("register_flavors",),
    "ratoon.models.flavors.statsmodels": ("register_flavors",),
    "ratoon.models.flavors.tensorflow": ("register_flavors",),
    "ratoon.models.flavors.transformers": ("register_flavors",),
    "ratoon.models.flavors.xgboost": ("register_flavors",),
    "ratoon.tracking.outputs": ("describe_output",),
    "ratoon.registry.gates.tags": ("judge_promotion",),
    "ratoon.registry.gates.approval": ("judge_promotion",),
    "ratoon.registry.gates.metrics": ("judge_promotion",),
    "ratoon.registry.gates.segments": ("judge_promotion",),
    "ratoon.registry.gates.significance": ("judge_promotion",),
    "ratoon.registry.gates.signature": ("judge_promotion",),
    "ratoon.registry.gates.loads": ("judge_promotion",),
    "ratoon.serving.targets.local": ("register_deploy_targets",),
    "ratoon.cli.commands": ("register_commands",),
}

logger = logging.getLogger(__name__)


class Provided(NamedTuple):
    """What a plugin registered in a hook of the family *provide*."""

    thing: Any
    plugin: str


def make_manager(
    plugins: Iterable[object] = (),
    *,
    builtins: Iterable[str] = BUILTINS,
    installed: bool = True,
    blocked: Collection[str] = (),
) -> pluggy.PluginManager:
    """Make a manager: builtins first, so that they are asked last, then installed plugins, then ``plugins``.

    Args:
        plugins: Modules or instances with hook implementations; asked before everything else, the last one first.
        builtins: Dotted names of ratoon's own plugins.
        installed: Whether distributions with an entry point in the group ``ratoon`` take part.
        blocked: Names of plugins that are left out.

    Raises:
        PluginError: A plugin cannot be imported, or implements a hook that does not exist.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name in blocked:
        manager.set_blocked(name)
    for name in builtins:
        if not manager.is_blocked(name):
            _register(manager, _Builtin(name) if name in BUILTINS else importlib.import_module(name), name)
    if installed:
        for distribution, entry_point in _installed():
            _register_installed(manager, distribution, entry_point)
    for plugin in plugins:
        _register(manager, plugin)
    return manager


@functools.cache
def default_manager() -> pluggy.PluginManager:
    """The manager that is used where none is given: builtins and installed plugins, less those that settings block."""
    return make_manager(blocked=load_settings().block_plugins)


def notify(manager: pluggy.PluginManager, hook_name: str, **arguments: object) -> None:
    """Tell every observer; one that raises is logged with its name and keeps nobody else from hearing."""
    for plugin, caller in _callers(manager, hook_name):
        try:
            caller(**arguments)
        except Exception:
            logger.exception(
                "plugin %r failed in %s and was skipped; to run without it, %s",
                plugin,
                hook_name,
                way_out(plugin),
            )


def collect(manager: pluggy.PluginManager, hook_name: str) -> dict[str, Provided]:
    """Gather what every plugin registers in a hook of the family *provide*, by name.

    Raises:
        PluginError: Two plugins register the same name, or one of them raises.
    """
    found: dict[str, Provided] = {}
    for plugin, caller in _callers(manager, hook_name):

        def register(name: str, thing: object, plugin: str = plugin) -> None:
            if name in found:
                first = found[name].plugin
                raise PluginError(
                    f"{name!r} is registered in {hook_name} by {first!r} and by {plugin!r}; {way_out(first)}"
                )
            found[name] = Provided(thing, plugin)

        try:
            caller(register=register)
        except PluginError:
            raise
        except Exception as error:
            raise PluginError(f"plugin {plugin!r} failed in {hook_name} ({error}); {way_out(plugin)}") from error
    return found


def votes(manager: pluggy.PluginManager, hook_name: str, **arguments: object) -> Iterator[tuple[str, object]]:
    """Ask every plugin on its own; yields the plugin's name and its answer, or the exception that it raised."""
    for plugin, caller in _callers(manager, hook_name):
        try:
            answers = caller(**arguments)
        except Exception as error:  # a gate that breaks must count as a refusal, whatever it raised
            yield plugin, error
        else:
            yield from ((plugin, answer) for answer in answers)


def way_out(plugin: str) -> str:
    """How to go on without a plugin, for the end of a message."""
    return f"set RATOON_BLOCK_PLUGINS={plugin} to run without it"


class _Builtin:
    """One of ratoon's own plugins, whose module is imported when one of its hooks is called.

    Args:
        name: Its dotted name, one of :data:`BUILTINS`.
    """

    def __init__(self, name: str) -> None:
        for hook in BUILTINS[name]:
            setattr(self, hook, hookspecs.hookimpl(_late(name, hook)))


def _late(module: str, hook: str) -> Callable[..., Any]:
    """A hook implementation that takes what the hook's specification names."""

    @functools.wraps(getattr(hookspecs, hook))
    def implementation(*arguments: object) -> Any:
        return getattr(importlib.import_module(module), hook)(*arguments)

    return implementation


def _callers(manager: pluggy.PluginManager, hook_name: str) -> list[tuple[str, pluggy.HookCaller]]:
    """One caller for each plugin that implements the hook, builtins first."""
    hook: pluggy.HookCaller = getattr(manager.hook, hook_name)
    implementations = hook.get_hookimpls()
    plugins = [implementation.plugin for implementation in implementations]
    return [
        (
            implementation.plugin_name,
            manager.subset_hook_caller(hook_name, [other for other in plugins if other is not implementation.plugin]),
        )
        for implementation in implementations
    ]


def _register(manager: pluggy.PluginManager, plugin: object, name: str | None = None, source: str = "") -> None:
    """Register one plugin and check its hooks at once, while it is known whose they are."""
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        name, cause = name or manager.get_canonical_name(plugin), " ".join(str(error).split())
        raise PluginError(
            f"plugin {name!r}{source} does not fit the hooks ({cause}); correct it, or {way_out(name)}"
        ) from error
    except ValueError as error:
        name = name or manager.get_canonical_name(plugin)
        raise PluginError(f"plugin {name!r}{source} is registered already; leave out one of the two") from error


def _installed() -> Iterator[tuple[Distribution, EntryPoint]]:
    seen = set()
    for distribution in distributions():
        for entry_point in distribution.entry_points.select(group=ENTRY_POINT_GROUP):
            # An editable install is found twice where its source folder is on the path, too.
            if (entry_point.name, entry_point.value) not in seen:
                seen.add((entry_point.name, entry_point.value))
                yield distribution, entry_point


def _register_installed(manager: pluggy.PluginManager, distribution: Distribution, entry_point: EntryPoint) -> None:
    name = entry_point.name
    if manager.is_blocked(name):
        return
    source = f" of {distribution.name} {distribution.version}"
    if manager.has_plugin(name):
        raise PluginError(f"plugin {name!r}{source} is registered already; uninstall one of the two")
    try:
        plugin = entry_point.load()
    except Exception as error:
        raise PluginError(
            f"plugin {name!r}{source} cannot be loaded ({error!r}); uninstall it, or {way_out(name)}"
        ) from error
    _register(manager, plugin, name, source)
