"""Paths in temporary folders are named by what lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.driverkit.spoken_names import spoken, spoken_names
from ops.errors import CipherError, StoreError


@pytest.mark.parametrize("folder", ["plain", "with a space", "with 'quotes'", "with\nlines", "é/deep er"])
def test_the_whole_path_goes(tmp_path: Path, folder: str) -> None:
    """Whatever the folder above is called, nothing of the path stays, and all around it does."""
    (tmp_path / folder).mkdir(parents=True)
    place = f"{tmp_path / folder}/drillbook-scratch-ab_1"
    text = f"cannot write {place}/payload: full (see {place}) and '{place}/x'"
    assert spoken(text, "space.disk_full", "a.db") == (
        "cannot write the temporary copy of a.db: full (see the temporary copy of a.db) and 'the temporary copy of a.db'"
    )
    assert spoken(f"{place}/payload is damaged", "cipher.damaged", "a.db") == "a.db is damaged"


def test_other_paths_stay() -> None:
    """What is no temporary folder of ours is left as it is."""
    assert (
        spoken("cannot write /srv/my data/x.db", "store.unwritable", "a.db")
        == "cannot write /srv/my data/x.db"
    )


def test_errors_are_renamed_on_their_way_out(tmp_path: Path) -> None:
    """An error keeps its kind and code."""
    with pytest.raises(StoreError, match=r"the temporary copy of a\.db") as caught, spoken_names("a.db"):
        raise StoreError(f"{tmp_path}/drillbook-scratch-x1/y", code="store.changed")
    assert (caught.value.code, str(caught.value)) == ("store.changed", caught.value.message)
    with pytest.raises(CipherError, match=r"\Aa\.db\Z"), spoken_names("a.db"):
        raise CipherError(f"{tmp_path}/drillbook-scratch-x1/y", code="cipher.damaged")
