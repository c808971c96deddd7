"""Breaks one check at a time and demands that some test notices: python -m tests.mutate [NUMBER ...].

Each mutation is made in a copy of the tree, and the tests named beside it are run there. A mutation that all of
them survive is a check that nothing tests; the run then ends with 1 and names it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PATIENCE_S = 600
CAPTURE = "ops/sources/sqlite/capture.py"
WAL = "ops/sources/sqlite/wal.py"
PROMOTE = "ops/sources/sqlite/swap.py"
INSPECTION = "ops/repository/integrity.py"
RESTORE = "ops/actions/restore.py"
COMPLAINTS = "ops/model/complaints.py"
COMPLAINING = "tests/actions/test_complaints.py"
STAGING = "ops/fsio/atomic.py"
LIVE = "tests/faults/test_live_writers.py"
CORRUPTION = "tests/faults/test_corruption.py"
RESTORING = "tests/actions/test_restore.py"
CONDITIONS = "tests/faults/test_conditions.py"
DRILLS = "tests/actions/test_drill.py"
CONTRACT = "tests/contracts/test_stores.py"
POSTGRES = "ops/sources/postgres"
PG_CREATING = "tests/sources/postgres/dump/test_capture.py"
PG_RESTORING = "tests/sources/postgres/restore/test_restore.py"
PG_FAULTS = "tests/sources/postgres/test_faults.py"
PG_REFUSING = "tests/sources/postgres/restore/test_refusing_servers.py"
PG_RELEASES = "tests/sources/postgres/restore/test_releases.py"
PG_TEXT = "tests/sources/postgres/connect/test_text.py"
PG_DIGESTS = "tests/sources/postgres/measure/test_row_digest_sql.py"
RETENTION = "ops/repository/retention.py"
PRUNE = "ops/actions/prune.py"
DELETING = "ops/repository/delete.py"
COPYING = "ops/actions/copy.py"
LEASED = "tests/actions/test_leased.py tests/repository/test_leases.py"
WRITERS = "tests/repository/test_writers.py tests/actions/test_cut_anywhere.py"
KEPT = "tests/actions/test_kept_by_the_store.py"
PRUNING = "tests/actions/test_prune.py tests/actions/test_prune_safely.py tests/repository/test_retention.py"
COPIES = "tests/actions/test_copy.py"
SEALING = "tests/repository/test_encrypt.py"
SEALED_HOME = "tests/actions/test_encrypted_store.py"
REENCRYPT = "tests/actions/test_reencrypt.py"
CANARIES = "tests/secrets/test_canaries.py"
SNAPSHOTS_CREATE = "tests/snapshots/test_create.py"
SNAPSHOTS_PURGE = "tests/snapshots/test_purge.py"
SNAPSHOTS_VERIFY = "tests/snapshots/test_verify.py tests/snapshots/test_update.py"
WRONG_PLACES = "tests/secrets/test_wrong_places.py"
EVENTLOG = "ops/sources/eventlog"
LOG_TESTS = "tests/sources/eventlog"
AHEAD = "tests/repository/test_upload.py"
INCREMENTAL = "tests/sources/eventlog/archive/test_shared_segments.py"
INGEST_TABLE = "tests/ingest_monitor/test_table_history.py"
PROVIDERS = "tests/ingest_monitor/test_providers.py"
SECOND = "ops/repository/second_look.py"
VERDICTS = "tests/actions/test_verdicts.py"
SERIES = "tests/actions/test_series.py"
NEWEST = "tests/repository/test_newest.py tests/repository/test_listing.py"
STATE = "tests/host/test_state_dir.py tests/faults/test_state_folder.py"
LOG_FIXTURES = "tests/fixtures_ci/test_eventlogs.py"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One place, what stands there, what is put there, and the tests that must notice."""

    file: str
    old: str
    new: str
    tests: str


