"""The SQL stores: one set of tables behind the tracking store and the registry."""
