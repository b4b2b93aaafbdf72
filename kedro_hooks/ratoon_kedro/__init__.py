"""ratoon for Kedro."""
