"""What the detail pages of a call are made of, as values: no handlers, no templates."""
