"""The tracking store on SQL: its parts, put together."""

from __future__ import annotations

from ratoon.stores.sql.experiments import SqlExperiments
from ratoon.stores.sql.metrics import SqlMetrics
from ratoon.stores.sql.models import SqlModels
from ratoon.stores.sql.runs import SqlRuns


class SqlTrackingStore(SqlExperiments, SqlRuns, SqlMetrics, SqlModels):
    """What runs record, in a database. See :class:`ratoon.stores.protocol.TrackingStore` for each method."""
