"""Checksum snapshots: deterministic exports of a table with their digests, and manifests of folders.

The form of the files is in `csvform` and `jsonform`, why it is so in docs/adr/0022. Knows the SQLite kind's way of
opening a file; nothing of stores, backups or reports.
"""
