"""`ops.toml` and the environment, read once into built, frozen values."""
