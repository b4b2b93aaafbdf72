"""``kedro ratoon replay``: a tracked run once more, in a clean clone at its commit."""
