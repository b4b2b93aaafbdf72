"""Which node a person means: a dataset, a run, something with a model URI, or a deployment."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ratoon.entities import Deployment, Query, ViewType
from ratoon.errors import InvalidInput, NotFound
from ratoon.registry.lineage_nodes import (
    Alias,
    Found,
    Kind,
    alias_node,
    dataset_node,
    deployment_node,
    model_node,
    run_node,
    version_node,
)
from ratoon.stores.grammar import quoted
from ratoon.tracking.client import Client
from ratoon.tracking.locations import parse_model_uri
from ratoon.tracking.models import logged_model, resolve_version

# Of a dataset's name, that many of the latest runs are looked through for its digests.
LOOKED_THROUGH = 1000

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_PREFIXES = (Kind.DATASET, Kind.RUN, Kind.DEPLOYMENT)


def find_subject(client: Client, subject: str, deployments: Sequence[Deployment]) -> list[Found]:
    """The nodes that are meant: one, or a dataset's of every digest that it has.

    Raises:
        NotFound: There is none.
        InvalidInput: It may be things of several kinds.
    """
    if ":/" in subject:
        return [node_of_uri(client, subject)]
    prefix, colon, rest = subject.partition(":")
    wanted = [Kind(prefix)] if colon and prefix in _PREFIXES else list(_PREFIXES)
    name = rest if len(wanted) == 1 else subject
    found = {kind: nodes for kind in wanted if (nodes := _named(client, kind, name, deployments))}
    if len(found) > 1:
        ways = " or ".join(f"'{kind}:{name}'" for kind in found)
        raise InvalidInput(f"'{subject}' is a {' and a '.join(found)}; say which: {ways}")
    if not found:
        raise NotFound(
            f"nothing is called '{subject}' ({', '.join(wanted)} were looked for); give a dataset's digest or name, a"
            " run's whole id, a model URI such as models:/NAME@ALIAS, or a deployment's name"
        )
    return next(iter(found.values()))


def node_of_uri(client: Client, uri: str) -> Found:
    """The node of a model URI: an alias, a version or a logged model.

    Raises:
        NotFound: There is no such model. InvalidInput: it is no model URI.
    """
    parsed = parse_model_uri(uri)
    version = resolve_version(client, uri)
    if version is None:
        return model_node(logged_model(client, parsed))
    if parsed.alias is not None:
        return alias_node(Alias(version.name, parsed.alias, version.version))
    return version_node(version)


def _named(client: Client, kind: Kind, name: str, deployments: Sequence[Deployment]) -> list[Found]:
    if kind == Kind.RUN:
        return _run(client, name)
    if kind == Kind.DATASET:
        return _datasets(client, name)
    return [deployment_node(each) for each in deployments if each.name == name]


def _run(client: Client, run_id: str) -> list[Found]:
    try:
        return [run_node(client.tracking.get_run(run_id))] if _RUN_ID.fullmatch(run_id) else []
    except NotFound:
        return []


def _datasets(client: Client, name: str) -> list[Found]:
    """Datasets with this digest; or else of this name."""
    for attribute in ("digest", "name"):
        query = Query(filter=f"datasets.{attribute} = {quoted(name)}", limit=LOOKED_THROUGH, view=ViewType.ALL)
        runs = client.tracking.search_runs((), query).items
        given = [each.dataset for run in runs for each in run.inputs if getattr(each.dataset, attribute) == name]
        if given:
            return list({found.node.id: found for found in map(dataset_node, given)}.values())
    return []
