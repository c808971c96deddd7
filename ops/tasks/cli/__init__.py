"""From words on the command line to the values that tasks get."""
