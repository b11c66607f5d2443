"""The environment and heliograph.toml, read and checked once at boot."""
