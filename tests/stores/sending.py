"""Puts one file or folder into an S3 store, as a process of its own that can be killed: URL BUCKET PREFIX KEYS KEY FILE."""

from __future__ import annotations

import sys
from pathlib import Path

from ops.errors import OpsError
from ops.stores.s3.options import S3Options
from ops.stores.s3.store import S3Store
from ops.units import Size


def main() -> None:
    """Say `put`, or the code of the error."""
    url, bucket, prefix, keys, key, file = sys.argv[1:]
    options = S3Options(
        bucket=bucket,
        prefix=prefix,
        endpoint_url=url,
        access_key_file=Path(keys, "access-full"),
        secret_key_file=Path(keys, "secret-full"),
        part_size=Size(5 << 20),
        parallel=1,
    )
    try:
        S3Store("offsite", options).put(key, Path(file))
    except OpsError as error:
        print(error.code)
        sys.exit(2)
    print("put")


if __name__ == "__main__":
    main()
