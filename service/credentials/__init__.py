"""What makes a key or secret hard to guess."""
