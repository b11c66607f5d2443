"""The sandboxed templates and conditions of rules."""
