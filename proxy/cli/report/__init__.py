"""``llmtap report``: sums and percentiles per group, as a table for people, Markdown, JSON or CSV."""
