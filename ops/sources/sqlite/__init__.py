"""The kind `sqlite`: one SQLite database file."""
