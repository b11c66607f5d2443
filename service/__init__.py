"""Heliograph: the web tier, and what both tiers share."""

VERSION = "0.2.0"
