"""The applications that Heliograph is compared with: small and typical."""
