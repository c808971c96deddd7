"""Which machine this is: the name that it keeps, and when another one is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.host.machine import Surroundings, is_generated, name_machine
from ops.host.state_dir import StateDir
from ops.model.findings import Finding
from ops.model.series import Machine


def around(name: str, machine_id: str = "m1", *, container: bool = False) -> Surroundings:
    """What a system says."""
    return Surroundings(name=name, machine_id=machine_id, boot="b1", container=container)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """An empty state folder."""
    return StateDir(tmp_path / "state")


def named(
    state: StateDir, system: Surroundings, given: str = "", *, remember: bool = True
) -> tuple[Machine, set[str]]:
    """The machine, and the codes of what is said of its name."""
    found: tuple[Machine, list[Finding]] = name_machine(given, system, state, remember=remember)
    return found[0], {item.code for item in found[1]}


def test_the_first_name_stays(state: StateDir) -> None:
    """A machine that is called otherwise later keeps the name that it had first, and says so."""
    assert named(state, around("web1"))[0].host == "web1"
    machine, said = named(state, around("web1-new"))
    assert (machine.host, machine.names, said) == ("web1", frozenset({"web1", "web1-new"}), {"host.renamed"})


def test_a_verb_that_reads_remembers_nothing(state: StateDir) -> None:
    """The name is kept by tasks that write; a list makes no folder."""
    assert named(state, around("web1"), remember=False)[0].host == "web1"
    assert state.path is not None
    assert not state.path.exists()
    assert named(state, around("web2"))[0].host == "web2"


def test_the_operators_word_counts(state: StateDir) -> None:
    """A name that is given is taken as it is, and the others are known as former ones."""
    named(state, around("web1"))
    machine, said = named(state, around("web1-new"), "shop")
    assert (machine.host, machine.given, said) == ("shop", True, set())
    assert machine.names == {"shop", "web1", "web1-new"}


def test_a_state_folder_of_another_machine(state: StateDir) -> None:
    """Where the machine id is another the name is taken anew, told once, and the other machine's is none of ours."""
    named(state, around("web1"))
    machine, said = named(state, around("web2", "m2"))
    assert (machine.host, machine.names, said) == ("web2", frozenset({"web2"}), {"host.cloned"})
    assert named(state, around("web2", "m2"))[1] == set()


def test_without_a_machine_id(state: StateDir) -> None:
    """A system that has none is never called a copy."""
    named(state, around("web1", ""))
    assert named(state, around("web1", "m2"))[1] == set()


@pytest.mark.parametrize("name", ["0123456789ab", "backup-28371820-x7k2p", "app-6d4b75cb6d-hwdqx"])
def test_a_generated_name_is_none(state: StateDir, name: str) -> None:
    """Inside a container a name that an engine made is no host, and is not remembered; outside it is a name."""
    machine, said = named(state, around(name, container=True))
    assert (machine.host, machine.names, machine.boot, said) == ("", frozenset(), "b1", {"host.generated"})
    assert named(state, around(name, container=True), "shop")[0].host == "shop"
    assert named(state, around(name))[0].host == name


@pytest.mark.parametrize("name", ["web1", "db-prod5", "app-0", "0123456789", "backup-host"])
def test_names_that_people_give(name: str) -> None:
    """They are not taken for generated ones."""
    assert not is_generated(name)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"host": 1, "machine_id": "x"}', b"\xff"])
def test_a_memory_that_cannot_be_read(state: StateDir, content: bytes) -> None:
    """It is as if there were none."""
    (state.usable() / "host.json").write_bytes(content)
    assert named(state, around("web1"))[0].host == "web1"
    assert json.loads((state.usable() / "host.json").read_bytes())["host"] == "web1"


def test_without_a_state_folder(tmp_path: Path) -> None:
    """The host name is taken as it is, each time."""
    (tmp_path / "file").write_bytes(b"")
    for where in (StateDir(None, "no home"), StateDir(tmp_path / "file")):
        assert named(where, around("web1")) == (named(where, around("web1"))[0], set())
        assert named(where, around("web2"))[0].host == "web2"
