"""Reports: the numbers of a period as a file."""
