"""Operators, a module for each part of a model's life."""
