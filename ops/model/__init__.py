"""Frozen values that cross layers, and small questions about them."""
