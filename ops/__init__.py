"""Drillbook: back up, verify, restore and, above all, drill."""

__version__ = "0.1.0"
