"""DAGs to start from; the tests run them."""
