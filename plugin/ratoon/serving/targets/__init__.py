"""Places where models are put into service."""
