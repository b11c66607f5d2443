"""Webhook signatures: verified on the way in, made on the way out."""
