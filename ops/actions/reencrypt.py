"""Sealing backups anew for the keys of today, where they lie.

For each: opened in a private scratch place, compared, sealed under a name of its own, and opened again as it was stored;
only then the old one is deleted. A run that is cut off leaves the old one, the new one, or both, and the next one finishes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ops.actions.create_backup import passed
from ops.actions.verify import VerifyRequest, verify_opened
from ops.errors import BackupError, ConfigError, OpsError, StoreError
from ops.formats.encrypted_manifest import is_sealed, sealed_for
from ops.fsio.scratch import scratch_folder
from ops.fsio.space import require_room
from ops.model.evidence import Evidence, Level
from ops.model.findings import Finding, Severity
from ops.model.series import Whose
from ops.ports.cipher import Cipher
from ops.ports.source import Source
from ops.repository.backup import OPENED, Backup
from ops.repository.capacity import require_below_limit
from ops.repository.catalog import read_catalogue, sizes_in
from ops.repository.delete import Deletion, beside, delete_backup, finish_deletions
from ops.repository.encrypt import Sealing, is_of_kind, is_said_for, opened, openers_of
from ops.repository.fetch import fetch_payload, payload_here
from ops.repository.integrity import critical
from ops.repository.locks import being_read, deleting, held_lock
from ops.repository.own import own_backups
from ops.repository.publish_encrypted import clear_name, publish_sealed
from ops.repository.replicate import copy_backup
from ops.repository.repository import Repository
from ops.repository.second_look import stops
from ops.repository.series import said_of_others
from ops.repository.transfer import keep_history
from ops.run.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class ReencryptRequest:
    """Which source's backups; while one is encrypted anew both lie in the repository.

    `elsewhere`: one that was done before, from which those that are right there are copied as they are. `dry_run`:
    only say which.
    """

    whose: Whose
    source_of: Callable[[Backup], Source]
    elsewhere: Repository | None = None
    dry_run: bool = False
    wait_s: float = 0


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """Old and new name of each that was sealed anew, how many were right already, and what was noticed."""

    source: str
    store: str
    renewed: tuple[tuple[str, str], ...]
    current: int
    findings: tuple[Finding, ...]


def reencrypt(repository: Repository, request: ReencryptRequest, job: Job) -> Reencrypted:
    """Encrypt the backups of one source anew that are not encrypted for the keys of today, newest first.

    The keys are those of the repository's cipher. One that cannot be is a finding, and stays as it is. Raises
    LockHeldError, StoreError, ConfigError.
    """
    cipher, store = repository.encryption, repository.store
    if cipher is None:
        raise ConfigError(f"store {repository.name!r} does not encrypt", code="usage.bad_value")
    if cipher.sealed_for is None and not cipher.by_passphrase:
        # Whichever key of the keyring opens a file, nothing says that it is sealed for the one that is meant today.
        message = f"cipher {cipher.name!r} names keys by address: what they mean today cannot be told"
        raise ConfigError(message, hint="write the whole fingerprint of each recipient")
    how = Deletion()
    with contextlib.ExitStack() as stack:
        if not request.dry_run:
            stack.enter_context(held_lock(request.whose, repository, request.wait_s, job, deletes=True))
            how = stack.enter_context(
                deleting(request.whose, repository, "store.reencrypt", request.wait_s, job)
            )
            finish_deletions(store, request.whose)
        return _Run(repository, cipher, request, job, how).run()


@dataclass(frozen=True, slots=True)
class _Run:
    repository: Repository
    cipher: Cipher
    request: ReencryptRequest
    job: Job
    how: Deletion

    def run(self) -> Reencrypted:
        request, repository = self.request, self.repository
        catalogue = read_catalogue(repository.store)
        own = own_backups(request.whose, repository.store, catalogue)
        mine = [replace(item, openers=repository.decryptors) for item in own.with_parts]
        findings = [item for item in catalogue.findings if item.severity is Severity.CRITICAL]
        findings += said_of_others(request.whose, own.others(self.job.clock()), has_own=bool(mine))
        renewed: list[tuple[str, str]] = []
        done = self._done(mine)
        there = (
            {} if request.elsewhere is None else self._done(read_catalogue(request.elsewhere.store).backups)
        )
        old = [item for item in mine if done.get(item.manifest.job_id) is not item and not self._fits(item)]
        taken = {item.name for item in mine}
        for backup in old:
            twin, other = done.get(backup.manifest.job_id), there.get(backup.manifest.job_id)
            known = twin or other
            name = known.name if known else self._new_name(backup, taken)
            try:
                if not request.dry_run:
                    new = twin or (self._copied(other) if other else self._seal_anew(backup, name))
                    findings += self._renew(backup, new)
                renewed.append((backup.name, name))
            except OpsError as error:
                findings.append(critical(error, backup.name))
        current = len(mine) - len(old)
        return Reencrypted(request.whose.name, repository.name, tuple(renewed), current, tuple(findings))

    def _done(self, backups: Iterable[Backup]) -> dict[str, Backup]:
        """By job those that are sealed for the keys of today."""
        return {item.manifest.job_id: item for item in backups if is_said_for(item.manifest, self.cipher)}

    def _copied(self, other: Backup) -> Backup:
        """The same, sealed for the keys of today, as it is in another store."""
        to = self.repository
        require_below_limit(to.store, to.limit, other.manifest.size)
        copy_backup(other, to, self.job)
        return replace(other, store=to.store)

    def _fits(self, backup: Backup) -> bool:
        """For a passphrase, of which nothing may be written down: whether today's opens it."""
        cipher = self.cipher
        if cipher.sealed_for or not is_of_kind(backup.manifest, cipher) or sealed_for(backup.manifest):
            return False
        try:
            with self._opened(replace(backup, openers=(cipher,))):
                return True
        except OpsError:
            return False

    def _new_name(self, old: Backup, taken: set[str]) -> str:
        """The plain name with the cipher's suffix, and before that a number that no former one had."""
        plain, suffix = old.plain.payload, self.cipher.suffix
        former = re.fullmatch(r"\.(\d+)\.\w+", old.name.removeprefix(plain))
        number = int(former[1]) + 1 if former else 1
        while (name := f"{plain}{f'.{number}' if number > 1 else ''}{suffix}") in taken:
            number += 1
        taken.add(name)
        return name

    def _seal_anew(self, old: Backup, name: str) -> Backup:
        to = self.repository
        require_below_limit(to.store, to.limit, old.manifest.size * 101 // 100)
        clear_name(to.store, name)
        how = Sealing(self.cipher, to.scratch, name.removeprefix(old.plain.payload), to.plain_measures)
        with being_read(old, "store.reencrypt", self.job), self._opened(old) as payload:
            new = publish_sealed(opened(old, to.scratch), payload, to.store, how, self.job)
        keep_history(old, new)
        return new

    @contextlib.contextmanager
    def _opened(self, backup: Backup) -> Iterator[Path]:
        """The plain payload, every byte as recorded, or compared when it is sealed; raises BackupError, ToolError."""
        scratch = self.repository.scratch
        if not is_sealed(backup.manifest):
            with payload_here(backup, scratch, self.job, compared_later=True) as payload:
                yield payload
            return
        openers_of(backup)
        require_room(scratch, 2 * backup.manifest.size)
        with scratch_folder(scratch) as folder:
            payload, findings = fetch_payload(backup, folder, self.job.progress)
            bad = [item for item in findings if stops([item])]
            if bad and bad[0].blocking:
                raise StoreError(bad[0].message, code=bad[0].code)
            if bad:
                raise BackupError(bad[0].message, code=bad[0].code, hint="use another copy")
            yield payload

    def _look(self, new: Backup) -> Evidence:
        """At what is stored, opened where the new key is here; who only has the old one sees no further."""
        cipher, look = self.cipher, VerifyRequest(Level.QUICK, self.repository.scratch)
        source = self.request.source_of(new)
        openers = (cipher,) if cipher.can_open else ()
        evidence, _ = verify_opened(replace(new, openers=openers), source, look, self.job)
        return evidence

    def _renew(self, old: Backup, new: Backup) -> list[Finding]:
        """Delete the old one after a look at the new one as it is stored; what was noticed."""
        looked = self._look(new)
        if not passed(looked):
            message = f"{new.name}, sealed anew, does not verify; {old.name} stays"
            raise BackupError(message, code="backup.not_restorable", hint="delete the new one, and try again")
        if not any(finding.code == OPENED for finding in looked.findings):
            # A typing error in the new public key would else cost every backup.
            message = f"{old.name} stays too: {new.name} was not opened here; run this where the new key is"
            return [Finding(severity=Severity.WARNING, code="seal.unopened", message=message, where=new.name)]
        stored = sizes_in(self.repository.store)
        problem = delete_backup(old, beside(stored)[old.name], self.job, self.how)
        if problem is None:
            return []
        severity = Severity.WARNING if problem.severity is Severity.OK else problem.severity
        return [replace(problem, severity=severity)]
