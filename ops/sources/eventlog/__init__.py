"""The kind `eventlog`: an append-only log of JSON segments whose events are chained by their hashes."""
