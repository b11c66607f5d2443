"""Events: parsed from a verified body, and turned into jobs by rules."""
