"""Manifests of both versions, and evidence: what is read, what is kept, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.driverkit.row_digest import SEAL, document_seal
from ops.errors import BackupError
from ops.formats import evidence as evidence_files
from ops.formats import manifest as manifest_files
from ops.model.series import Identified, Machine, Whereabouts, Whose, first_version_series
from ops.stores.memory import MemoryStore
from tests.histories import looked_at, stored_backup

MOMENT = datetime(2026, 6, 1, tzinfo=UTC)
WHO = Whose(
    name="prices",
    kind="sqlite",
    location="/srv/data.db",
    whereabouts=Whereabouts("path", "/srv/data.db"),
    machine=Machine(host="web1", boot="boot"),
)


def document(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """A manifest of version 2 as it is stored, with changes (None: without the key) and a seal that fits."""
    manifest = stored_backup(MemoryStore(), MOMENT).manifest
    found: dict[str, Any] = json.loads(manifest_files.to_json(manifest))
    origin = WHO.origin(Identified("/srv/data.db"))
    found |= {
        "version": 2,
        "host": origin.host,
        "boot": origin.boot,
        "series": origin.series,
        "sequence": 5,
        "source": {
            **found["source"],
            "identity": {"by": "path", "text": "/srv/data.db", "place": origin.place},
        },
    }
    found |= changes
    found = {key: value for key, value in found.items() if value != "gone" and key != SEAL}
    return {**found, SEAL: document_seal(found)}


def read(found: dict[str, Any]) -> Any:  # noqa: ANN401 - a manifest
    """What is read of it."""
    return manifest_files.from_json(json.dumps(found).encode(), "x.manifest.json")


def test_there_and_back() -> None:
    """What was written is read, and written again in the same bytes."""
    manifest = read(document(selection={"tables": ["a"]}, assertions=[{"row_count": "a", "min": 1}]))
    assert manifest.origin == WHO.origin(Identified("/srv/data.db"))
    assert (manifest.selection, manifest.assertions) == ({"tables": ["a"]}, ({"row_count": "a", "min": 1},))
    assert read(json.loads(manifest_files.to_json(manifest))) == manifest


def test_keys_of_later_programs_are_kept() -> None:
    """Unknown keys at the top stay in a copy; in the source and its identity they do not disturb."""
    source = {**document()["source"], "later": 1}
    source["identity"] = {**source["identity"], "later": {"x": 1}}
    manifest = read(document(members=[{"x": 1}], index="0" * 64, audit_head="h", source=source))
    assert {"members", "index", "audit_head"} <= manifest.extra.keys()
    assert json.loads(manifest_files.to_json(manifest))["audit_head"] == "h"


def test_only_four_keys_are_needed() -> None:
    """Without identity, selection and assertions it is read all the same."""
    source = {key: value for key, value in document()["source"].items() if key != "identity"}
    manifest = read(document(source=source))
    assert (manifest.origin.place, manifest.origin.series) == (
        "",
        WHO.origin(Identified("/srv/data.db")).series,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "gone"}, {"host": 1}, {"boot": "gone"}, {"boot": "x"}, {"series": "gone"}, {"series": "XYZ"},
        {"series": 5}, {"sequence": "gone"}, {"sequence": -1}, {"sequence": "5"}, {"selection": 5},
        {"version": 0}, {"version": True}, {"version": "2"},
    ],
)  # fmt: skip
def test_what_is_no_manifest(changes: dict[str, Any]) -> None:
    """A key that is missing or has another form is told as that, and never a traceback."""
    with pytest.raises(BackupError) as caught:
        read(document(**changes))
    assert caught.value.code == "backup.manifest_invalid"


def test_a_later_version() -> None:
    """It asks for a newer program."""
    with pytest.raises(BackupError, match="reads up to") as caught:
        read(document(version=3))
    assert caught.value.code == "backup.manifest_newer"


def test_the_first_version_has_no_origin() -> None:
    """Keys of the second in a manifest of the first are unknown ones."""
    manifest = read(document(version=1))
    assert manifest.origin is None
    assert manifest.extra["host"] == "web1"


class TestSeries:
    """What makes two sources one series, and what makes them two."""

    @pytest.mark.parametrize(
        "other",
        [
            {"name": "other"}, {"kind": "eventlog"}, {"scope": "schema"}, {"selection": {"tables": ["a"]}},
            {"machine": Machine(host="web2")}, {"declared": "shop"}, {"whereabouts": Whereabouts("path", "/other")},
        ],
    )  # fmt: skip
    def test_each_part_tells_them_apart(self, other: dict[str, Any]) -> None:
        """Name, kind, scope, selection, host, the operator's word, and the place."""
        one, two = WHO, replace(WHO, **other)
        assert one.place != two.place
        same = Identified("/srv/data.db")
        if "whereabouts" not in other:
            assert one.origin(same).series != two.origin(same).series

    def test_a_declared_series_is_the_same_everywhere(self) -> None:
        """Host, place and what the source says do not matter then, and no boot is watched."""
        one = replace(WHO, declared="shop")
        two = replace(one, machine=Machine(host="web2", boot="x"), whereabouts=Whereabouts("path", "/other"))
        assert one.place == two.place
        assert one.origin(Identified("a")).series == two.origin(Identified("b")).series
        assert (one.boot, two.boot) == (None, None)

    def test_a_remote_address_is_no_machines_own(self) -> None:
        """The host says nothing of it."""
        one = replace(WHO, whereabouts=Whereabouts("postgres", "db:5432/shop", local=False))
        two = replace(one, machine=Machine(host="web2"))
        assert (one.place, one.boot) == (two.place, None)

    def test_the_boot_of_each_source_is_another(self) -> None:
        """Nobody learns the kernel's id, or which sources share a machine."""
        assert len({WHO.boot, replace(WHO, name="other").boot, "boot"}) == 3
        assert len(str(WHO.boot)) == 64


def test_evidence_of_both_versions_is_read() -> None:
    """The first version has no series and store; keys that a later one adds do not disturb."""
    (evidence,) = looked_at(stored_backup(MemoryStore(), MOMENT)).evidence
    found = json.loads(evidence_files.to_json(evidence))
    assert found["version"] == 2
    for version, more in ((1, {}), (2, {"series": "0" * 16, "store": "1" * 32, "later": 1})):
        changed = {**found, **more, "version": version}
        changed["source"] = {**changed["source"], "later": 1}
        changed["findings"] = [{**item, "later": 1} for item in changed["findings"]]
        changed.pop(SEAL)
        if version == 1:
            changed.pop("series")
            changed.pop("store")
        content = json.dumps({**changed, SEAL: document_seal(changed)}).encode()
        read_again = evidence_files.from_json(content, "x")
        assert (read_again.verdict, read_again.series) == (evidence.verdict, more.get("series", ""))


def test_the_series_of_the_first_version() -> None:
    """It follows from name, kind, location and host, and is never that of a later one."""
    info = stored_backup(MemoryStore(), MOMENT).manifest.source
    assert first_version_series(info, "web1") != first_version_series(info, "web2")
    assert first_version_series(info, "web1") != WHO.origin(Identified("/srv/data.db")).series
