"""Colour for verdicts and severities, put on whole text at the very end: widths are counted without it.

The words say the same: colour is never the only mark.
"""

from __future__ import annotations

import re
from typing import Final

_GREEN: Final = "32"
_YELLOW: Final = "33"
_RED: Final = "1;31"
_RESET: Final = "\x1b[0m"
_COLOURS: Final = {
    _GREEN: ("ok", "passed", "proven", "verified"),
    _YELLOW: ("WARNING", "INCONCLUSIVE", "UNVERIFIED"),
    _RED: ("CRITICAL", "FAILED", "NOT WHOLE", "STAYS"),
}
_OF_WORD: Final = {word: colour for colour, words in _COLOURS.items() for word in words}
_WORDS: Final = "|".join(sorted(_OF_WORD, key=len, reverse=True))
_MARKED: Final = re.compile(
    # A mark begins its line; a verdict is a cell of a table, or stands behind a colon or a comma.
    rf"(?:(?<=^)|(?<=^  )|(?<=   )|(?<=: )|(?<=, ))(?:{_WORDS})(?=$|[ :,(])",
    re.MULTILINE,
)


def painted(text: str) -> str:
    """Return the text with the words that say how it stands in their colour."""
    return _MARKED.sub(lambda match: f"\x1b[{_OF_WORD[match[0]]}m{match[0]}{_RESET}", text)
