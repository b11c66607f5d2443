"""Instagram's identifiers of users and posts, and its limits."""
