"""The ports, and what their drivers promise. Actions know only these; kinds, stores and ciphers know only these too."""

from ops.ports.cipher import Cipher, Sealed
from ops.ports.source import (
    Continuing,
    Copy,
    Dependent,
    Fetched,
    MeasuredLater,
    Probe,
    Queryable,
    Restorable,
    Source,
)
from ops.ports.stamps import NO_FILE, UNSETTLED, Stamp, Stamped, Stamps, by_key
from ops.ports.store import LocalFiles, Store, StoredFile, Streaming

__all__ = [
    "NO_FILE",
    "UNSETTLED",
    "Cipher",
    "Continuing",
    "Copy",
    "Dependent",
    "Fetched",
    "LocalFiles",
    "MeasuredLater",
    "Probe",
    "Queryable",
    "Restorable",
    "Sealed",
    "Source",
    "Stamp",
    "Stamped",
    "Stamps",
    "Store",
    "StoredFile",
    "Streaming",
    "by_key",
]
