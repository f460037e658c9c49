"""The HTTP face: webhooks, published values, and the JSON API."""
