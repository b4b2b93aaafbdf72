"""What a store may be unable to do, said openly: a contract leaves out the rules that it breaks and asks for others.

A store that wraps a service of somebody else cannot always do what the protocols ask for. Its test class names what is
missing, and the rules that follow from it are not collected; in their place come rules that say what happens instead::

    class TestMine(TrackingStoreContract):
        limits = frozenset({Limit.INFINITE_VALUES})

Without ``limits`` every rule of the contract holds. :func:`left_out` lists what a class does without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, ClassVar, TypeVar

F = TypeVar("F", bound=Callable[..., object])

_MARK = "_ratoon_limits"


class Limit(Enum):
    """Something that a store does not do; the text says what it does instead."""

    GIVEN_IDS = "Runs and models get their ids, places and times from the store, so creating one again makes another."
    INFINITE_VALUES = "A metric that is infinite is refused."
    EARLY_TIMES = "A time before 1970 is refused."
    SECOND_ROLES = "A dataset has one role in a run; a second one is refused."
    DATASETS_AT_A_STEP = "A model is measured on one dataset at each step and time; a second one is refused."
    MISSING_IS_UNEQUAL = "A comparison by != does not find what has no such key."
    LISTS_OF_NAMES = "A filter asks by IN for ids, not for other texts, which is refused."
    TIES_BY_AGE = "What is equal in the order that was asked for comes in some order, the same each time."
    NAN_BEHIND = "A model whose metric is NaN comes before others in an order, not behind them."
    DATASETS_BY_NAME = "A search of models names a dataset with its digest; a name alone is refused."
    STATUS_OF_MODELS = "A filter of models does not know their status; asking for it is refused."
    TIMES_OF_NAMES = "A filter of registered models knows their names and tags; asking for times is refused."
    STEADY_PAGES = "A page begins where the one before ended when it was asked for: what came meanwhile moves items on."
    ORDER_OF_NAMES = "Names come in alphabetical order, but by another alphabet."
    BINS = "An experiment that is restored brings back all its runs, those too that were deleted before it was."
    PROMPTS = "Names that are tagged as MLflow's prompts are not listed."
    PLACES = "Experiments keep their files where the store says; another place is refused."
    SOURCES = "A version is one of a model that the store has; another source is refused."
    AUTHORS = "A version has no author and no status of its own."
    ALIAS_HISTORY = "The moves of an alias are not kept; asking for them is refused."
    ATOMIC_MOVES = "Of moves that are made at once more than one may win: the holder is compared before it is set."


class Rules:
    """What every contract begins with.

    Attributes:
        limits: What the store cannot do; nothing unless a subclass says so.
    """

    limits: ClassVar[frozenset[Limit]] = frozenset()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, rule in _rules_of(cls):
            if name in vars(cls):  # what a class says itself, it means
                continue
            wanted = rule if _holds(rule, cls.limits) else None
            if getattr(cls, name) is not wanted:
                setattr(cls, name, wanted)  # pytest collects no None


def beyond(*limits: Limit) -> Callable[[F], F]:
    """Mark a rule that no store with one of these limits keeps."""
    return _marked(frozenset(limits), frozenset())


def within(limit: Limit) -> Callable[[F], F]:
    """Mark a rule for stores with this limit alone: what happens instead."""
    return _marked(frozenset(), frozenset({limit}))


def left_out(contract: type[Rules]) -> dict[str, frozenset[Limit]]:
    """The rules that a test class does without, and why."""
    found = {name: _limits_of(rule)[0] for name, rule in _rules_of(contract)}
    return {name: limits & contract.limits for name, limits in found.items() if limits & contract.limits}


def added(contract: type[Rules]) -> dict[str, Limit]:
    """The rules that hold for a test class in place of those, and why."""
    found = {name: _limits_of(rule)[1] for name, rule in _rules_of(contract)}
    return {name: next(iter(limits)) for name, limits in found.items() if limits and limits <= contract.limits}


def _marked(missing: frozenset[Limit], needed: frozenset[Limit]) -> Callable[[F], F]:
    def mark(rule: F) -> F:
        setattr(rule, _MARK, (missing, needed))
        return rule

    return mark


def _holds(rule: object, limits: frozenset[Limit]) -> bool:
    missing, needed = _limits_of(rule)
    return not missing & limits and needed <= limits


def _limits_of(rule: object) -> tuple[frozenset[Limit], frozenset[Limit]]:
    """The limits that a rule does not hold with, and those that it holds with alone."""
    found: tuple[frozenset[Limit], frozenset[Limit]] = getattr(rule, _MARK, (frozenset(), frozenset()))
    return found


def _rules_of(contract: type) -> Iterator[tuple[str, object]]:
    """Every rule of a class and those above it, whether it holds there or not."""
    for name in sorted({each for part in contract.__mro__ for each in vars(part) if each.startswith("test_")}):
        rule = next((vars(part)[name] for part in contract.__mro__ if vars(part).get(name) is not None), None)
        if rule is not None:
            yield name, rule
