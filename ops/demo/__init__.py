"""The demo catalogue: real input for every task, built from the text sources in `fixtures/demo`.

Imports errors, fsio, proc and the kind `postgres`; `ops.tasks` is its only user inside the package.
"""
