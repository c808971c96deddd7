"""The ports, and what their drivers promise. Actions know only these; kinds, stores and ciphers know only these too."""

from ops.ports.ciphers import Cipher, Sealed
from ops.ports.sources import Copy, Fetched, Queryable, Restorable, Source
from ops.ports.stores import LocalFiles, Store, StoredFile

__all__ = [
    "Cipher",
    "Copy",
    "Fetched",
    "LocalFiles",
    "Queryable",
    "Restorable",
    "Sealed",
    "Source",
    "Store",
    "StoredFile",
]
