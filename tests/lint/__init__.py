"""Checks that ruff and mypy do not make; `make lint` runs each as a module."""
