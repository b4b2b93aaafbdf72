"""What a run says about itself: command, tags, log, graph, configuration, and what becomes of its models."""
