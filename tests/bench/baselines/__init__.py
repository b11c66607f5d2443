"""What Heliograph is compared with: small, honest applications as people write them."""
