"""The task `backup.show`: one backup whole."""

from __future__ import annotations

import json

from ops.errors import OtherSeriesError
from ops.formats import manifest as manifest_files
from ops.report.documents import findings_document, shown_document
from ops.report.outcome import WARNING, exit_code_of
from ops.report.text import findings_text, shown_text
from ops.repository.encrypt import opened_where_possible
from ops.repository.integrity import check_sizes
from ops.tasks.backup.commands import Show
from ops.tasks.session import Session


def run(session: Session, wanted: Show) -> None:
    """One backup whole."""
    try:
        backup = session.find(wanted.backup, wanted.source)
    except OtherSeriesError as error:
        # Nothing is done with a backup here: whose there are is what was asked for.
        session.outcome.fail(error, wanted.source, exit_code=WARNING)
        return
    backup = opened_where_possible(backup, session.config.scratch)
    manifest = json.loads(manifest_files.to_json(backup.manifest))
    amiss = check_sizes(backup)
    document = {**shown_document(backup, manifest), "findings": findings_document(amiss)}
    text = "\n".join([shown_text(backup), *filter(None, [findings_text(amiss)])])
    session.outcome.add(document, text, exit_code_of(amiss))
    configured = session.config.sources.get(backup.manifest.source.name)
    if configured is not None:
        session.outcome.notice(session.said_of_absent(configured))
