"""Drillbook against plain tools, side by side: `python -m bench`."""
