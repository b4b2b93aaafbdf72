"""The tracking store behind a server."""

from __future__ import annotations

from ratoon.stores.rest.metrics import RestMetrics
from ratoon.stores.rest.models import RestModels


class RestTrackingStore(RestModels, RestMetrics):
    """What runs record, kept by a server. See :class:`ratoon.stores.protocol.TrackingStore` for each method."""

    @property
    def address(self) -> str:
        """The server's URL, without credentials."""
        return self._connection.base

    def takes_ids(self) -> bool:
        """Whether runs and models may be created under ids that were made here: on ratoon's server."""
        return self._connection.is_ratoon

    def reachable(self) -> bool:
        """Whether the server answers just now, asked once and not for long."""
        return self._connection.reachable()
