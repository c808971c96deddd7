"""Scripts of pg_restore: which statements of them set options that a server keeps for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.sources.postgres.restore.script import entry_lines, own_options, without_options

pytestmark = pytest.mark.long

SET = b"ALTER TABLE ONLY public.t ALTER COLUMN id SET (pg_attver=26555456);\n"
HIDDEN = {
    "a string": b"COMMENT ON TABLE t IS 'it''s\n" + SET + b"';\n",
    "a string with escapes": b"COMMENT ON TABLE t IS E'it''s \\' \\\\\n" + SET + b"';\n",
    "a name": b'CREATE TABLE "a""\n' + SET + b'" (a integer);\n',
    "a dollar quote": b"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ select '\n"
    + SET
    + b"' $$ $_$;\n",
    "a comment": b"-- it's ALTER TABLE ONLY public.t ALTER COLUMN id SET (pg_attver=1);\nSELECT 1;\n",
    "a nested comment": b"/* /* ' */\n" + SET + b"*/ SELECT 1;\n",
    "a body": b"CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT 'x;\n" + SET + b"'; SELECT 2; END;\n",
}


@pytest.mark.parametrize("place", HIDDEN)
def test_what_only_looks_like_a_statement_stays(place: str) -> None:
    """Text inside of a string, a name, a comment or a body is no statement, and the one after it is."""
    script = HIDDEN[place]
    assert own_options(script) == {}
    assert own_options(script + SET) == {"pg_attver": 1}
    assert without_options(script + SET, {"pg_attver"}) == script + b"\n"


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        (b"ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=1);", b""),
        (b"ALTER FOREIGN TABLE ONLY s.f ALTER COLUMN a SET (pg_attver=1);", b""),
        (b"ALTER TABLE s.t ALTER COLUMN a SET (pg_attver=1);", b""),
        (b'ALTER TABLE ONLY "a SET (x)"."b;""c" ALTER COLUMN "ALTER COLUMN" SET (pg_attver=1);', b""),
        (
            b"ALTER TABLE ONLY t ALTER COLUMN a SET (pg_attver=1, n_distinct=5);",
            b"ALTER TABLE ONLY t ALTER COLUMN a SET (n_distinct=5);",
        ),
        (
            b"ALTER TABLE ONLY t ALTER COLUMN a SET (n_distinct=-0.5, pg_attver=1, n_distinct_inherited=7);",
            b"ALTER TABLE ONLY t ALTER COLUMN a SET (n_distinct=-0.5, n_distinct_inherited=7);",
        ),
        (b"ALTER TABLE ONLY t ALTER COLUMN a SET (n_distinct=5);", None),
        (b"ALTER TABLE ONLY t ALTER COLUMN a SET DEFAULT (pg_attver=1);", None),
        (b"ALTER TABLE ONLY t ALTER COLUMN a SET STATISTICS 100;", None),
        (b'ALTER TABLE ONLY t ADD CONSTRAINT "ALTER COLUMN a SET (pg_attver=1)" CHECK ((a = 1));', None),
        (b"ALTER TABLE ONLY t ALTER COLUMN a SET (pg_other=1);", None),
    ],
)
def test_only_the_named_options_go(statement: bytes, without: bytes | None) -> None:
    """A statement loses the unwanted options; what else it sets stays, and every other statement as it is."""
    around = b"SELECT 'a;b';\n%s\nSELECT $1;\n"
    expected = statement if without is None else without
    assert without_options(around % statement, {"pg_attver"}) == around % expected


def test_every_option_of_the_servers_own_is_counted() -> None:
    """Options of the reserved prefix are counted by name, whatever a later release calls them."""
    script = SET * 3 + b"ALTER TABLE ONLY t ALTER COLUMN a SET (pg_later=x, pg_attver=2, n_distinct=1);\n"
    assert own_options(script) == {"pg_attver": 4, "pg_later": 1}


def test_lines_keep_their_numbers() -> None:
    """What psql says of a line leads to the entry that pg_restore wrote there."""
    script = (
        b"--\n-- Name: t; Type: TABLE; Schema: public; Owner: me\n--\n\nCREATE TABLE public.t (id integer);\n"
        + SET
        + b"\n--\n-- Name: f(); Type: FUNCTION; Schema: -; Owner: me\n--\n\nCREATE FUNCTION f() AS 'x';\n"
    )
    shorter = without_options(script, {"pg_attver"})
    assert shorter.count(b"\n") == script.count(b"\n")
    assert entry_lines(script) == [(2, "TABLE public t"), (9, "FUNCTION f()")]
    assert entry_lines(shorter) == entry_lines(script)


@given(
    st.lists(
        st.sampled_from([b"'", b'"', b"$$", b"$a$", b"--", b"/*", b"*/", b"\n", b";", b"\\", b"E'", SET])
    )
)
def test_any_text_ends_and_keeps_its_lines(parts: list[bytes]) -> None:
    """Whatever stands in a script, and however it breaks off, lines are never added or lost."""
    script = b"".join(parts)
    assert without_options(script, {"pg_attver"}).count(b"\n") == script.count(b"\n")
