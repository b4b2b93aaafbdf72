"""A model behind HTTP: the scoring app, and the places where it is put into service."""
