"""The result of `demo`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from ops.demo.catalogue import DemoCatalogue
from ops.report.printable import printable
from ops.report.results.result import Document, Result


@dataclass(frozen=True, slots=True)
class DemoBuilt(Result):
    """A demo in the folder `out`, as it was typed; `program`: how it goes on."""

    catalogue: DemoCatalogue
    out: str
    program: str

    def text(self) -> str:
        """What is there, what was left out, and what to do next."""
        config = shlex.quote(f"{self.out.rstrip('/')}/{self.catalogue.config_path.name}")
        lines = [f"Demo catalogue in {printable(self.out)}"]
        lines += [
            f"  {item.source:<8} {item.name}, {sum(item.rows.values())} rows"
            for item in self.catalogue.databases
        ]
        lines += [
            f"  {item.source:<8} left out: {printable(item.reason)}; for it: {printable(item.advice)}"
            for item in self.catalogue.left_out
        ]
        create = f"{self.program} backup.create --config {config} --verify"
        return "\n".join([*lines, f"Next:\n  {create}\n  {self.program} backup.drill --config {config}"])

    def documents(self) -> Iterator[Document]:
        """One."""
        built = self.catalogue
        yield {
            "folder": str(built.folder),
            "config": str(built.config_path),
            "databases": [
                {"source": item.source, "path": str(item.path), "rows": dict(item.rows)}
                for item in built.databases
            ],
            "left_out": [
                {"source": item.source, "reason": item.reason, "advice": item.advice}
                for item in built.left_out
            ],
        }
