"""The ingest side of the operator's day: how late each ticker is, what failed, whether the provider answers.

Read from the history that ingest jobs keep, a table or a file of JSON lines; nothing here writes to either.
"""
