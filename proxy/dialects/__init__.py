"""Wire formats: one file each, bytes in, values out, no I/O. ``table`` chooses between them."""
