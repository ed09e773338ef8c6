"""What pages about conversations, users and prompts are made of, as values: no handlers, no templates."""
