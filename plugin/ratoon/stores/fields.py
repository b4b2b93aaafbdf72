"""What a search may ask for: the fields of each kind of thing, and what they may be compared with.

============ =================================== ========================================================
entity       also written                        operators
============ =================================== ========================================================
attribute    attributes, attr, run, or nothing   numbers: ``= != < <= > >=``
                                                 texts: ``= != LIKE ILIKE IN``, ``NOT IN``
metric       metrics                             ``= != < <= > >=``, ``IS NULL``, ``IS NOT NULL``
param        params, parameter, parameters       ``= != LIKE ILIKE IN``, ``NOT IN``, ``IS NULL``, ``IS NOT NULL``
tag          tags                                as a param
dataset      datasets                            ``= != LIKE ILIKE IN``, ``NOT IN``
============ =================================== ========================================================

What is missing is equal to nothing: it fulfils ``!=`` and ``NOT IN`` where a text is asked for (MLflow's client finds
the registered models that are no prompts by this), and no comparison with a number. A dataset comparison is fulfilled
if one of the run's datasets does. ``LIKE`` tells capital letters from small ones, ``ILIKE`` does not; in both ``%``
stands for any characters and ``_`` for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from msgspec import Struct
from msgspec.structs import replace

from ratoon.entities import MeasuredOn
from ratoon.errors import InvalidInput
from ratoon.stores.grammar import Comparison, Ordering, parse_filter, parse_order, wrong

NUMBERS = frozenset(("=", "!=", "<", "<=", ">", ">="))
TEXTS = frozenset(("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"))
PRESENCE = frozenset(("IS NULL", "IS NOT NULL"))
# No text that is stored is longer, and SQLite takes no pattern of more than 50,000 bytes.
LONGEST_PATTERN = 8_000

_OPERATORS = {"metric": NUMBERS | PRESENCE, "param": TEXTS | PRESENCE, "tag": TEXTS | PRESENCE, "dataset": TEXTS}

_ENTITIES = {
    "": "attribute",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "metric": "metric",
    "metrics": "metric",
    "param": "param",
    "params": "param",
    "parameter": "param",
    "parameters": "param",
    "tag": "tag",
    "tags": "tag",
    "dataset": "dataset",
    "datasets": "dataset",
}


class Fields(Struct, frozen=True, kw_only=True):
    """What can be asked about one kind of thing.

    Attributes:
        numbers: Attributes that are numbers.
        texts: Attributes that are texts.
        entities: What else it has: ``metric``, ``param``, ``tag``, ``dataset``.
        aliases: Other names of attributes.
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    entities: tuple[str, ...]
    aliases: Mapping[str, str] = {}


RUN = Fields(
    numbers=("start_time", "end_time"),
    texts=("run_id", "run_name", "status", "user_id", "artifact_uri"),
    entities=("metric", "param", "tag", "dataset"),
    aliases={"created": "start_time", "run name": "run_name", "run_uuid": "run_id"},
)
EXPERIMENT = Fields(
    numbers=("creation_time", "last_update_time"),
    texts=("experiment_id", "name"),
    entities=("tag",),
)
MODEL = Fields(
    numbers=("creation_timestamp", "last_updated_timestamp"),
    texts=("model_id", "name", "model_type", "status", "source_run_id"),
    entities=("metric", "param", "tag"),
    aliases={"creation_time": "creation_timestamp", "last_updated_time": "last_updated_timestamp"},
)
REGISTERED_MODEL = Fields(
    numbers=("creation_timestamp", "last_updated_timestamp"),
    texts=("name",),
    entities=("tag",),
    aliases={"timestamp": "last_updated_timestamp"},
)
VERSION = Fields(
    numbers=("version_number", "creation_timestamp", "last_updated_timestamp"),
    texts=("name", "run_id", "model_id", "source_path", "user_id", "status", "current_stage"),
    entities=("tag",),
    aliases={"version": "version_number", "source": "source_path"},
)

DATASET_FIELDS = ("name", "digest", "context")


