"""The cipher `gpg`."""
