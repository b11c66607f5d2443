"""The commands of `heliograph`, one module each."""
