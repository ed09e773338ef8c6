"""What people look at: a JSON API and pages, on a port of their own. It reads the store and writes nothing."""
