"""The flavors that are registered, and which of them saves a model."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import pluggy

from ratoon.errors import InvalidInput
from ratoon.manager import collect
from ratoon.models.flavor import Flavor

GENERIC = "python_function"
# What they recognise, a base class and a method, models of other libraries have as well: those are asked before.
_BROAD = ("sklearn", GENERIC)

_known: WeakKeyDictionary[pluggy.PluginManager, tuple[int, dict[str, Flavor]]] = WeakKeyDictionary()


def registered_flavors(manager: pluggy.PluginManager) -> dict[str, Flavor]:
    """Every flavor by its name, in the order in which they are asked: a user's plugins first, the broad ones last.

    Asked once for a manager, and again when a plugin with flavors has come or gone.
    """
    plugins = len(manager.hook.register_flavors.get_hookimpls())
    count, flavors = _known.get(manager, (-1, {}))
    if count != plugins:
        found = collect(manager, "register_flavors")
        names = sorted(reversed(found), key=lambda name: name in _BROAD and 1 + _BROAD.index(name))
        flavors = {name: found[name].thing for name in names}
        _known[manager] = (plugins, flavors)
    return dict(flavors)


def flavor_of(model: object, manager: pluggy.PluginManager) -> tuple[str, Flavor]:
    """The first flavor that recognises the object, and its name.

    Raises:
        InvalidInput: None does.
    """
    flavors = registered_flavors(manager)
    for name, flavor in flavors.items():
        if flavor.recognises(model):
            return name, flavor
    raise InvalidInput(
        f"object of type '{type(model).__qualname__}' is no model (flavors asked: {', '.join(flavors) or 'none'}); "
        "give an object with a method predict, a function, or install a plugin with a flavor for it"
    )
