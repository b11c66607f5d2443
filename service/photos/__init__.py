"""Photos of DMs: taken in, checked and converted without ever being decoded in this process."""
