"""Lasting memory for any assistant that speaks the Model Context Protocol."""

__version__ = "0.1.0"
