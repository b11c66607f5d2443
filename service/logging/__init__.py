"""Log setup, context and output; secrets are redacted on the way."""
