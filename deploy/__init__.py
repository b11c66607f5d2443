"""Deployments of Heliograph: one folder per platform, and `local` for a single machine."""
