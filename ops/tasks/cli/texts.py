"""What several tasks say of flags that they share."""

from __future__ import annotations

from typing import Final

BACKUP: Final = "'latest', a name as backup.list prints it, STORE:NAME, or a path"
SOURCES: Final = "name of the source; may be given several times (default: all)"
WAIT: Final = 'how long to wait while another run works on the source, like "30s" (a bare number is seconds)'
