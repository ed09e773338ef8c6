"""The Messages API, as Anthropic defined it and as the many servers that imitate it vary it."""
