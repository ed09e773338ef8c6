"""From journals to rows: follow every journal, reassemble calls, understand them, commit in batches."""
