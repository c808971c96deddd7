"""What can be done with any source and any store; the dangerous orders of steps are written here, once."""
