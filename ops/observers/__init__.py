"""Who listens to a run: each kind is one module here and one line in `ops.registry.OBSERVERS`."""
