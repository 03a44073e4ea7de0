"""Sparse models where a dropout rule is a penalty and a penalty is a dropout rule."""

__version__ = "0.1.0.dev0"
