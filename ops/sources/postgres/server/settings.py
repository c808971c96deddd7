"""Settings of scratch servers: for speed, never for durability. What they hold can be restored again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ops.proc import worker_count

_MIB: Final = 1024 * 1024
_FEW_CORES: Final = 2
_FALLBACK: Final = 1024 * _MIB
_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

TUNED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "autovacuum": "off",
        "bgwriter_lru_maxpages": "0",
        "checkpoint_timeout": "1d",
        # In the data folder: /dev/shm is 64 MiB in many containers, too little for parallel index builds,
        # and what a killed server left there nobody would remove.
        "dynamic_shared_memory_type": "mmap",
        "fsync": "off",
        "full_page_writes": "off",
        "jit": "off",
        "max_connections": "50",
        # One transaction may touch thousands of tables.
        "max_locks_per_transaction": "512",
        "max_wal_senders": "0",
        "max_wal_size": "4GB",
        "synchronous_commit": "off",
        "wal_init_zero": "off",
        "wal_level": "minimal",
        "wal_recycle": "off",
    }
)
"""Settings that do not depend on the machine."""


def core_settings() -> dict[str, str]:
    """One process an index where there are only two cores: the jobs of a restore keep them busy with others.

    Measured on two cores, a drill of 1 GiB is 4 to 7 % quicker by it.
    """
    return {"max_parallel_maintenance_workers": "0"} if worker_count() <= _FEW_CORES else {}


def memory_settings() -> dict[str, str]:
    """shared_buffers, maintenance_work_mem and work_mem for the memory that is free now."""
    free = _available_memory()
    return {
        "shared_buffers": _share(free, 8, largest=1024),
        "maintenance_work_mem": _share(free, 16, largest=1024),
        "work_mem": _share(free, 128, largest=64),
    }


def _share(free: int, part: int, *, largest: int) -> str:
    return f"{min(max(free // part // _MIB, 16), largest)}MB"


def _available_memory() -> int:
    """Bytes that can be used without pushing others out, at most what our control group may have."""
    figures = [int(text) for text in map(_content, _LIMITS) if text.isdecimal()]
    for line in _content(Path("/proc/meminfo")).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            figures.append(int(value.split()[0]) * 1024)
    return min(figures, default=_FALLBACK)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
