"""Several machines with one store, as the console command sees them: each works on its own backups, and says so."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.machines import Machine

pytestmark = [pytest.mark.needs_root, pytest.mark.long]
OTHER = "backup.other_series"


@pytest.fixture
def alpha(tmp_path: Path) -> Machine:
    """The first machine."""
    machine = Machine(tmp_path, "alpha")
    machine.configure()
    return machine


@pytest.fixture
def beta(tmp_path: Path, alpha: Machine) -> Machine:
    """Another one, with the same configuration and the same store."""
    return Machine(tmp_path, "beta")


def codes(document: dict[str, Any]) -> dict[str, str]:
    """The codes of all findings and errors, with their severities."""
    findings = [
        *document["findings"],
        *(item for result in document["results"] for item in result.get("findings", [])),
    ]
    return {item["code"]: item["severity"] for item in findings} | {
        item["code"]: "critical" for item in document["errors"]
    }


def made(machine: Machine, code: int, *arguments: str) -> str:
    """The name of the backup that the machine makes now."""
    return str(machine.tell(code, "backup.create", "--verify", *arguments)["results"][0]["name"])


class TestTwoMachines:
    """Two machines, one configuration, one store."""

    def test_each_verb_works_on_its_own(self, alpha: Machine, beta: Machine, tmp_path: Path) -> None:
        """A drill proves, a restore brings back, a prune deletes backups of the machine that it runs on, and no other."""
        first = made(alpha, 0)
        other = made(beta, 1)  # said once: another series of the name is there
        second = made(beta, 0)
        beta.do(0, "backup.drill")
        assert beta.names() == [second, other]
        assert alpha.names() == [first]
        (shown,) = alpha.tell(0, "backup.list")["results"]
        assert not shown["proven"]
        assert "also in this store: 2 backups of 'app' from beta" in alpha.do(0, "backup.list")
        alpha.execute("UPDATE who SET name = 'lost'")
        alpha.do(0, "backup.restore", "--yes")
        assert alpha.ask() == "alpha"
        (tmp_path / "ops.toml").write_text(
            (tmp_path / "ops.toml").read_text().replace("drill_every", 'policy = "one"\ndrill_every')
            + "[policy.one]\nkeep_last = 1\n"
        )
        pruned = beta.tell(0, "backup.prune", "--yes")
        assert pruned["results"][0]["deleted"] == [other]
        assert alpha.names()[-1] == first
        assert codes(alpha.tell(0, "backup.prune", "--yes"))[OTHER] == "ok"
        assert [item["backup"] for item in alpha.tell(0, "backup.verify")["results"]] == [first]

    def test_nothing_is_done_with_the_latest_of_another(
        self, alpha: Machine, beta: Machine, tmp_path: Path
    ) -> None:
        """Without a backup of its own a machine is told whose there are, with the whole command for each."""
        first = made(alpha, 0)
        alpha.do(0, "backup.drill")
        for verb, shown in (
            ("backup.drill", f"backup.drill --from local:{first}"),
            ("backup.verify", f"backup.verify local:{first}"),
            ("backup.restore", f"backup.restore --from local:{first}"),
            ("store.pull", f"store.pull local:{first}"),
            ("backup.show", f"backup.show local:{first}"),
        ):
            arguments = ["latest"] if verb in {"store.pull", "backup.show"} else []
            said = beta.tell(1 if verb == "backup.show" else 2, verb, *arguments)
            assert OTHER in codes(said), verb
            assert shown in beta.run(verb, *arguments).stdout, verb
        for verb in ("backup.list", "doctor", "metrics"):
            done = beta.run(verb)
            assert OTHER in done.stdout, verb
            assert done.returncode >= 1, verb
        assert beta.do(0, "backup.prune", "--yes")
        assert alpha.names() == [first]

    def test_named_in_full(self, alpha: Machine, beta: Machine, tmp_path: Path) -> None:
        """A backup of another machine is drilled, and goes to a new place; over live data only when that is said."""
        first = made(alpha, 0)
        made(beta, 1)
        beta.do(0, "backup.drill", "--from", first)
        beta.do(0, "backup.restore", "--from", first, "--to", str(tmp_path / "srv" / "new.db"))
        refused = beta.tell(2, "backup.restore", "--from", first, "--yes")
        assert "refused.other_series" in codes(refused)
        assert beta.ask() == "beta"
        beta.do(0, "backup.restore", "--from", first, "--yes", "--from-other-source")
        assert beta.ask() == "alpha"

    def test_the_first_store_is_lost(self, alpha: Machine, beta: Machine, tmp_path: Path) -> None:
        """The latest of the second store is the own one there as well, and nothing else is taken for it."""
        alpha.configure('stores = ["local", "second"]')
        config = tmp_path / "ops.toml"
        config.write_text(
            config.read_text() + f'[store.second]\nkind = "local"\npath = "{tmp_path}/second"\n'
        )
        first = made(alpha, 0)
        made(beta, 1)
        # What is made in the new store must not be called like what is in the second one, which takes another second.
        time.sleep(1.1)
        shutil.rmtree(tmp_path / "store")
        assert [
            item["backup"] for item in alpha.tell(0, "backup.drill", "--from", "second:latest")["results"]
        ] == [first]
        alpha.execute("UPDATE who SET name = 'lost'")
        restored = alpha.tell(1, "backup.restore", "--from", "second:latest", "--yes")
        assert codes(restored)["store.deleted"] == "warning"
        assert alpha.ask() == "alpha"
        assert alpha.do(0, "store.pull", "second:latest")
        assert first in alpha.names()

    def test_the_same_second(self, alpha: Machine, beta: Machine) -> None:
        """Two machines that begin in one second both have their backup: each finds a name that is free."""
        made(alpha, 0)
        made(beta, 1)
        for _ in range(3):
            done = [one.run("backup.create") for one in (alpha, beta)]
            assert [item.returncode for item in done] == [0, 0], done
        assert (len(alpha.names()), len(beta.names())) == (4, 4)


class TestMoved:
    """A source that was moved or renamed."""

    def test_renamed_and_adopted(self, alpha: Machine, tmp_path: Path) -> None:
        """Another host name is told and not followed; where the state is lost too, adopt brings the history back."""
        first = made(alpha, 0)
        alpha.name = "alpha-two"
        assert alpha.names() == [first]
        assert codes(alpha.tell(1, "doctor"))["host.renamed"] == "warning"
        shutil.rmtree(alpha.home / "state")
        assert OTHER in codes(alpha.tell(2, "backup.drill"))
        series = alpha.tell(1, "backup.list", "--all")["results"][0]["series"]
        asked = alpha.tell(2, "backup.adopt", series[:8])  # its newest backup is a moment old
        assert "refused.interactive_only" in codes(asked)
        alpha.do(0, "backup.adopt", series[:8], "--yes")
        assert alpha.names() == [first]
        alpha.do(0, "backup.drill")
        second = made(alpha, 0)
        assert alpha.names() == [second, first]
        assert codes(alpha.tell(0, "backup.list")) == {}
        # Nothing that was adopted is pruned for a while.
        config = tmp_path / "ops.toml"
        config.write_text(
            config.read_text().replace("drill_every", 'policy = "one"\ndrill_every')
            + "[policy.one]\nkeep_last = 1\n"
        )
        assert alpha.tell(0, "backup.prune", "--yes")["results"][0]["deleted"] == []
        alpha.do(0, "backup.adopt", series[:8], "--undo")
        assert alpha.names() == [second]

    def test_what_lives_is_not_adopted(self, alpha: Machine, beta: Machine) -> None:
        """A series that got a backup after the own first one belongs to a machine that is there."""
        made(alpha, 0)
        made(beta, 1)
        made(alpha, 0)
        (series,) = {row["series"] for row in alpha.tell(0, "backup.list")["results"]}
        said = beta.tell(2, "backup.adopt", series[:8], "--yes")
        assert "refused.other_series" in codes(said)

    def test_a_name_of_its_own_takes_the_history_along(self, alpha: Machine) -> None:
        """A source that gets a `series` for the first time keeps its backups, and is not asked."""
        first = made(alpha, 0)
        alpha.configure('series = "shop"')
        said = alpha.tell(0, "backup.create")
        assert codes(said)["series.adopted"] == "ok"
        assert alpha.names() == [said["results"][0]["name"], first]
        beta = Machine(alpha.world, "beta")
        beta.do(0, "backup.drill")  # the same series, by the operator's word, on whichever machine

    def test_another_path(self, alpha: Machine, tmp_path: Path) -> None:
        """A database that was moved on its machine is a new series, told once by create, and by list until it is adopted."""
        first = made(alpha, 0)
        (alpha.home / "data" / "new").mkdir()
        alpha.database.rename(alpha.home / "data" / "new" / "app.db")
        config = tmp_path / "ops.toml"
        config.write_text(config.read_text().replace("/app.db", "/new/app.db"))
        second = made(alpha, 1)
        assert codes(alpha.tell(1, "backup.list"))[OTHER] == "warning"
        series = next(
            row["series"] for row in alpha.tell(1, "backup.list", "--all")["results"] if row["name"] == first
        )
        alpha.do(0, "backup.adopt", series[:8], "--yes")
        assert alpha.names() == [second, first]
        assert codes(alpha.tell(0, "backup.list")) == {}


class TestOneName:
    """Machines that cannot be told apart by their names."""

    def test_cloned_images(self, alpha: Machine, tmp_path: Path) -> None:
        """Two machines of one image have one name: the boots that come and go tell, and nothing is deleted."""
        made(alpha, 0)
        shutil.copytree(alpha.home, tmp_path / "machines" / "clone")
        clone = Machine(tmp_path, "alpha", machine_id=alpha.machine_id, folder="clone")
        made(clone, 0)
        assert "series.two_machines" not in codes(clone.tell(0, "backup.list"))  # as after a restart
        last = made(alpha, 0)
        assert codes(alpha.tell(2, "doctor"))["series.two_machines"] == "critical"
        config = tmp_path / "ops.toml"
        config.write_text(
            config.read_text().replace("drill_every", 'policy = "one"\ndrill_every')
            + "[policy.one]\nkeep_last = 1\n"
        )
        pruned = alpha.tell(2, "backup.prune", "--yes")
        assert pruned["results"][0]["deleted"] == []
        refused = alpha.tell(2, "backup.restore", "--yes")
        assert "refused.other_series" in codes(refused)
        alpha.do(0, "backup.restore", "--from", last, "--yes")

    def test_a_clone_that_gets_a_name(self, alpha: Machine, tmp_path: Path) -> None:
        """It takes nobody's history along: the backups are those of the machine that still writes them."""
        first = made(alpha, 0)
        shutil.copytree(alpha.home, tmp_path / "machines" / "clone")
        clone = Machine(tmp_path, "alpha", machine_id=alpha.machine_id, folder="clone")
        clone.environment["OPS_HOST"] = "beta"
        said = clone.tell(1, "backup.create")
        assert codes(said)[OTHER] == "warning"
        assert "series.adopted" not in codes(said)
        second = made(alpha, 0)
        assert alpha.names() == [second, first]
        assert len(clone.names()) == 1

    def test_a_link_that_leads_elsewhere(self, alpha: Machine) -> None:
        """Another file under the same name is another series, also where the machine was given its name."""
        alpha.environment["OPS_HOST"] = "alpha"
        made(alpha, 0)
        data = alpha.home / "data"
        (data / "other").mkdir()
        shutil.copy(alpha.database, data / "other" / "app.db")
        alpha.database.unlink()
        alpha.database.symlink_to("other/app.db")
        said = alpha.tell(1, "backup.create")
        assert codes(said)[OTHER] == "warning"
        assert "refused.other_series" in codes(alpha.tell(2, "backup.restore", "--yes"))

    def test_an_image_with_its_state_folder(self, alpha: Machine, tmp_path: Path) -> None:
        """Another machine id in the state folder: the name is taken anew, told, and no backup is mixed."""
        first = made(alpha, 0)
        shutil.copytree(alpha.home, tmp_path / "machines" / "clone")
        clone = Machine(tmp_path, "gamma", folder="clone")
        said = clone.tell(1, "backup.create")
        assert codes(said)["host.cloned"] == "warning"
        assert codes(said)[OTHER] == "warning"
        assert alpha.names() == [first]

    def test_a_container_each_night(self, alpha: Machine, tmp_path: Path) -> None:
        """Host names that an engine makes are none: the path is the series, night after night."""
        names: list[str] = []
        for night in range(3):
            box = Machine(tmp_path, f"{night:012x}", folder="box", machine_id="")
            box.boot = alpha.boot
            said = box.tell(0, "backup.create", "--verify")
            assert codes(said)["host.generated"] == "ok"
            names.insert(0, said["results"][0]["name"])
            assert box.names() == names
            time.sleep(1)
        box = Machine(tmp_path, "0123456789ab", folder="box")
        box.do(0, "backup.drill")
        assert codes(box.tell(1, "doctor"))["host.generated"] == "warning"
