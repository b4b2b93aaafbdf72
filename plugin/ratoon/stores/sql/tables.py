"""The tables, as the code sees them; ``migrations/`` is what makes them in a database.

Runs and metrics have a small integer key of their own. A search by metric, param or tag is answered by an index that
holds everything it asks for: that is why those tables repeat the experiment. NaN cannot be stored in SQLite: where a
value has a column of its own, it is kept as 0 with ``is_nan`` set. The points of a metric lie in blocks, see
:mod:`ratoon.stores.series`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite gives only a column of exactly this type the row's own number as its value.
_SERIAL = BigInteger().with_variant(Integer, "sqlite")


def _run_key(*, primary_key: bool = True) -> Column[int]:
    key = ForeignKey("runs.run_pk", ondelete="CASCADE")
    return Column("run_pk", _SERIAL, key, nullable=False, primary_key=primary_key, autoincrement=False)


def _experiment_key(*, primary_key: bool = False) -> Column[int]:
    key = ForeignKey("experiments.experiment_id", ondelete="CASCADE")
    return Column("experiment_id", _SERIAL, key, nullable=False, primary_key=primary_key, autoincrement=False)


def _model_key() -> Column[str]:
    return Column("model_id", String(36), ForeignKey("models.model_id", ondelete="CASCADE"), primary_key=True)


def _found_by_value(table: str) -> Index:
    """The index behind ``params.x = 'y'``.

    PostgreSQL takes no more than 2,700 bytes of an entry: there the migration makes one on the beginning of the value,
    which has no place here because SQLite's reflection does not know indexes on expressions.
    """
    return Index(f"{table}_by_value", "experiment_id", "key", "value", "run_pk").ddl_if(dialect="sqlite")


def _pair(key_length: int = 250) -> tuple[Column[str], Column[str]]:
    return Column("key", String(key_length), primary_key=True), Column("value", Text, nullable=False)


def _registered_name(*, primary_key: bool) -> Column[str]:
    key = ForeignKey("registered_models.name", ondelete="CASCADE", onupdate="CASCADE")
    return Column("name", String(500), key, primary_key=primary_key, nullable=False)


def _of_version() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["name", "version"],
        ["model_versions.name", "model_versions.version"],
        ondelete="CASCADE",
        onupdate="CASCADE",
    )


experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", _SERIAL, primary_key=True),
    Column("name", String(500), nullable=False, unique=True),
    Column("artifact_location", Text, nullable=False),
    Column("lifecycle_stage", String(16), nullable=False),
    Column("creation_time", BigInteger, nullable=False),
    Column("last_update_time", BigInteger, nullable=False),
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column(
        "experiment_id",
        _SERIAL,
        ForeignKey("experiments.experiment_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    *_pair(),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("run_pk", _SERIAL, primary_key=True),
    Column("run_id", String(32), nullable=False, unique=True),
    Column("run_name", String(500), nullable=False),
    _experiment_key(),
    Column("user_id", String(256), nullable=False),
    Column("status", String(16), nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("artifact_uri", Text, nullable=False),
    Column("lifecycle_stage", String(16), nullable=False),
    Column("deleted_time", BigInteger),
    Index("runs_by_start", "experiment_id", "lifecycle_stage", "start_time", "run_pk"),
)

params = Table(
    "params", metadata, _run_key(), *_pair(), _experiment_key(), _found_by_value("params"), sqlite_with_rowid=False
)

tags = Table(
    "tags", metadata, _run_key(), *_pair(), _experiment_key(), _found_by_value("tags"), sqlite_with_rowid=False
)

# The last point of each metric, and what all its points have in common.
metrics = Table(
    "metrics",
    metadata,
    Column("metric_pk", _SERIAL, primary_key=True),
    _run_key(primary_key=False),
    _experiment_key(),
    Column("key", String(250), nullable=False),
    Column("value", Double, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("minimum", Double),
    Column("maximum", Double),
    Column("blocks", BigInteger, nullable=False),
    UniqueConstraint("run_pk", "key"),
    Index("metrics_by_value", "experiment_id", "key", "is_nan", "value", "run_pk"),
)

metric_blocks = Table(
    "metric_blocks",
    metadata,
    Column("metric_pk", _SERIAL, ForeignKey("metrics.metric_pk", ondelete="CASCADE"), primary_key=True),
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("dataset_pk", _SERIAL, primary_key=True),
    _experiment_key(),
    Column("name", String(500), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source_type", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text),
    Column("profile", Text),
    UniqueConstraint("experiment_id", "name", "digest"),
)

run_inputs = Table(
    "run_inputs",
    metadata,
    _run_key(),
    Column("dataset_pk", _SERIAL, ForeignKey("datasets.dataset_pk", ondelete="CASCADE"), primary_key=True),
    Column("context", String(250), primary_key=True),
    Column("tags", Text, nullable=False),
    sqlite_with_rowid=False,
)

models = Table(
    "models",
    metadata,
    Column("model_id", String(36), primary_key=True),
    _experiment_key(),
    Column("name", String(500), nullable=False),
    Column("source_run_id", String(32), index=True),
    Column("artifact_uri", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("status_message", Text, nullable=False),
    Column("lifecycle_stage", String(16), nullable=False),
    Column("creation_timestamp", BigInteger, nullable=False),
    Column("last_updated_timestamp", BigInteger, nullable=False),
    Column("model_type", String(500), nullable=False),
    Index("models_by_creation", "experiment_id", "lifecycle_stage", "creation_timestamp", "model_id"),
)

model_params = Table("model_params", metadata, _model_key(), *_pair(), sqlite_with_rowid=False)

model_tags = Table("model_tags", metadata, _model_key(), *_pair(), sqlite_with_rowid=False)

# What was measured of a model: the last value of each metric, by run and dataset (empty where none was named).
model_metrics = Table(
    "model_metrics",
    metadata,
    _model_key(),
    Column("key", String(250), primary_key=True),
    Column("run_id", String(32), primary_key=True),
    Column("dataset_name", String(500), primary_key=True),
    Column("dataset_digest", String(64), primary_key=True),
    Column("value", Double, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
)

# No foreign key to the model: another store may keep it.
run_models = Table(
    "run_models",
    metadata,
    _run_key(),
    Column("model_id", String(36), primary_key=True),
    Column("role", String(8), primary_key=True),
    Column("step", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

registered_models = Table(
    "registered_models",
    metadata,
    Column("name", String(500), primary_key=True),
    Column("description", Text, nullable=False),
    Column("creation_timestamp", BigInteger, nullable=False),
    Column("last_updated_timestamp", BigInteger, nullable=False),
    Column("latest_version", Integer, nullable=False),
)

registered_model_tags = Table(
    "registered_model_tags", metadata, _registered_name(primary_key=True), *_pair(), sqlite_with_rowid=False
)

model_versions = Table(
    "model_versions",
    metadata,
    _registered_name(primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("creation_timestamp", BigInteger, nullable=False),
    Column("last_updated_timestamp", BigInteger, nullable=False),
    Column("run_id", String(32), index=True),
    Column("model_id", String(36), index=True),
    Column("user_id", String(256), nullable=False),
    Column("description", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("run_link", Text, nullable=False),
    Column("current_stage", String(16), nullable=False),
)

version_tags = Table(
    "version_tags",
    metadata,
    Column("name", String(500), primary_key=True),
    Column("version", Integer, primary_key=True),
    *_pair(),
    _of_version(),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", String(500), primary_key=True),
    Column("alias", String(255), primary_key=True),
    Column("version", Integer, nullable=False),
    _of_version(),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    Column("move_pk", _SERIAL, primary_key=True),
    _registered_name(primary_key=False),
    Column("alias", String(255), nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer),
    Column("kind", String(16), nullable=False),
    Column("moved_by", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("verdicts", Text, nullable=False),
    Index("alias_moves_by_alias", "name", "alias", "move_pk"),
)
