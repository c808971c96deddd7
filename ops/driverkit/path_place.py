"""Where a source is that lives at a path, and who it is: its path, and its real path. What such drivers share."""

from __future__ import annotations

import os
from pathlib import Path

from ops.model.series import Identified, Whereabouts


def path_whereabouts(path: Path) -> Whereabouts:
    """Return the path as it is configured, without steps that lead nowhere."""
    return Whereabouts("path", os.path.normpath(path), real=os.path.realpath(path))


def identify_path(path: Path) -> Identified:
    """Return the path as the file system spells it, links followed; of what is not there the part that is."""
    return Identified(os.path.realpath(path))