def comparisons_of(fields: Fields, text: str) -> tuple[Comparison, ...]:
    """Read a filter, every name in it replaced by the one that this module knows it by.

    Raises:
        InvalidInput: It cannot be read, or asks for what there is not.
    """
    return tuple(_checked(fields, text, comparison) for comparison in parse_filter(text))


def orderings_of(fields: Fields, terms: Sequence[str]) -> tuple[Ordering, ...]:
    """Read an order, every name in it replaced by the one that this module knows it by.

    Raises:
        InvalidInput: It cannot be read, or asks for what there is not.
    """
    found = []
    for term, ordering in zip(terms, parse_order(terms), strict=True):
        entity, key = _resolved(fields, ordering.entity, ordering.key, ("order", term, 0))
        if entity == "dataset":
            raise wrong("order", term, 0, "a run may have many datasets")
        found.append(Ordering(entity=entity, key=key, ascending=ordering.ascending))
    return tuple(found)


def measured_orders(orderings: Sequence[Ordering], datasets: Sequence[MeasuredOn | None]) -> tuple[Ordering, ...]:
    """The terms of an order, each with the dataset on which its metric was measured.

    Raises:
        InvalidInput: There is a dataset for a term that is no metric, or for none.
    """
    if len(datasets) > len(orderings):
        raise InvalidInput(f"order has {len(orderings)} terms for {len(datasets)} datasets; give a term for each")
    found = []
    for ordering, dataset in zip_longest(orderings, datasets):
        if dataset is not None and ordering.entity != "metric":
            raise InvalidInput(f"order by {ordering.key!r} names a dataset and is no metric; leave the dataset out")
        found.append(replace(ordering, dataset=dataset))
    return tuple(found)


def _checked(fields: Fields, text: str, given: Comparison) -> Comparison:
    entity, key = _resolved(fields, given.entity, given.key, ("filter", text, given.position))
    is_number = entity == "metric" or (entity == "attribute" and key in fields.numbers)
    allowed = _OPERATORS.get(entity) or (NUMBERS if is_number else TEXTS)
    shown = key if entity == "attribute" else f"{entity}s.{key}"
    if given.operator not in allowed:
        known = ", ".join(sorted(allowed))
        raise wrong("filter", text, given.position, f"{shown} cannot be compared by {given.operator}; it knows {known}")
    if given.value is not None and isinstance(given.value, float) != is_number:
        wanted = "a number without quotes" if is_number else "a 'string' in quotes"
        raise wrong("filter", text, given.position, f"{shown} is compared with {wanted}")
    if given.operator in ("LIKE", "ILIKE") and len(str(given.value)) > LONGEST_PATTERN:
        fault = f"a pattern may have {LONGEST_PATTERN} characters"
        raise wrong("filter", text, given.position, fault)
    return Comparison(entity=entity, key=key, operator=given.operator, value=given.value, position=given.position)


def _resolved(fields: Fields, entity: str, key: str, place: tuple[str, str, int]) -> tuple[str, str]:
    found = _ENTITIES.get(entity)
    if found is None or found not in ("attribute", *fields.entities):
        known = ", ".join(f"{each}s" for each in ("attribute", *fields.entities))
        raise wrong(*place, f"there are no {entity!r}; there are {known}")
    if found == "dataset":
        if key not in DATASET_FIELDS:
            raise wrong(*place, f"a dataset has no {key!r}; it has {', '.join(DATASET_FIELDS)}")
    elif found == "attribute":
        key = _attribute(fields, key, place)
    return found, key


def _attribute(fields: Fields, key: str, place: tuple[str, str, int]) -> str:
    known = (*fields.texts, *fields.numbers)
    # MLflow takes "Created", "Run name" and "Run Name", too.
    found = fields.aliases.get(key.lower(), key)
    if found not in known:
        others = " and ".join(f"{each}s.<key>" for each in fields.entities if each != "dataset")
        raise wrong(*place, f"there is no attribute {key!r}; there are {', '.join(known)}, and {others}")
    return found
