"""The operating system's side of a process: signals and file limits."""
