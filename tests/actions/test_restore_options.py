"""Options of a restore, as they are typed."""

from __future__ import annotations

from ops.actions.restore_request import flags_of
from ops.model.requests import RestoreOptions


def test_a_rehearsed_restore_is_named_with_its_options() -> None:
    """The command that does it for real asks for what was rehearsed."""
    options = RestoreOptions(tables=("a b",), truncate=True, no_owner=True, no_acl=True)
    assert flags_of(options) == ["--table 'a b'", "--truncate", "--no-owner", "--no-acl"]
    assert flags_of(RestoreOptions(schema_only=True)) == ["--schema-only"]
    assert flags_of(RestoreOptions()) == []
