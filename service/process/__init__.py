"""Operating system and runtime settings of a process: signals, file limits, garbage collection."""
