"""HTTP below the routes: protocols, limits, errors, content negotiation, API keys."""
