"""One SeaweedFS for all tests of stores, started when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from ops.stores.s3.store import S3Store
from tests.stores.seaweed import Weed, running_weed, store_of

NewStore: TypeAlias = Callable[..., S3Store]


@pytest.fixture(scope="session")
def weed() -> Iterator[Weed]:
    """A running server."""
    with running_weed() as server:
        yield server


@pytest.fixture(scope="session")
def shared_bucket(weed: Weed) -> str:
    """One bucket for all tests that need none of their own: each has a prefix in it."""
    return weed.bucket()


@pytest.fixture
def new_store(weed: Weed, shared_bucket: str, tmp_path: Path, request: pytest.FixtureRequest) -> NewStore:
    """Makes stores in one place of this test alone."""
    prefix = f"{request.node.name[:60]}-{id(request)}".replace("/", "-").replace("\0", "-")

    def make(identity: str = "full", **options: Any) -> S3Store:  # noqa: ANN401 - the fields of S3Options
        given = {"bucket": shared_bucket, "prefix": prefix, **options}
        url = given.pop("endpoint_url", weed.url)
        return store_of(url, given.pop("bucket"), tmp_path, identity, **given)

    return make
