"""How fast things are, beside the peer."""
