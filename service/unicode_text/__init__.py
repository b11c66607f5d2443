"""Properties of Unicode text, whoever wrote it."""
