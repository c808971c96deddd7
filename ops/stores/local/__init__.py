"""The store `local`: a folder on this machine."""
