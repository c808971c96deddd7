"""The cipher `age`: recipients, identities, and the two programs that know the format."""
