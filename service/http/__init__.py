"""HTTP below the routes: protocols, limits, errors, negotiation, API keys."""
