"""Numbers: how many jobs and callbacks ended, how, and after what wait."""
