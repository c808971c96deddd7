"""The kind `postgres`: databases of PostgreSQL servers 12 to 18, through their own client programs."""
