"""What is kept about one person: found, shown and erased."""
