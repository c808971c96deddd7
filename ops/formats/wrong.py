"""What is wrong with a document, in words: Python's names of errors say nothing to an operator."""

from __future__ import annotations


def in_words(error: Exception) -> str:
    """Return what an error says that was raised while a document was read."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, TypeError | AttributeError):
        return "a value in it is of another type"
    return f"{error}" or type(error).__name__
