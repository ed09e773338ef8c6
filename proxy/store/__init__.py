"""What is kept, and how it is asked for. ``base`` is the interface; ``sqlite`` the embedded engine."""
