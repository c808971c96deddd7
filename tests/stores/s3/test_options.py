"""What the table of an S3 store may say, and what is refused before anything is contacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import ConfigError
from ops.stores.s3.options import S3Options
from ops.stores.s3.store import S3Store
from ops.units import Size

pytestmark = pytest.mark.long

MIB = 1 << 20


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"bucket": ""}, "config.invalid_value"),
        ({"prefix": "a/../b"}, "config.invalid_value"),
        ({"endpoint_url": "s3.example.org"}, "config.invalid_value"),
        ({"endpoint_url": "https://user:secret@s3.example.org"}, "config.secret_in_file"),
        ({"access_key_env": "A"}, "config.invalid_value"),
        (
            {"access_key_env": "A", "access_key_file": Path("a"), "secret_key_env": "B"},
            "config.invalid_value",
        ),
        ({"object_lock": "COMPLIANCE"}, "config.invalid_value"),
        ({"storage_class": "DEEP_ARCHIVE"}, "config.invalid_value"),
        ({"sse_kms_key_id": "x"}, "config.invalid_value"),
        ({"part_size": Size(MIB)}, "config.invalid_value"),
        ({"parallel": 0}, "config.invalid_value"),
    ],
)
def test_options_that_can_not_work(values: dict[str, object], code: str) -> None:
    """What contradicts itself is refused before anything is contacted, without showing a secret."""
    with pytest.raises(ConfigError) as caught:
        S3Options(**{"bucket": "b", **values})  # type: ignore[arg-type]
    assert caught.value.code == code
    assert "user:secret" not in str(caught.value)


def test_where_it_is() -> None:
    """The location names bucket and prefix, and the server where it is not AWS."""
    assert S3Store("s", S3Options(bucket="b", prefix="/x/y/")).location == "s3://b/x/y"
    other = S3Options(bucket="b", endpoint_url="https://s3.example.org:9000")
    assert S3Store("s", other).location == "s3://b at s3.example.org:9000"
