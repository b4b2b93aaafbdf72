"""The tables of the first version, and the experiment that runs without a name of one go to."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def index_values(table: str) -> None:
    """An entry of PostgreSQL's index is short, so that it holds the beginning of a value only."""
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(f"{table}_by_value", table, ["experiment_id", "key", "value", "run_pk"])
    else:
        columns: list[str | sa.TextClause] = ["experiment_id", "key", sa.text("substr(value, 1, 100)"), "run_pk"]
        op.create_index(f"{table}_by_prefix", table, columns)


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("experiment_id", SERIAL, nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("artifact_location", sa.Text(), nullable=False),
        sa.Column("lifecycle_stage", sa.String(length=16), nullable=False),
        sa.Column("creation_time", sa.BigInteger(), nullable=False),
        sa.Column("last_update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "registered_models",
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("creation_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("last_updated_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "alias_moves",
        sa.Column("move_pk", SERIAL, nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("moved_by", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("verdicts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["name"], ["registered_models.name"], onupdate="CASCADE", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("move_pk"),
    )
    op.create_index("alias_moves_by_alias", "alias_moves", ["name", "alias", "move_pk"], unique=False)
    op.create_table(
        "datasets",
        sa.Column("dataset_pk", SERIAL, nullable=False),
        sa.Column("experiment_id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source_type", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("dataset_pk"),
        sa.UniqueConstraint("experiment_id", "name", "digest"),
    )
    op.create_table(
        "experiment_tags",
        sa.Column("experiment_id", SERIAL, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("experiment_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_versions",
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("creation_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("last_updated_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=True),
        sa.Column("model_id", sa.String(length=36), nullable=True),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("run_link", sa.Text(), nullable=False),
        sa.Column("current_stage", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["name"], ["registered_models.name"], onupdate="CASCADE", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_index(op.f("ix_model_versions_model_id"), "model_versions", ["model_id"], unique=False)
    op.create_index(op.f("ix_model_versions_run_id"), "model_versions", ["run_id"], unique=False)
    op.create_table(
        "models",
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("experiment_id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("source_run_id", sa.String(length=32), nullable=True),
        sa.Column("artifact_uri", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=False),
        sa.Column("lifecycle_stage", sa.String(length=16), nullable=False),
        sa.Column("creation_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("last_updated_timestamp", sa.BigInteger(), nullable=False),
        sa.Column("model_type", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id"),
    )
    op.create_index(op.f("ix_models_source_run_id"), "models", ["source_run_id"], unique=False)
    op.create_index(
        "models_by_creation",
        "models",
        ["experiment_id", "lifecycle_stage", "creation_timestamp", "model_id"],
        unique=False,
    )
    op.create_table(
        "registered_model_tags",
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["name"], ["registered_models.name"], onupdate="CASCADE", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("name", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("run_pk", SERIAL, nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("run_name", sa.String(length=500), nullable=False),
        sa.Column("experiment_id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("user_id", sa.String(length=256), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("artifact_uri", sa.Text(), nullable=False),
        sa.Column("lifecycle_stage", sa.String(length=16), nullable=False),
        sa.Column("deleted_time", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_pk"),
        sa.UniqueConstraint("run_id"),
    )
    op.create_index("runs_by_start", "runs", ["experiment_id", "lifecycle_stage", "start_time", "run_pk"], unique=False)
    op.create_table(
        "aliases",
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["model_versions.name", "model_versions.version"],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "alias"),
    )
    op.create_table(
        "metrics",
        sa.Column("metric_pk", SERIAL, nullable=False),
        sa.Column("run_pk", SERIAL, autoincrement=False, nullable=False),
        sa.Column("experiment_id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("minimum", sa.Double(), nullable=True),
        sa.Column("maximum", sa.Double(), nullable=True),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.run_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("metric_pk"),
        sa.UniqueConstraint("run_pk", "key"),
    )
    op.create_index("metrics_by_value", "metrics", ["experiment_id", "key", "is_nan", "value", "run_pk"], unique=False)
    op.create_table(
        "model_metrics",
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("dataset_name", sa.String(length=500), nullable=False),
        sa.Column("dataset_digest", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "key", "run_id", "dataset_name", "dataset_digest"),
    )
    op.create_table(
        "model_params",
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_tags",
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "params",
        sa.Column("run_pk", SERIAL, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("experiment_id", SERIAL, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.run_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_pk", "key"),
        sqlite_with_rowid=False,
    )
    index_values("params")
    op.create_table(
        "run_inputs",
        sa.Column("run_pk", SERIAL, autoincrement=False, nullable=False),
        sa.Column("dataset_pk", SERIAL, nullable=False),
        sa.Column("context", sa.String(length=250), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_pk"], ["datasets.dataset_pk"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.run_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_pk", "dataset_pk", "context"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_models",
        sa.Column("run_pk", SERIAL, autoincrement=False, nullable=False),
        sa.Column("model_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.run_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_pk", "model_id", "role"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tags",
        sa.Column("run_pk", SERIAL, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("experiment_id", SERIAL, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_pk"], ["runs.run_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_pk", "key"),
        sqlite_with_rowid=False,
    )
    index_values("tags")
    op.create_table(
        "version_tags",
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["model_versions.name", "model_versions.version"],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", "version", "key"),
    )
    op.create_table(
        "metric_blocks",
        sa.Column("metric_pk", SERIAL, nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["metric_pk"], ["metrics.metric_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("metric_pk", "block"),
    )
    now = time.time_ns() // 1_000_000
    op.execute(f"INSERT INTO experiments VALUES (0, 'Default', 'mlflow-artifacts:/0', 'active', {now}, {now})")


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first version")
