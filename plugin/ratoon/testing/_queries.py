"""What is searched for in the contract of tracking stores: runs that differ, and what a query finds among them."""

from __future__ import annotations

import math

# name: start time, metric auc, params, tags; in the order of their creation
RUNS: dict[str, tuple[int, float | None, dict[str, str], dict[str, str]]] = {
    "a": (6, 0.5, {"depth": "3", "max features": "sqrt"}, {"team": "cellar"}),
    "b": (5, 0.75, {"depth": "10"}, {"team": "Cellar", "odd/key-1.x": "it's"}),
    "c": (4, math.nan, {"depth": "3"}, {}),
    "d": (2, None, {}, {"team": "vineyard"}),
    "e": (3, -1e300, {"depth": ""}, {"team": "cell_r"}),
    "f": (1, 0.75, {"depth": "Größe"}, {"team": "100%"}),
}

FILTERS: dict[str, str] = {
    "": "abcdef",
    "metrics.auc > 0.5": "bf",
    "metrics.auc >= 0.5": "abf",
    "metric.auc < 0.75": "ae",
    "metrics.auc <= .75": "abef",
    "metrics.auc = 7.5e-1": "bf",
    "metrics.auc != 0.75": "ace",
    "metrics.`auc` > 0.5 and metrics.auc < 1": "bf",
    "metrics.nothing > 0": "",
    "params.depth = '3'": "ac",
    "param.depth = '3' AND metrics.auc > 0": "a",
    "params.depth LIKE '1_'": "b",
    "params.depth LIKE '%r%'": "f",
    "params.depth LIKE 'g%'": "",
    "params.depth ILIKE 'g%'": "f",
    "params.depth = ''": "e",
    "params.depth IS NULL": "d",
    "params.depth IS NOT NULL": "abcef",
    "params.\"max features\" = 'sqrt'": "a",
    'params.`max features` = "sqrt"': "a",
    "tags.team = 'cellar'": "a",
    "tag.team ILIKE 'CELLAR'": "ab",
    "tags.team LIKE 'cell_r'": "ae",
    "tags.team LIKE '100%'": "f",
    "tags.\"odd/key-1.x\" = 'it''s'": "b",
    'tags.odd/key-1.x = "it\'s"': "b",
    "attributes.run_name = 'a'": "a",
    "run.status = 'RUNNING'": "abcde",
    "status != 'RUNNING'": "f",
    "start_time >= 2 AND attributes.start_time < 5": "cde",
    "created > 5": "a",
    "end_time > 0": "f",
    "dataset.name = 'wine'": "ab",
    "datasets.name = 'wine' AND dataset.context = 'test'": "b",
    "dataset.digest LIKE 'f%'": "b",
    "dataset.context IN ('training', 'other')": "a",
}
# What the unequal is, with those that have no such key and without them.
UNEQUAL: dict[str, tuple[str, str]] = {
    "parameters.depth != '3'": ("bdef", "bef"),
    "tags.team != 'cellar'": ("bcdef", "bdef"),
    "tags.team != 'cellar' AND params.depth = '3'": ("c", ""),
}
LISTS: dict[str, str] = {
    "run_name IN ('a', 'b', 'x')": "ab",
    "attr.run_name NOT IN ('a', 'b', 'x')": "cdef",
    "tags.team IN ('cellar', '100%')": "af",
}
ORDERS: dict[tuple[str, ...], str] = {
    (): "abcedf",
    ("start_time ASC",): "fdecba",
    ("attributes.start_time DESC",): "abcedf",
    ("metrics.auc DESC",): "bfaecd",
    ("metrics.auc",): "eabfcd",
    ("params.depth ASC",): "ebacfd",
    ("params.depth DESC",): "facbed",
    ("params.depth", "metrics.auc DESC"): "ebacfd",
    ("tags.team",): "fbeadc",
    ("run_name DESC",): "fedcba",
    ("status DESC", "run_name"): "abcdef",
    ("end_time",): "fabced",
    ("metrics.nothing", "metrics.auc DESC"): "bfaecd",
}
# Where it is wrong, and what the message must show.
WRONG_FILTERS: dict[str, str] = {
    "metrics.auc > 0.9 OR metrics.auc < 0.1": "character 19.*AND is expected, not 'OR'",
    "(metrics.auc > 0.9)": "character 1.*not '\\('",
    "metrics.auc > 'high'": "character 1.*a number without quotes",
    "params.depth > '3'": "character 1.*cannot be compared by >",
    "params.depth = 3": "character 1.*a 'string' in quotes",
    "params.depth = x": "character 16",
    "metrics.auc >": "character 14.*not the end",
    "metrics.auc": "character 12.*an operator",
    "metrics.auc > 1 AND": "character 20.*not the end",
    "metrics.auc > 1 metrics.b > 1": "character 17.*AND is expected",
    "colour = 'red'": "character 1.*there is no attribute 'colour'.*run_name",
    "colours.red = '1'": "character 1.*there are no 'colours'",
    "dataset.colour = '1'": "name, digest, context",
    "params.depth = 'x": "character 16.*never closed",
    "params.depth IN '3'": "character 17.*'\\('",
    "params.depth IN ('3'": "character 21",
    "params.depth NOT '3'": "character 14.*an operator",
    "tags. = '3'": "character 7",
    "a ; b": "character 3",
}
WRONG_ORDERS = ("colour", "metrics.auc DOWN", "metrics.auc DESC, b", "", "dataset.name", "metrics", "'a'", "colours.x")
