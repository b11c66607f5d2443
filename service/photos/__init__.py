"""Photos of DMs: received, checked and converted without being decoded in this process."""