MUTATIONS = [
    Mutation("ops/snapshots/publish.py", "if not begun and not replace:", "if False:", SNAPSHOTS_CREATE),
    Mutation("ops/snapshots/purge.py", "if stays and not is_right(stays[0]):", "if False:", SNAPSHOTS_PURGE),
    Mutation("ops/snapshots/archive.py", "if sha256 != recorded:", "if False:", SNAPSHOTS_PURGE),
    Mutation("ops/snapshots/compare_checksums.py", "if record.sha256 not in {None, sha256}", "if False", SNAPSHOTS_VERIFY),
    Mutation("ops/snapshots/compare_checksums.py", "    if not records:", "    if False:", SNAPSHOTS_VERIFY),
    Mutation("ops/driverkit/filter_cipher.py", "if expected is not None and found != (", "if False and found != (", "tests/contracts/test_ciphers.py"),
    Mutation("ops/driverkit/filter_cipher.py", "if sha256_of(source) != (", "if False and (", "tests/contracts/test_ciphers.py"),
    Mutation("ops/ciphers/gpg/driver.py", "if ended.exit_code == 0 and proven:", "if ended.exit_code == 0:", "tests/ciphers"),
    Mutation("ops/fsio/output.py", "                _link(hidden, path)", "                hidden.rename(path)", "tests/ciphers"),
    Mutation("ops/sources/postgres/connect/container_exec.py", "return without_secrets(os.environ, own=password.env)", "return dict(os.environ)", CANARIES),
    Mutation("ops/sources/postgres/connect/route.py", "os.O_CLOEXEC, 0o600)", "os.O_CLOEXEC, 0o644)", CANARIES),
    Mutation("ops/sources/postgres/connect/address.py", "if any(keyword in values for keyword in _SECRET_KEYWORDS):", "if False:", WRONG_PLACES),
    Mutation("ops/config/tables.py", "if any(_LOOKS_SECRET.match(text) for text in texts):", "if False:", WRONG_PLACES),
    Mutation("ops/config/tables.py", "        remember_variable(text)\n", "", WRONG_PLACES),
    Mutation("ops/proc/query.py", "            elif ended is not None:", "            elif ended is not None and not is_open:", WRONG_PLACES),
    Mutation("ops/stores/s3/abort_stale.py", ' and is_claimed(connection, key.partition("/")[0])', "", "tests/stores/s3/test_abort_stale.py"),
    Mutation("ops/actions/doctor.py", "        if missing:\n", "        if False:\n", "tests/actions/test_doctor.py"),
    Mutation("ops/sources/sqlite/raw_copy.py", "amend=None if plan.overlay is None else", "amend=None if True else", LIVE),
    Mutation(CAPTURE, 'if mode != "wal":', "if True:", LIVE),
    Mutation(CAPTURE, 'connection.execute("BEGIN")', 'connection.execute("SELECT 1")', LIVE),
    Mutation(WAL, "if commit.backfilled >= commit.newest_frame:", "if True:", LIVE),
    Mutation(WAL, "frames[page] = offset", "frames.setdefault(page, offset)\n            frames[page] += 0 * offset", LIVE),
    Mutation(INSPECTION, "if size != entry.size:", "if False:", "tests/fixtures_ci"),
    Mutation(INSPECTION, "if sha256 != entry.sha256:", "if False:", CORRUPTION),
    Mutation(INSPECTION, "if contradiction := _contradiction(found, backup.manifest):", "if contradiction := None:", CORRUPTION),
    Mutation("ops/actions/rehearsal.py", "return compare_measures(expected, found)", "return []", CORRUPTION),
    Mutation("ops/formats/manifest.py", "if document.get(SEAL) != document_seal(document):", "if False:", CORRUPTION),
    Mutation("ops/formats/manifest.py", "if isinstance(version, int) and version > VERSION:", "if False:", "tests/fixtures_ci"),
    Mutation("ops/model/compare_measures.py", "elif expected.rows != actual.rows:", "elif False:", CORRUPTION),
    Mutation("ops/driverkit/row_digest.py", "if document[SEAL] != document_seal(document):", "if False:", DRILLS),
    Mutation("ops/repository/catalog.py", "if manifest_key(manifest.payload) != key:", "if False:", CORRUPTION),
    Mutation("ops/repository/backup.py", "if item.payload_sha256 == digest]", "]", DRILLS),
    Mutation("ops/repository/series.py", "if not row.is_safety and is_meant(", "if is_meant(", "tests/actions/test_doctor.py tests/repository/test_listing.py"),
    Mutation(RESTORE, "if isinstance(source, Restorable) and source.same_place(place):", "if False:", RESTORING),
    Mutation("ops/sources/sqlite/target.py", "swap.require_idle(self.path)", "pass", RESTORING),
    Mutation("ops/actions/acceptance.py", "    if bad:", "    if False:", RESTORING),
    Mutation("ops/actions/acceptance.py", "and not item.inherited", "", COMPLAINING),
    Mutation(COMPLAINTS, "if (item.code, item.where, item.message) in recorded:", "if recorded:", COMPLAINING),
    Mutation(COMPLAINTS, "            if code in COMPLAINTS and where:", "            if where:", COMPLAINING),
    Mutation(COMPLAINTS, "if item.code in DAMAGE and not item.inherited:", "if False:", "tests/actions/test_known.py"),
    Mutation(COMPLAINTS, "and not entry.ended(today)", "", "tests/actions/test_known.py"),
    Mutation("ops/model/evidence.py", "return passed and not unproven_damage(self.findings)", "return passed", COMPLAINING),
    Mutation("ops/actions/acceptance.py", "if target.exists():", "if False:", "tests/actions/test_accepted.py"),
    Mutation("ops/config/assertions.py", "if item.command is not None and not same:", "if False:", "tests/actions/test_expectations.py"),
    Mutation("ops/sources/sqlite/queries.py", "if action == sqlite3.SQLITE_ATTACH else", "if False else", "tests/actions/test_expectations.py"),
    Mutation(PROMOTE, "_require_unchanged(target, unchanged_since)\n", "pass\n", RESTORING),
    Mutation(PROMOTE, "        _move_strays_aside(target)\n", "", RESTORING),
    Mutation(PROMOTE, "        built.chmod(mode)\n", "", RESTORING),
    Mutation(PROMOTE, "        stray.unlink(missing_ok=True)", "        pass", RESTORING),
    Mutation(STAGING, "os.link(staged, final, follow_symlinks=False)", "os.rename(staged, final)", CONTRACT),
    Mutation(STAGING, "yield _lock_now(descriptor) and", "yield", CONTRACT),
    Mutation("ops/stores/local/leftovers.py", "if any(not _is_stored(store, entry) for entry in manifest.files):", "if False:", CONTRACT),
    Mutation("ops/fsio/locks.py", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB", CONDITIONS),
    Mutation("ops/fsio/atomic.py", "PRIVATE_FILE: Final = 0o600", "PRIVATE_FILE: Final = 0o644", CONDITIONS),
    Mutation("ops/repository/series.py", "return others <= whose.machine.names", "return True", SERIES),
    Mutation("ops/repository/series.py", "    if not whose.whereabouts.local:\n        return True\n    if mark.host:\n        return mark.host in whose.machine.names\n", "    return True\n", SERIES),
    Mutation("ops/repository/series.py", ' and scope in {whose.scope, ""}', "", SERIES),
    Mutation("ops/actions/adopt.py", ", key=_last_sequence)", ", key=lambda item: -_last_sequence(item))", SERIES),
    Mutation("ops/repository/own.py", " and series_of(backup) in self.own.ids", "", SERIES),
    Mutation("ops/repository/own.py", "if now - record.recorded_at < ADOPTED_KEPT", "if False", SERIES),
    Mutation("ops/repository/series_alarms.py", "newest.sequence > record.newest", "False", SERIES),
    Mutation("ops/repository/origin.py", "if aside or _could_not_be_told(newest.marks, before, identified):", "if True:", SERIES),
    Mutation("ops/model/series.py", "self.whereabouts.by, self.host, where", "self.whereabouts.by, where", SERIES),
    Mutation("ops/formats/encrypted_manifest.py", "        measures=Measures(),\n", "", "tests/actions/test_hidden_content.py"),
    Mutation("ops/repository/record_evidence.py", "    if is_hidden(backup.manifest):", "    if False:", "tests/actions/test_hidden_content.py"),
    Mutation("ops/actions/begin_backup.py", "sequence = max(newest.sequence + 1, microseconds(now))", "sequence = microseconds(now)", CONDITIONS),
    Mutation("ops/sources/sqlite/check.py", 'calls = ["quick_check", *', "calls = [*", "tests/sources"),
    Mutation("ops/sources/sqlite/other_names.py", "        if log != _identity(beside):", "        if False:", "tests/sources/sqlite/test_other_names.py"),
    Mutation("ops/sources/sqlite/other_names.py", "    if status.st_nlink > 1:", "    if False:", "tests/sources/sqlite/test_other_names.py"),
    Mutation("ops/sources/sqlite/other_names.py", 'removesuffix(" (deleted)")', 'removesuffix("")', "tests/sources/sqlite/test_other_names.py"),
    Mutation("ops/sources/sqlite/at_rest.py", "if copied is None or not is_still(path, rest):", "if copied is None:", "tests/sources/sqlite/test_at_rest.py"),
    Mutation("ops/sources/sqlite/at_rest.py", "        time.sleep(min(young, _SETTLED_AFTER_S))", "        pass", "tests/sources/sqlite/test_at_rest.py"),
    Mutation("ops/sources/sqlite/wal.py", "        if commit:\n", "        if True:\n", "tests/sources/sqlite/test_at_rest.py"),
    Mutation("ops/sources/sqlite/wal.py", "or checksum != tuple(written) or page == 0", "or page == 0", "tests/sources/sqlite/test_at_rest.py"),
    Mutation("ops/sources/sqlite/own_view.py", "    if differs:", "    if False:", "tests/sources/sqlite/test_own_view.py"),
    Mutation("ops/sources/sqlite/own_view.py", "    if _schema(connection) != view.schema:", "    if False:", "tests/sources/sqlite/test_own_view.py"),
    Mutation("ops/sources/sqlite/own_view.py", "    if found != view.facts:", "    if False:", "tests/sources/sqlite/test_own_view.py"),
    Mutation("ops/sources/sqlite/own_view.py", "parameters) != sample.rows", "parameters) is None", "tests/sources/sqlite/test_own_view.py"),
    Mutation("ops/sources/sqlite/capture.py", "before.is_same(after)", "True", "tests/faults/test_live_writers.py"),
    Mutation("ops/actions/assertions.py", "passed &= count >= assertion.min", "pass", DRILLS),
    Mutation("ops/actions/assertions.py", "passed=ended.exit_code == 0", "passed=True", DRILLS),
    Mutation("ops/model/findings.py", "if any(finding.blocking for finding in findings):", "if False:", DRILLS),
    Mutation(f"{POSTGRES}/dump/exported_snapshot.py", "        require_all_rows(before)\n", "", PG_CREATING),
    Mutation(f"{POSTGRES}/dump/exported_snapshot.py", "    if filtered:", "    if False:", PG_CREATING),
    Mutation(f"{POSTGRES}/connect/session.py", 'f"SET lock_timeout = {max(1, round(patience_s * 1000))}"', '"SELECT 1"', PG_CREATING),
    Mutation(f"{POSTGRES}/measure/check.py", "if (item.type, item.identity) not in found", "if False", PG_FAULTS),
    Mutation("ops/sources/postgres/restore/messages.py", "    if ran.exit_code and not findings:", "    if False:", PG_FAULTS),
    Mutation("ops/sources/postgres/restore/messages.py", "    if reason is None:", "    if False:", PG_FAULTS),
    Mutation(f"{POSTGRES}/dump/archive.py", "return entry.rest.startswith(_AFTER_ROWS) and", "return False and", PG_TEXT),
    Mutation(f"{POSTGRES}/restore/swap.py", "            if _written_to(old, recorded, kept.safety.measures):", "            if False:", PG_RESTORING),
    Mutation(f"{POSTGRES}/restore/tables.py", "after += _after(session, chosen.replaced)", "pass", PG_RESTORING),
    Mutation(f"{POSTGRES}/source.py", "return there is not None and here is not None and there.is_same(here)", "return False", PG_RESTORING),
    Mutation(f"{POSTGRES}/connect/address.py", '_SECRET_KEYWORDS: Final = ("password", ', "_SECRET_KEYWORDS: Final = (", PG_TEXT),
    Mutation(f"{POSTGRES}/drill/scratch.py", "require_extensions(session, needs)", "pass", PG_RESTORING),
    Mutation(f"{POSTGRES}/measure/row_digest_sql.py", "coalesce(sum({row_hash}), 0)::text", "count(*)::text", PG_DIGESTS),
    Mutation(RETENTION, "for item in reversed(ranked)]", "for item in ranked]", PRUNING),
    Mutation(RETENTION, "reference = min(now, ranked[0].created_at)", "reference = now", PRUNING),
    Mutation(RETENTION, "            if item.good:\n                first_good.setdefault(period, (moment, item))\n", "", PRUNING),
    Mutation(RETENTION, "    if newest.good is None:", "    if False:", PRUNING),
    Mutation(RETENTION, "newest.size < _SUSPICIOUS_PART", "newest.size < 0 * _SUSPICIOUS_PART", PRUNING),
    Mutation(RETENTION, "    _keep_needed(newest_first, reasons)\n", "", PRUNING),
    Mutation("ops/repository/retention_candidates.py", "good=backup.good if whole else False", "good=backup.good", PRUNING),
    Mutation(DELETING, "        yield claimed", "        yield True", PRUNING),
    Mutation(DELETING, "if not _is_of(whose, said) and", "if False and", LEASED),
    Mutation(DELETING, "for key in dict.fromkeys([manifest_key(payload), *about, payload]):", "for key in dict.fromkeys([payload, *about, manifest_key(payload)]):", PRUNING),
    Mutation(DELETING, "            _bury(backup, job, how)\n", "", PRUNING),
    Mutation(PRUNE, 'if item.code not in {"backup.pin_invalid", "backup.payload_missing"}', "if False", PRUNING),
    Mutation("ops/repository/fetch.py", "        _require_right(backup, findings)\n", "", COPIES),
    Mutation("ops/repository/replicate.py", "digest_of(to, key) == entries[key].sha256", "True", COPIES),
    Mutation(COPYING, "candidates[item.name].good is not False", "True", COPIES),
    Mutation("ops/repository/transfer.py", "        if content_of(to, key) != content:", "        if False:", COPIES),
    Mutation("ops/repository/publish_encrypted.py", "if manifest.job_id == backup.manifest.job_id:", "if True:", SEALING),
    Mutation("ops/repository/encrypt.py", "            if error.code in DAMAGED:\n                raise\n", "", SEALING),
    Mutation("ops/repository/encrypt.py", "cipher.unseal(sealed, into, expected, progress)", "cipher.unseal(sealed, into, None, progress)", SEALING),
    Mutation("ops/repository/encrypt.py", "    if backup.good is None:\n        return records\n", "", SEALED_HOME),
    Mutation("ops/repository/encrypt.py", "if (sealed.plain_size, sealed.plain_sha256) != (entry.size, entry.sha256):", "if False:", SEALED_HOME),
    Mutation("ops/repository/encrypt.py", '("passed", Severity.OK) if backup.good else ("FAILED", Severity.CRITICAL)', '("passed", Severity.OK)', SEALED_HOME),
    Mutation("ops/actions/create_backup.py", "    if to.encryption is not None:\n        return _make", "    if False:\n        return _make", SEALED_HOME),
    Mutation("ops/actions/reencrypt.py", "if not any(finding.code == OPENED for finding in looked.findings):", "if False:", REENCRYPT),
    Mutation("ops/repository/encrypt.py", " and sealed_for(manifest) == keys", "", REENCRYPT),
    Mutation("ops/actions/reencrypt.py", "        clear_name(to.store, name)\n", "", REENCRYPT),
    Mutation("ops/formats/encrypted_manifest.py", "            _require_same(plain, number, suffix, stored, hidden=hidden)\n", "            pass\n", SEALING),
    Mutation("ops/repository/forecast.py", "    others = usage.used - sum(item.size for item in going)", "    others = 0", "tests/repository/test_capacity.py"),
    Mutation("ops/host/network.py", "    if not _FORBIDDEN.is_set():", "    if True:", "tests/host/test_network.py"),
    Mutation(f"{EVENTLOG}/chain/segment.py", 'event.get("previous_hash", ABSENT) != before or before is None', "False", f"{LOG_TESTS}/chain/test_chain.py"),
    Mutation(f"{EVENTLOG}/chain/segment.py", 'if event.get("current_hash") != event_hash(event):', "if event_hash(event) is None:", f"{LOG_TESTS}/chain/test_chain.py"),
    Mutation(f"{EVENTLOG}/chain/chain.py", "elif facts.first_previous != before:", "elif False:", f"{LOG_TESTS}/chain/test_chain.py"),
    Mutation(f"{EVENTLOG}/chain/fast_segment.py", "if found != [event.current_hash for event in events]:", "if False:", f"{LOG_TESTS}/chain/test_event_hash.py {LOG_TESTS}/chain/test_chain.py"),
    Mutation(f"{EVENTLOG}/chain/fast_segment.py", "if [event.previous_hash for event in events[1:]] != found[:-1]:", "if False:", f"{LOG_TESTS}/chain/test_event_hash.py {LOG_TESTS}/chain/test_chain.py"),
    Mutation(f"{EVENTLOG}/chain/fast_segment.py", "or not _are_canonical([event.timestamp for event in events])", "", f"{LOG_TESTS}/chain/test_event_hash.py"),
    Mutation(f"{EVENTLOG}/chain/fast_segment.py", "(before is not None and group.first_previous != before.last_hash)", "False", f"{LOG_TESTS}/chain/test_json_elements.py"),
    Mutation(f"{EVENTLOG}/chain/json_elements.py", "end + _CUT_OFF_A_NUMBER < len(self._text)", "end < len(self._text)", f"{LOG_TESTS}/chain/test_json_elements.py"),
    Mutation(f"{EVENTLOG}/chain/continuity.py", "if hash_at(number, before.events - 1) != before.last_hash:", "if False:", f"{LOG_TESTS}/chain/test_continuity.py"),
    Mutation(f"{EVENTLOG}/chain/continuity.py", "        if now.events < before.events:", "        if False:", f"{LOG_TESTS}/chain/test_continuity.py"),
    Mutation(f"{EVENTLOG}/chain/continuity.py", "findings += _gone(former, segments)", "pass", f"{LOG_TESTS}/chain/test_continuity.py"),
    Mutation(f"{EVENTLOG}/archive/read.py", "        if header.size > most:", "        if False:", LOG_FIXTURES),
    Mutation(f"{EVENTLOG}/archive/read.py", "        if header.name in seen:", "        if False:", LOG_FIXTURES),
    Mutation(f"{EVENTLOG}/archive/read.py", "if any(zeros) or count > _MOST_ZEROS:", "if any(zeros):", LOG_FIXTURES),
    Mutation("ops/driverkit/tar_header.py", "if kind not in (*_FILE_TYPES, _FOLDER_TYPE):", "if False:", LOG_FIXTURES),
    Mutation(f"{EVENTLOG}/archive/read.py", "elif found.sha256 != expected.sha256:", "elif False:", f"{LOG_TESTS}/archive/test_read.py"),
    Mutation(f"{EVENTLOG}/log/open_files.py", "    if as_before != opened.mark:", "    if False:", f"{LOG_TESTS}/archive/test_large.py"),
    Mutation(f"{EVENTLOG}/log/open_files.py", "    if found is None or found.mark != mark:", "    if found is None:", f"{LOG_TESTS}/log/test_live_reader.py"),
    Mutation(f"{EVENTLOG}/archive/pack.py", "        if _is(facts, held):\n            return facts, False", "        return facts, False", f"{LOG_TESTS}/archive/test_large.py"),
    Mutation(f"{EVENTLOG}/chain/fast_segment.py", 'b"[" + text[cut + 1 :]', 'b"[" + text[cut:]', f"{LOG_TESTS}/chain/test_json_elements.py"),
    Mutation(f"{EVENTLOG}/chain/lookup.py", "max(before, place)", "min(before, place)", f"{LOG_TESTS}/chain/test_lookup.py"),
    Mutation(f"{EVENTLOG}/chain/json_elements.py", "    if characters > _LARGEST:", "    if False:", f"{LOG_TESTS}/chain/test_json_elements.py"),
    Mutation(f"{EVENTLOG}/log/snapshot_file.py", "        if document.get(key) != there:", "        if False:", "tests/sources/eventlog/test_forged.py"),
    Mutation(f"{EVENTLOG}/swap.py", "if unchanged_since is not None and change_mark(target) != unchanged_since:", "if False:", f"{LOG_TESTS}/log/test_log.py"),
    Mutation(f"{EVENTLOG}/target.py", "        remove_stale_scratch(self.path.parent)\n", "", "tests/faults/test_log_killed.py"),
    Mutation("ops/proc/workers.py", "        os._exit(1)", "        pass", "tests/faults/test_log_killed.py"),
    # Backups that need others, and what is sent ahead.
    Mutation("ops/repository/upload.py", "            require_same_plain(sealed, item.entry)\n", "", f"{SEALED_HOME} {AHEAD}"),
    Mutation("ops/repository/upload.py", "            raise _GivenUpError", "            return", AHEAD),
    Mutation("ops/repository/upload_place.py", "            if not file.finished:\n                file.fail()", "            file.finish()", AHEAD),
    Mutation("ops/repository/locks.py", "if not isinstance(backup.store, LocalFiles) and _is_gone(backup):", "if False:", "tests/actions/test_deleted_meanwhile.py"),
    Mutation("ops/repository/catalog.py", " | set(filter(named_like_payload, keys))", "", "tests/repository/test_listing.py"),
    Mutation("ops/repository/dependencies.py", "        if manifest.job_id == need.job_id:", "        if True:", INCREMENTAL),
    Mutation("ops/repository/dependencies.py", "item.good is not False and ", "", INCREMENTAL),
    Mutation("ops/repository/dependencies.py", "and not check_sizes(item)", "", INCREMENTAL),
    Mutation("ops/repository/dependencies.py", "now - oldest > full_every", "False", INCREMENTAL),
    Mutation("ops/repository/fetch.py", "[*beside, *look_through(backup, progress)]", "[*beside]", INCREMENTAL),
    Mutation("ops/repository/retention_candidates.py", "        needs=tuple(needed),\n", "", INCREMENTAL),
    Mutation("ops/repository/replicate.py", "    _copy_needed(backup, to, job)\n", "", INCREMENTAL),
    Mutation("ops/actions/begin_backup.py", " and not request.whole and not aside:", " and not request.whole:", INCREMENTAL),
    Mutation("ops/actions/begin_backup.py", "not request.whole and not aside:", "not aside:", f"{LOG_TESTS}/test_encrypted_increments.py"),
    Mutation("ops/repository/dependencies.py", "        if not is_for_current_keys(item, to.encryption, to.scratch):", "        if False:", f"{LOG_TESTS}/test_encrypted_increments.py"),
    Mutation(RETENTION, "and not newest.needs", "", INCREMENTAL),
    Mutation(f"{EVENTLOG}/archive/inspect.py", "            if wrong := differences(part.used, found.files):\n                return wrong\n", "", INCREMENTAL),
    Mutation(f"{EVENTLOG}/archive/shared_segments.py", "or not known.keys() >= set(paths)", "", INCREMENTAL),
    # The ingest side.
    Mutation("ops/ingest_monitor/timestamp_forms.py", "begin = since - SLACK if", "begin = since if", INGEST_TABLE),
    Mutation("ops/ingest_monitor/table_history.py", "            if form.holds(row[self._time_at]):", "            if True:", INGEST_TABLE),
    Mutation("ops/ingest_monitor/table_history.py", "begun <= best[0] - 2 * SLACK", "begun <= best[0]", INGEST_TABLE),
    Mutation("ops/ingest_monitor/table_columns.py", ' WHERE "partial" = 0', "", INGEST_TABLE),
    Mutation("ops/ingest_monitor/metrics.py", "(settings.lag_critical, Severity.CRITICAL", "(settings.lag_critical, Severity.WARNING", "tests/ingest_monitor/test_metrics.py"),
    Mutation("ops/ingest_monitor/metrics.py", "            return  # a step of a job", "            pass  # a step of a job", "tests/ingest_monitor"),
    Mutation("ops/ingest_monitor/jsonl_history.py", " or entry.kind is not Kind.RUN", "", "tests/ingest_monitor/test_jsonl_history.py"),
    Mutation("ops/ingest_monitor/provider_request.py", ", provider.auth_header}", "}", PROVIDERS),
    Mutation("ops/ingest_monitor/provider_request.py", "                raise WaitTooLongError", "                pass", PROVIDERS),
    Mutation("ops/ingest_monitor/provider_request.py", "                require_allowed([host]", "                len([host]", PROVIDERS),
    Mutation("ops/ingest_monitor/providers.py", "and time.monotonic() - asking.begun < limit_s + _GRACE_S", "", PROVIDERS),
    Mutation("ops/ingest_monitor/provider_answer.py", "    if asking.attempts > 1:", "    if False:", PROVIDERS),
    # The store's own word, the command line, and servers that are others.
    Mutation("ops/repository/identity.py", "            continue\n        watch = current_watch()", "        watch = current_watch()", "tests/repository/test_identity.py"),
    Mutation("ops/repository/store_watch.py", "if seen is not None and not self._was_deleted(store, seen):", "if False:", "tests/repository/test_store_watch.py"),
    Mutation("ops/repository/store_watch.py", "            if store.name in self.rotated:\n                raise _absent(store)\n", "", "tests/tasks/test_mounts.py"),
    Mutation("ops/repository/locks.py", "        read_identity(to.store)  # before", "        pass  # before", "tests/tasks/test_mounts.py"),
    Mutation("ops/host/mounts.py", "return mine == (other.point,", "return mine[:1] == (other.point,) or mine == (other.point,", "tests/repository/test_store_watch.py"),
    Mutation("ops/driverkit/spoken_names.py", "error.message = spoken(error.message, error.code, name)", "pass", "tests/tasks/test_temporary_paths.py"),
    Mutation("ops/repository/catalog.py", "        *(unlisted(store, name) for name in sorted(whole - keys)),\n", "", "tests/repository/test_listing.py"),
    Mutation("ops/repository/find.py", "        except BackupError as error:\n            findings", "        except KeyError as error:\n            findings", "tests/repository/test_listing.py"),
    Mutation("ops/tasks/conduct.py", "    if heard:\n", "    if False:\n", "tests/tasks/test_command_line.py"),
    Mutation("ops/tasks/conduct.py", '    if "--" in sys.argv[1:]:', "    if False:", "tests/tasks/test_command_line.py"),
    Mutation("ops/tasks/cli/arguments.py", "self.takes_value and not value.strip()", "False", "tests/tasks/test_command_line.py"),
    Mutation("ops/tasks/cli/arguments.py", '("complete_flag", "waiting_for_flag_value")', '("waiting_for_flag_value",)', "tests/tasks/test_command_line.py"),
    Mutation("ops/tasks/cli/arguments.py", "self.kind is not list and self.got_value", "False", "tests/tasks/test_command_line.py"),
    Mutation("ops/tasks/cli/command.py", "                raise TypeError(message)", "                pass", "tests/tasks/test_declarations.py"),
    Mutation("ops/tasks/cli/values.py", "found < 0 or found != int(found)", "found < 0", "tests/tasks/test_declarations.py"),
    Mutation("ops/tasks/session.py", "dict.fromkeys(names)", "names", "tests/tasks/test_declarations.py"),
    Mutation("ops/tasks/session.py", "        if len(sources) > 1:", "        if False:", "tests/tasks/test_declarations.py"),
    Mutation("ops/report/outcome.py", "max((part.exit_code for part in self.parts), default=OK)", "OK", "tests/tasks/test_tasks.py"),
    Mutation("ops/report/exit_codes.py", "verdict is Verdict.INCONCLUSIVE or", "", "tests/report/test_results.py"),
    Mutation("ops/report/results/backups.py", "*looked, *stored, *(self.copies or ())", "*looked, *stored", "tests/report/test_results.py"),
    Mutation(f"{POSTGRES}/restore/fill.py", "route.in_english() if role.superuser else route", "route", PG_REFUSING),
    Mutation(f"{POSTGRES}/restore/fill.py", "route.in_english() if role.superuser else route", "route.in_english()", PG_REFUSING),
    Mutation(f"{POSTGRES}/restore/pg_restore.py", "only=attaching, jobs=1", "only=attaching", PG_REFUSING),
    Mutation(f"{POSTGRES}/restore/pg_restore.py", "if self.needs.client.includes(self.needs.server):", "if False:", PG_RELEASES),
    Mutation(f"{POSTGRES}/restore/messages.py", "    if said.foreign or role.language:", "    if False:", PG_REFUSING),
    Mutation(SECOND, "    if _facts(first) == _facts(second):", "    if True:", VERDICTS),
    Mutation(SECOND, "        if (now.job_id, now.files) != (before.job_id, before.files):", "        if False:", VERDICTS),
    Mutation("ops/model/blame.py", "code not in _NOT_LOOKED) or code in _DAMAGED", "True) or True", VERDICTS),
    Mutation("ops/model/evidence.py", "return self.verdict if len(rest) == len(self.findings) else verdict_of(rest)", "return self.verdict", VERDICTS),
    Mutation("ops/repository/backup.py", "            if item.verdict is Verdict.FAILED:\n                proof = None", "            if False:\n                proof = None", VERDICTS),
    Mutation("ops/repository/backup.py", "        if good is None and any(item.read_whole for item in self._looks):\n            return True\n", "", VERDICTS),
    Mutation("ops/repository/backup.py", "good is not False or _depth(item) >= depth", "True", SERIES),
    Mutation("ops/actions/acceptance.py", "        unread = [item for item in findings if item.blocking]", "        unread = []", VERDICTS),
    Mutation(RETENTION, "[-count:]\n        # Damaged", "\n        # Damaged", PRUNING),
    Mutation(RETENTION, "if latest and latest.name in future else", "if False else", PRUNING),
    Mutation("ops/repository/wrong_clocks.py", "found.add(place)", "pass", PRUNING),
    Mutation(RETENTION, "if drop.table not in volatile and", "if", PRUNING),
    Mutation(RETENTION, "item.good), older)", "item), older)", PRUNING),
    Mutation(PRUNE, "            if problem is not None:\n                problems", "            if False:\n                problems", PRUNING),
    Mutation("ops/repository/plans_together.py", "        if not changed:", "        if True:", PRUNING),
    Mutation(PRUNE, "        if self.request.many or doomed < MANY", "        if True or doomed < MANY", PRUNING),
    Mutation("ops/repository/plans_together.py", "            todo += [(other, why) for other in needs[name]]\n", "", INCREMENTAL),
    Mutation("ops/repository/presence.py", "<= READ_WITHIN:", "<= 100 * READ_WITHIN:", PRUNING),
    Mutation("ops/repository/presence.py", "if not backup.manifest.lost_from(before) and ", "if False and ", PRUNING),
    Mutation("ops/repository/newest.py", "there = set(found.keys).difference(others)", "there = set(found.keys)", NEWEST),
    Mutation("ops/repository/newest.py", "    if len(others) > _FEW:", "    if False:", NEWEST),
    Mutation("ops/repository/listing_row.py", "enumerate(names) if name not in gone)", "enumerate(names))", NEWEST),
    Mutation("ops/repository/listing_cache.py", "-_BEYOND <= number < _BEYOND", "True", NEWEST),
    Mutation("ops/repository/capacity.py", "        if NOT_A_FILE not in sizes:", "        if True:", "tests/repository/test_capacity.py"),
    Mutation("ops/config/fits.py", "in _PLAIN and type(value) is hint", "in _PLAIN and isinstance(value, hint)", "tests/config/test_fits.py"),
    Mutation("ops/fsio/atomic.py", "        with _deaf(), translated_write_errors(path):", "        with translated_write_errors(path):", "tests/fsio/test_atomic.py"),
    Mutation("ops/host/state_dir.py", "if found.st_uid != os.geteuid():", "if False:", STATE),
    Mutation("ops/host/state_dir.py", "if found.st_mode & _OF_OTHERS:", "if False:", STATE),
    Mutation("ops/repository/locks.py", "                if deletes:", "                if False:", STATE),
    Mutation("ops/repository/locks.py", "        if to.state is not None:\n            try:", "        if False:\n            try:", STATE),
    Mutation(f"{POSTGRES}/connect/route.py", "    if exit_code and not lines:", "    if False:", PG_RELEASES),
    Mutation("ops/repository/leases.py", "                elif count != seen[lease_id][0]:", "                elif False:", LEASED),
    Mutation("ops/repository/leases.py", "            if fresh or self._is_there(self.key):", "            if True:", LEASED),
    Mutation("ops/repository/leases.py", "            if not self._is_there(former):\n                return", "            if False:\n                return", LEASED),
    Mutation(DELETING, "if how.observer is not None else []:", "if False else []:", LEASED),
    Mutation(DELETING, "            if how.in_two_steps:", "            if False:", LEASED),
    Mutation("ops/repository/locks.py", "            if not isinstance(backup.store, LocalFiles) and _is_gone(backup):", "            if False:", LEASED),
    Mutation("ops/repository/locks.py", '(f"{whose.name}.{whose.place}", False)', "(whose.name, False)", "tests/repository/test_locks.py"),
    Mutation("ops/repository/writers.py", "                _require_alone(store, payload, key)", "                pass", WRITERS),
    Mutation("ops/repository/writers.py", "            elif all(_is_dead(store, payload, key) for key in announcements[payload]):", "            else:", WRITERS),
    Mutation("ops/repository/writers.py", "    return any(is_stored(store, key) for key in (manifest_key(payload), tombstone_key(payload)))", "    return False", WRITERS),
    Mutation("ops/fsio/leftovers.py", "clock.unchanged_for(path) < FOREIGN_AFTER)", "False)", CONTRACT),
    Mutation("ops/stores/local/leftovers.py", "if not staged or not _is_ours(folder):", "if not staged:", CONTRACT),
    Mutation("ops/stores/local/leftovers.py", " or _has_other_writer(manifest, staged)", "", CONTRACT),
    Mutation("ops/repository/versions.py", "    if kept.held:", "    if False:", KEPT),
    Mutation("ops/repository/versions.py", "    if bucket.old_versions_end_after is not None:", "    if True:", KEPT),
    Mutation("ops/repository/identity.py", "    if identity is None or any(", "    if True or any(", "tests/repository/test_read_twice.py"),
    Mutation(f"{POSTGRES}/catalog/definitions/definitions.py", "if subject in ignored or expected == found:", "if True:", "tests/sources/postgres/test_noticed.py"),
    Mutation(f"{POSTGRES}/measure/row_digest_sql.py", "IS DISTINCT FROM NULL THEN concat({name}) END", "IS NOT NULL THEN {name}::text END", "tests/sources/postgres/test_noticed.py"),
    Mutation(f"{POSTGRES}/catalog/tables.py", "roots = set(root_of.values()) - root_of.keys()", "roots, root_of = set[int](), dict[int, int]()", "tests/sources/postgres/test_healthy.py"),
    Mutation("ops/actions/live_target.py", "    if part and not request.options.tables:", "    if False:", "tests/sources/postgres/test_parts.py"),
    Mutation("ops/repository/series.py", " or row.series in own.parts:", ":", "tests/sources/postgres/test_parts.py"),
    Mutation("ops/repository/retention_candidates.py", "origin.series if origin is not None and origin.whole else", "'' if True else", "tests/sources/postgres/test_parts.py"),
    Mutation("ops/actions/prune.py", "return own.with_parts, own", "return own.mine, own", "tests/sources/postgres/test_parts.py"),
    Mutation(f"{POSTGRES}/measure/extension_rows.py", "        if found != TableMeasure(known.rows, known.digest):", "        if False:", "tests/sources/postgres/measure/test_extension_rows.py"),
    Mutation(f"{POSTGRES}/restore/swap.py", "            elif doubt := kept.doubt():", "            elif doubt := '':", PG_RESTORING),
    Mutation(f"{POSTGRES}/connect/pooler.py", "        if theirs == before or", "        if False and", "tests/sources/postgres/connect/test_pooler.py"),
    Mutation(f"{POSTGRES}/dump/said.py", "    if _DAMAGE.search(text):", "    if False:", "tests/sources/postgres/dump/test_said.py"),
    Mutation(f"{POSTGRES}/measure/tables.py", "how.warned.extend(line", "list(line", "tests/sources/postgres/dump/test_said.py"),
    Mutation("ops/actions/backup.py", "was if was.severity is Severity.CRITICAL and not item.known else item", "item", "tests/sources/postgres/dump/test_said.py"),
]  # fmt: skip


def survives(mutation: Mutation, folder: Path) -> bool:
    """Whether all the named tests pass on a tree with this mutation."""
    tree = folder / "tree"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", ".nox", "artifacts", ".*_cache")
    )
    path = tree / mutation.file
    text = path.read_text()
    path.write_text(text.replace(mutation.old, mutation.new, 1))
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests.split()]
    try:
        ended = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return False  # a test that waits for ever has noticed
    finally:
        shutil.rmtree(tree)
    return ended.returncode == 0


def main(numbers: list[int]) -> int:
    """Try the mutations with these numbers, or all."""
    survivors = []
    for number, mutation in enumerate(MUTATIONS, 1):
        if numbers and number not in numbers:
            continue
        with tempfile.TemporaryDirectory() as folder:
            survived = survives(mutation, Path(folder))
        print(
            f"{number:3} {'SURVIVED' if survived else 'noticed '}  {mutation.file}: {mutation.old.strip()}",
            flush=True,
        )
        survivors += [number] if survived else []
    print(f"{len(survivors)} survived: {survivors}" if survivors else "every mutation was noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main([int(argument) for argument in sys.argv[1:]]))
