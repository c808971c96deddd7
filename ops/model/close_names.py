"""What was meant by a name that nothing has. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(given: object, names: Iterable[str]) -> str:
    """Return a question that names the one that is spelt most alike; empty where none is."""
    import difflib  # only where something is wrong

    known = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(given).lower(), known, 1)
    return f"did you mean {known[close[0]]!r}?" if close else ""


def close_or_all(given: object, names: Iterable[str], what: str) -> str:
    """Return that question, and behind it all there are: `what: a, b` (`none` where there are none)."""
    listed = list(names)
    return " ".join(filter(None, [did_you_mean(given, listed), f"{what}: {', '.join(listed) or 'none'}"]))
