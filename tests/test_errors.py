"""Errors on which the program itself acts."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

from ops.codes import CODES
from ops.errors import (
    BackupError,
    NameTakenError,
    NotFoundError,
    OpsError,
    RefusedError,
    SourceError,
    SourceLockedError,
    StoreError,
    ToolError,
)

ROOT = Path(__file__).parents[1]
COMPARED = re.compile(r'\.code (?:==|!=|in|not in) (?:"|\{)')


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (RefusedError("x", code="refused.name_taken"), NameTakenError),
        (SourceError("x", code="source.locked"), SourceLockedError),
        (BackupError("x"), NotFoundError),
        (OpsError("x", code="source.locked"), SourceLockedError),
        (NotFoundError("x"), NotFoundError),
    ],
)
def test_an_error_of_a_code_is_of_its_class(made: OpsError, kind: type[OpsError]) -> None:
    """Whoever raises it names the code, whoever waits for it names the class; copies stay what they are."""
    assert type(made) is kind
    assert made.code == kind.default_code
    for again in (copy.copy(made), pickle.loads(pickle.dumps(made))):
        assert (type(again), again.code, again.message) == (kind, made.code, "x")


@pytest.mark.parametrize(
    "made",
    [
        RefusedError("x"),
        StoreError("x", code="store.unreadable"),
        BackupError("x", code="backup.size_mismatch"),
        ToolError("x", code="source.locked"),
    ],
)
def test_other_errors_stay_of_the_class_that_was_named(made: OpsError) -> None:
    """Of another family, or of a code without a class of its own."""
    assert type(made) in {RefusedError, StoreError, BackupError, ToolError}


def test_every_class_of_one_code_has_a_code_that_exists() -> None:
    """A class of a code that nobody documents would catch nothing."""
    of_one_code = OpsError._of_one_code
    assert len(of_one_code) > 15
    assert of_one_code.keys() <= CODES.keys()
    assert all(kind.default_code == code for code, kind in of_one_code.items())


def test_nothing_acts_on_the_code_of_an_error() -> None:
    """Control flow goes by classes: a code that is misspelt in a comparison is never noticed."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "ops").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\berror" + COMPARED.pattern, line)
    ]
    allowed = ("cluster.py", "stores/s3/delete.py", "stores/s3/list_pages.py")
    assert [line for line in found if not line.split(":")[0].endswith(allowed)] == []
