"""Who is let in: names of hosts, foreign pages, passwords, sessions, tokens, and what is written down of visits."""
