"""The JSON API: all that the pages show, for programs."""
