"""Train a forest on the wines and judge it by wines that it has not seen."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
