"""What user code calls: the client, the active run, and the way from a run to its models."""
