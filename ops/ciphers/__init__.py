"""Ways to seal backups, one file or folder each. They know no sources, no stores, no actions, and not each other."""
