"""A value that the quick check takes is one that pydantic takes, as it is; what is wrong is said in pydantic's words."""

import dataclasses
import functools
import typing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.config import assertions, ingest, known, reading, retention, snapshots, source_tables, tables
from ops.config.fits import fits
from ops.config.tables import Place, build
from ops.errors import ConfigError
from ops.registry import CIPHERS, SOURCES, STORES
from ops.repository.retention import Policy

PLACE: Final = Place("ops.toml", "table", Path("/srv"))
CLASSES: Final[tuple[type[Any], ...]] = (
    *(options for kinds in (SOURCES, STORES, CIPHERS) for options, _ in kinds.values()),
    *(source_tables.SourceTable, reading._MachineTable, ingest._IngestTable, ingest._ProviderTable),
    *(assertions.AssertTable, known.KnownTable, snapshots.SnapshotTable, retention._StoreTable, Policy),
)
"""Everything that is made of a table."""
HINTS: Final = list(
    dict.fromkeys(
        typing.get_type_hints(cls)[field.name] for cls in CLASSES for field in dataclasses.fields(cls)
    )
)
WORDS: Final = (
    *(
        "",
        "24h",
        "30d",
        "50GB",
        "5%",
        "2027-03-01",
        "x/y",
        "auto",
        "check",
        "full",
        "true",
        "1",
        "\udc80",
        "é",
    ),
    *("AES256", "GOVERNANCE", "refuse", "TOKEN"),
)
PLAIN: Final = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=5),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.datetimes(),
)
TOML: Final = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
"""What a key in a file can have, and more."""
READ: Final = st.one_of(
    TOML,
    st.none(),
    st.timedeltas(),
    st.builds(Path, st.sampled_from(WORDS)),
    st.lists(TOML, max_size=3).map(tuple),
    st.lists(st.dictionaries(st.text(max_size=3), TOML, max_size=2), max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.dictionaries(st.integers(), st.text(max_size=3), max_size=2),
)
"""What a value can be once its form was read."""

adapter = functools.cache(pydantic.TypeAdapter[Any])


@settings(deadline=None)
@given(hint=st.sampled_from(HINTS), value=READ)
def test_what_fits_is_taken_as_it_is(hint: object, value: object) -> None:
    """Whatever the quick check takes, pydantic takes, and makes nothing else of it."""
    if fits(hint, value):
        taken = adapter(hint).validate_python(value, strict=True)
        assert repr(taken) == repr(value)
        assert type(taken) is type(value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, True),
        (bool, 1),
        (float, 1),
        (date, datetime(2027, 3, 1)),  # noqa: DTZ001 - as TOML has them
        (date, "2027-03-01"),
        (timedelta, 3),
        (Path, "x"),
        (str, b"x"),
        (int | None, "1"),
        (typing.Literal["a"], "b"),
        (typing.Literal[1], True),
        (tuple[str, ...], ["x"]),
        (tuple[str, ...], ("x", 1)),
        (tuple[str, str], ("x", "y")),
        (dict[str, str], {"x": 1}),
        (dict[str, str], {1: "x"}),
        (list[str], ["x"]),
    ],
)
def test_what_does_not_fit(hint: object, value: object) -> None:
    """A value of another type, of a subclass, or of a type that is not known here is left to pydantic."""
    assert not fits(hint, value)


@pytest.mark.parametrize("cls", CLASSES)
def test_defaults_fit(cls: type[Any]) -> None:
    """Every field's own default passes the quick check: no type is used of which it does not know."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            assert fits(hints[field.name], field.default), field.name


def built(cls: type[Any], values: dict[str, object]) -> tuple[str, str]:
    """What comes of a table: the value, or all that the error says."""
    try:
        return "", repr(build(cls, values, PLACE))
    except ConfigError as error:
        return error.code, f"{error.message} / {error.hint}"


@settings(deadline=None)
@given(data=st.data(), cls=st.sampled_from(CLASSES))
def test_both_ways_say_the_same(data: st.DataObject, cls: type[Any]) -> None:
    """With and without the quick check a table becomes the same value, or ends with the same error."""
    keys = [field.name.rstrip("_") for field in dataclasses.fields(cls)]
    needed = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    chosen = data.draw(st.lists(st.sampled_from(keys), max_size=3, unique=True))
    values = {key: data.draw(TOML, label=key) for key in dict.fromkeys([*chosen, *needed])}
    quick = built(cls, values)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "fits", lambda _hint, _value: False)
        assert built(cls, values) == quick
