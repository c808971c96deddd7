"""A writer with bad habits, run as a process: python hostile_writer.py DATABASE SEED.

Moves money between accounts in transactions of random size, in whatever journal mode the database has, and in
WAL mode checkpoints at random moments in every way there is. The sum of all balances never changes. A row in
`ledger` grows with each transfer, so that pages split and the file grows while it is copied.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import sys

ACCOUNTS = 200
TOTAL = ACCOUNTS * 1000


def prepare(path: str, mode: str, page_size: int = 4096) -> None:
    """Make the database with its invariant."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size={page_size}")
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.executescript(
        f"""
        CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, filler BLOB);
        CREATE TABLE ledger (id INTEGER PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER, note TEXT);
        CREATE INDEX ledger_note ON ledger (note);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS})
        INSERT INTO accounts SELECT i, 1000, zeroblob(20000) FROM n;
        """
    )
    connection.close()


def main(path: str, seed: int) -> None:
    """Write until killed."""
    chance = random.Random(seed)
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(f"PRAGMA wal_autocheckpoint={chance.choice([1, 10, 100, 1000, 0])}")
    connection.execute(f"PRAGMA cache_size={chance.choice([2, 10, 2000])}")
    print("ready", flush=True)
    while True:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(chance.choice([1, 1, 2, 5, 40])):
            source, target = chance.sample(range(1, ACCOUNTS + 1), 2)
            amount = chance.randrange(1, 100)
            connection.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, source))
            connection.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, target))
            note = f"{chance.getrandbits(64):016x}" * chance.choice([1, 1, 3, 200])
            connection.execute(
                "INSERT INTO ledger (source, target, amount, note) VALUES (?, ?, ?, ?)",
                (source, target, amount, note),
            )
            if chance.random() < 0.05:
                connection.execute("DELETE FROM ledger WHERE id % 7 = ?", (chance.randrange(7),))
        connection.execute(chance.choice(["COMMIT"] * 9 + ["ROLLBACK"]))
        if chance.random() < 0.1:
            # Busy is a legal answer to a checkpoint.
            with contextlib.suppress(sqlite3.OperationalError):
                how = chance.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
                connection.execute(f"PRAGMA wal_checkpoint({how})")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
