"""The comparison itself: it must not call different things equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.console import differs, read_scenarios, with_stamps


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["rows  588"], "rows  589\n"),
        (["a", "b"], "a\n"),
        (["a"], "a\nb\n"),
        ([], "something\n"),
        (["a … c"], "a b d\n"),
        (["a", "…", "z"], "a\nb\nc\n"),
        (
            ["backup-20260315T081500Z.db", "backup-20260315T081500Z.db"],
            "backup-20261122T101500Z.db\nbackup-20261122T101501Z.db\n",
        ),
    ],
)
def test_a_difference_is_seen(shown: list[str], printed: str) -> None:
    """Another figure, a line too few or too many, or a name that changes on the way is a difference."""
    assert differs(tuple(shown), printed, {}) is not None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ([], ""),
        (["took  0.0 s"], "took  1.4 s\n"),
        (["a … c"], "a b c\n"),
        (["a", "…", "z"], "a\nb\nc\nz\n"),
        (["a", "…", "z"], "a\nz\n"),
        (["a", "  …"], "a\nb\nc\n"),
    ],
)
def test_what_may_vary_is_equal(shown: list[str], printed: str) -> None:
    """Durations, and what the page leaves out, are no difference."""
    assert differs(tuple(shown), printed, {}) is None


def test_a_stamp_is_a_variable() -> None:
    """A stamp is what it was first seen to be, also in the commands that follow."""
    stamps: dict[str, str] = {}
    assert differs(("file backup-20260315T081500Z.db",), "file backup-20261122T101500Z.db\n", stamps) is None
    assert with_stamps("show backup-20260315T081500Z.db", stamps) == "show backup-20261122T101500Z.db"
    assert differs(("backup-20260315T081500Z.db",), "backup-20261122T101501Z.db\n", stamps) is not None


def test_blocks_are_read_with_their_comments(tmp_path: Path) -> None:
    """Fixture, continuation and exit code come from the comments right before a block."""
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n<!-- fixture: empty -->\n```console\n$ one \\\n    more\nout\n$ two\n```\n\n"
        "<!-- continue -->\n<!-- exit: 2 -->\n```console\n$ three\n```\n\n```console\n$ four\n```\n"
    )
    first, second = read_scenarios(page)
    assert (first.fixture, second.fixture) == ("empty", "demo")
    assert [command.text for command in first.blocks[0].commands] == ["one more", "two"]
    assert first.blocks[0].commands[0].shown == ("out",)
    assert [block.exit_code for block in first.blocks] == [0, 2]


def test_an_unknown_comment_is_refused(tmp_path: Path) -> None:
    """A misspelt comment right before a block is an error, not a different test."""
    page = tmp_path / "page.md"
    page.write_text("<!-- fixtures: empty -->\n```console\n$ one\n```\n")
    with pytest.raises(ValueError, match="unknown comment"):
        read_scenarios(page)
