"""What it takes to run Heliograph: one folder per platform, and `local` for one machine."""
