"""``llmtap doctor``: one upstream called direct and through llmtap, what differs, and the usual mistakes around it."""
