"""What the API answers, for its documentation."""
