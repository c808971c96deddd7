"""What `doctor` and `demo` do with their flags."""

from __future__ import annotations

import shlex
from pathlib import Path

from ops.actions.capacity import examine_capacity
from ops.actions.catalogue import read_catalogue
from ops.actions.doctor import Patient, examine, examine_machine
from ops.demo.catalogue import build_demo
from ops.errors import OpsError
from ops.ports import Store
from ops.report.documents import findings_document
from ops.report.outcome import Outcome, exit_code_of
from ops.report.text import findings_text, printable
from ops.retention import Policy
from ops.tasks.session import Session


def doctor(session: Session, source: str) -> None:
    """Examine the machine, then each source with its store."""
    outcome = session.outcome
    findings = examine_machine(session.config.scratch)
    config = str(session.config.path) if session.config.path else "none (environment alone)"
    outcome.add(
        {"source": None, "config": config, "findings": findings_document(findings)},
        f"Configuration: {printable(config)}\n{findings_text(findings, all_of_them=True)}",
        exit_code_of(findings),
    )
    for name, store in session.config.stores.items():
        if not source or name in session.config.source(source).stores:
            _examine_store(session, name, store)
    for name, cipher in session.config.ciphers.items():
        probed = cipher.probe()
        document = {"cipher": name, "findings": findings_document(probed)}
        text = f"cipher {name}:\n{findings_text(probed, all_of_them=True)}"
        outcome.add(document, text, exit_code_of(probed))
    for configured in session.chosen(source):
        patient = Patient(
            configured.source, session.config.home_of(configured), configured.objectives, configured.min_free
        )
        findings = examine(patient, session.config.scratch, session.job.clock())
        outcome.add(
            {"source": configured.name, "findings": findings_document(findings)},
            f"{configured.name}:\n{findings_text(findings, all_of_them=True)}",
            exit_code_of(findings),
        )


def _examine_store(session: Session, name: str, store: Store) -> None:
    """How full it is, and when it will be full."""

    def policy_of(source: str) -> Policy:
        configured = session.config.sources.get(source)
        return session.config.policy_of(configured, name) if configured else Policy(forever=True)

    try:
        limit = session.config.settings_of(name).limit
        findings = examine_capacity(store, read_catalogue(store), limit, policy_of, session.job.clock())
    except OpsError as error:
        session.outcome.fail(error)
        return
    session.outcome.add(
        {"store": name, "findings": findings_document(findings)},
        f"store {name}:\n{findings_text(findings, all_of_them=True)}",
        exit_code_of(findings),
    )


def demo(outcome: Outcome, out: str, without: str, program: str) -> None:
    """Build the demo catalogue and say how to go on."""
    try:
        catalogue = build_demo(Path(out).absolute(), without=[without] if without else [])
    except OpsError as error:
        outcome.fail(error)
        return
    config = shlex.quote(f"{out.rstrip('/')}/{catalogue.config_path.name}")
    databases = [
        {"source": item.source, "path": str(item.path), "rows": dict(item.rows)}
        for item in catalogue.databases
    ]
    left_out = [
        {"source": item.source, "reason": item.reason, "advice": item.advice} for item in catalogue.left_out
    ]
    lines = [f"Demo catalogue in {printable(out)}"]
    lines += [
        f"  {item.source:<8} {item.name}, {sum(item.rows.values())} rows" for item in catalogue.databases
    ]
    lines += [
        f"  {item.source:<8} left out: {printable(item.reason)}; for it: {printable(item.advice)}"
        for item in catalogue.left_out
    ]
    lines.append(
        f"Next:\n  {program} backup.create --config {config} --verify\n  {program} backup.drill --config {config}"
    )
    outcome.add(
        {
            "folder": str(catalogue.folder),
            "config": str(catalogue.config_path),
            "databases": databases,
            "left_out": left_out,
        },
        "\n".join(lines),
    )
