"""What people say of calls, beside the rows: opinions, remarks, notes, tags, saved views, who looked at what."""
