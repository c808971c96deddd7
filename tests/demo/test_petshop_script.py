"""What psql is given to build the demo's pet shop, and what is refused before it is started."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from ops.codes import CODES
from ops.demo import petshop
from ops.demo.petshop import petshop_checks, petshop_script
from ops.errors import ConfigError

pytestmark = [pytest.mark.alone, pytest.mark.long]


class TestScript:
    @pytest.mark.parametrize("scale", [0, -1, 5001])
    def test_scale_out_of_range(self, scale: int) -> None:
        """A scale that the SQL would refuse is refused before."""
        with pytest.raises(ConfigError, match=f"scale is {scale}") as caught:
            petshop_script(scale=scale)
        assert caught.value.code == "usage.bad_value"
        assert caught.value.code in CODES

    @pytest.mark.parametrize("until", [date(1999, 12, 31), date(2100, 1, 1)])
    def test_day_out_of_range(self, until: date) -> None:
        """A last day in another century is refused."""
        with pytest.raises(ConfigError, match=f"until is {until}"):
            petshop_script(until=until)

    def test_missing_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installation without one of the files says which."""
        here = petshop_script().files[0].parent
        shutil.copytree(here, tmp_path / "petshop", ignore=shutil.ignore_patterns("sales.sql"))
        monkeypatch.setattr(petshop, "fixtures_folder", lambda: tmp_path)
        with pytest.raises(ConfigError, match=r"sales\.sql cannot be found") as caught:
            petshop_checks()
        assert caught.value.code == "demo.fixtures_missing"
