"""Drillbook: back up, verify, restore and, above all, drill."""

__version__ = "0.1.0"

DISTRIBUTION = "drillbook"
"""Whose package this is: another distribution has one of the same name."""
