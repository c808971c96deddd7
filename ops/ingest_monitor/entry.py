"""One attempt to fetch data, as its log has it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

SUCCESS: Final = frozenset((
    "success", "succeeded", "ok", "done", "completed", "complete", "finished", "sucesso", "concluido", "concluído",
))  # fmt: skip
FAILURE: Final = frozenset((
    "error", "failed", "failure", "fail", "timeout", "timed_out", "exit", "aborted", "cancelled", "invalid",
    "erro", "falha", "falhou", "parcial", "partial", "cancelado",
))  # fmt: skip
"""The words by which programs say how a job ended, in small letters; all others, like `running`, say neither."""


class Kind(StrEnum):
    """What an entry is about: a whole job, the answer of a provider being kept, or rows that were rejected."""

    RUN = "run"
    RAW = "raw"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry; None where the log does not say it. Times are in UTC, `retry_after` is in seconds.

    `invalid_rows`: rows that were rejected.
    """

    ticker: str | None
    job_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    rows_fetched: int | None = None
    status: str | None = None
    error_message: str | None = None
    duration_ms: int | None = None
    provider: str | None = None
    attempt: int | None = None
    retry_after: float | None = None
    kind: Kind = Kind.RUN
    invalid_rows: int | None = None

    @property
    def succeeded(self) -> bool | None:
        """How it ended; None when it has not, or in a word that is not known."""
        word = (self.status or "").strip().lower()
        if word in SUCCESS:
            return True
        return False if word in FAILURE else None

    @property
    def at_work(self) -> bool:
        """Whether it goes on: it has not ended, and no word says that it has."""
        return self.succeeded is None and self.finished_at is None

    @property
    def moment(self) -> datetime | None:
        """When it ended, or else began."""
        return self.finished_at or self.started_at

    @property
    def begun(self) -> datetime | None:
        """When it began, or else ended: what entries are ordered by."""
        return self.started_at or self.finished_at

    @property
    def latency_ms(self) -> int | None:
        """How long it took: as it was logged, or from its start to its end."""
        if self.duration_ms is not None:
            return self.duration_ms
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0, round((self.finished_at - self.started_at).total_seconds() * 1000))


def wanted_words(status: str) -> frozenset[str]:
    """The words that a wanted status stands for: `error` and `success` for all that mean the same."""
    word = status.strip().lower()
    if word in FAILURE:
        return FAILURE if word == "error" else frozenset((word,))
    return SUCCESS if word == "success" else frozenset((word,))
