"""The task `backup.show`: one backup whole."""

from __future__ import annotations

import json

from ops.formats import manifest as manifest_files
from ops.report.documents import shown_document
from ops.report.text import shown_text
from ops.tasks.session import Session


def show(session: Session, reference: str, source: str) -> None:
    """One backup whole."""
    backup = session.find(reference, source)
    manifest = json.loads(manifest_files.to_json(backup.manifest))
    session.outcome.add(shown_document(backup, manifest), shown_text(backup))
