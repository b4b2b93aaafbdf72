"""MLflow's filter language: what is read, and where a mistake is pointed at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.errors import InvalidInput
from ratoon.stores import fields
from ratoon.stores.fields import comparisons_of, orderings_of
from ratoon.stores.grammar import MOST_COMPARISONS, Ordering, parse_filter, parse_order, quoted


@pytest.mark.parametrize(
    ("text", "entity", "key", "operator", "value"),
    [
        ("metrics.auc > 0.9", "metrics", "auc", ">", 0.9),
        ("METRICS.auc>=-1", "metrics", "auc", ">=", -1.0),
        ("metrics.eval.auc<=+.5", "metrics", "eval.auc", "<=", 0.5),
        ("metrics.a-b/c < 1e3", "metrics", "a-b/c", "<", 1000.0),
        ("metrics.1 = 2", "metrics", "1", "=", 2.0),
        ("metrics.`a b` != 1.", "metrics", "a b", "!=", 1.0),
        ("params.\"max depth\" = '3'", "params", "max depth", "=", "3"),
        ('params.x = "it\'s"', "params", "x", "=", "it's"),
        ("params.x = 'it''s'", "params", "x", "=", "it's"),
        ("params.größe like '%ä%'", "params", "größe", "LIKE", "%ä%"),
        ("tags.`mlflow.prompt.is_prompt` != 'true'", "tags", "mlflow.prompt.is_prompt", "!=", "true"),
        ("tags.a iLike ''", "tags", "a", "ILIKE", ""),
        ("tags.a IS\n NOT NULL", "tags", "a", "IS NOT NULL", None),
        ("tags.a is null", "tags", "a", "IS NULL", None),
        ("run_id in ('a')", "", "run_id", "IN", ("a",)),
        ("run_id NOT  IN('a', \"b\",)", "", "run_id", "NOT IN", ("a", "b")),
        ("`run name` = 'AND'", "", "run name", "=", "AND"),
        ("and = 'x'", "", "and", "=", "x"),
    ],
)
def test_a_comparison_is_read(text: str, entity: str, key: str, operator: str, value: object) -> None:
    (found,) = parse_filter(text)
    assert (found.entity, found.key, found.operator, found.value) == (entity, key, operator, value)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_filter_asks_for_nothing(text: str) -> None:
    assert parse_filter(text) == ()


def test_comparisons_are_joined_by_and_and_know_where_they_begin() -> None:
    found = parse_filter("metrics.a > 1 and params.b='AND' AND run_id IN ('x')")
    assert [(each.key, each.position) for each in found] == [("a", 0), ("b", 18), ("run_id", 37)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("metrics.a > 1 OR metrics.b > 1", "character 15, 'metrics.a > 1 >>>OR metrics.b > 1'"),
        ("metrics.a ~ 1", "character 11, 'metrics.a >>>~ 1'"),
        ("metrics.a > ", "character 13, 'metrics.a > >>>'"),
        ("metrics.a > 1; DROP TABLE runs", "character 14, 'metrics.a > 1>>>; DROP TABLE runs'"),
        ("params.a = 'x", 'character 12, "params.a = >>>\'x"'),
        ("'x' = 'x'", "character 1"),
        ("metrics.a > 0x10", "character 13"),
        ("metrics.a > 1.2.3", "character 13"),
        ("metrics.a > NaN", "character 13"),
        ("metrics. > 1", "character 10"),
        ("params.a IN ()", "character 14"),
        ("params.a IN ('x' 'y')", "character 18"),
        ("params.a NOT LIKE 'x'", "character 10"),
        ("params.a IS 'x'", "character 10"),
        ("metrics.a > 1 AND AND", "character 22"),
        ("x" * 40 + " = 'a' junk", "character 48"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_filter(text)
    assert f"filter is wrong at {shown}" in str(caught.value)
    assert "write for example metrics.auc > 0.9" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_filter_has_an_end() -> None:
    with pytest.raises(InvalidInput, match="more than 100 comparisons"):
        parse_filter(" AND ".join(["a = 'x'"] * (MOST_COMPARISONS + 1)))
    with pytest.raises(InvalidInput, match="100000 are allowed"):
        parse_filter("a = '" + "x" * 100_000 + "'")
    with pytest.raises(InvalidInput, match="20 are allowed"):
        parse_order(["a"] * 21)
    for text in (None, 3, b"a = 'x'"):
        with pytest.raises(InvalidInput):
            parse_order([text])  # type: ignore[list-item]


@given(st.text())
def test_whatever_is_asked_is_read_or_refused(text: str) -> None:
    try:
        parse_filter(text)
        parse_order([text])
    except InvalidInput as error:
        assert "is wrong at character" in str(error)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_read_back(text: str) -> None:
    (found,) = parse_filter(f"params.x = {quoted(text)}")
    assert found.value == text


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("metrics.auc", Ordering(entity="metrics", key="auc", ascending=True)),
        ("metrics.auc desc", Ordering(entity="metrics", key="auc", ascending=False)),
        ("params.`a b` ASC", Ordering(entity="params", key="a b", ascending=True)),
        ('"start_time" DESC', Ordering(entity="", key="start_time", ascending=False)),
    ],
)
def test_an_order_is_read(term: str, wanted: Ordering) -> None:
    assert parse_order([term]) == (wanted,)


@pytest.mark.parametrize("entity", ["attribute", "attributes", "attr", "run", "Run"])
def test_attributes_have_many_names(entity: str) -> None:
    (found,) = comparisons_of(fields.RUN, f"{entity}.status = 'FINISHED'")
    assert (found.entity, found.key) == ("attribute", "status")


@pytest.mark.parametrize("name", ["Created", "created", "start_time"])
def test_a_start_is_also_a_creation(name: str) -> None:
    assert orderings_of(fields.RUN, [f"attributes.{name} DESC"])[0].key == "start_time"
    assert comparisons_of(fields.RUN, f"{name} > 1")[0].key == "start_time"


@pytest.mark.parametrize("name", ["Run name", "Run Name", "run name", "run_name"])
def test_the_name_of_a_run_may_be_written_as_in_mlflows_tables(name: str) -> None:
    assert comparisons_of(fields.RUN, f"attributes.`{name}` = 'x'")[0].key == "run_name"


@pytest.mark.parametrize(
    ("known", "text", "said"),
    [
        (fields.EXPERIMENT, "metrics.a > 1", "there are no 'metrics'; there are attributes, tags"),
        (fields.EXPERIMENT, "status = 'x'", "there are experiment_id, name, creation_time, last_update_time, and tags"),
        (fields.REGISTERED_MODEL, "version = 1", "there are name, creation_timestamp"),
        (fields.VERSION, "version_number = '1'", "version_number is compared with a number"),
        (fields.VERSION, "params.a = '1'", "there are attributes, tags"),
        (fields.MODEL, "dataset.name = 'x'", "there are attributes, metrics, params, tags"),
        (fields.MODEL, "name > 'x'", "name cannot be compared by >; it knows !=, =, ILIKE, IN, LIKE, NOT IN"),
        (fields.RUN, "metrics.a LIKE 'x'", "metrics.a cannot be compared by LIKE"),
        (fields.RUN, f"tags.a LIKE '{'x' * 9000}'", "a pattern may have 8000 characters"),
        (fields.RUN, "start_time IN ('1')", "start_time cannot be compared by IN"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(known: fields.Fields, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        comparisons_of(known, text)
    assert said in str(caught.value)
