"""Programs run as another user of this machine, who may not write what is ours. Needs root."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

UID: Final = 65534
PROJECT: Final = Path(__file__).parents[1]
_OTHERS_ENTER: Final = 0o001


def as_other_user(command: Sequence[str | Path], *, uid: int = UID) -> list[str]:
    """The command line that runs `command` with that user's rights and no others.

    Where Python or the project lie in a folder that only root may enter (such as /root), the command sees another
    folder in its place, which holds only these.
    """
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), PROJECT}
    closed: dict[Path, list[Path]] = {}
    for path in sorted(needed):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & _OTHERS_ENTER:
                closed.setdefault(folder, []).append(path)
                break
    steps = ["set -e", "aside=$(mktemp -d)"]
    for folder, paths in closed.items():
        places = [shlex.quote(str(path)) for path in paths]
        for number, place in enumerate(places):
            steps.append(f"mkdir $aside/{number}; mount --bind {place} $aside/{number}")
        steps.append(f"mount -t tmpfs -o mode=0755 tmpfs {shlex.quote(str(folder))}")
        for number, place in enumerate(places):
            steps.append(
                f"mkdir -p -m 0755 {place}; mount --move $aside/{number} {place}; rmdir $aside/{number}"
            )
    become = f"setpriv --reuid={uid} --regid={uid} --clear-groups --"
    steps.append(f'rmdir $aside\nexec {become} "$@"')
    return ["unshare", "--mount", "--", "sh", "-c", "\n".join(steps), "sh", *map(str, command)]
