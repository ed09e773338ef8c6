"""Formats of bytes on the wire: bytes in, events and values out. No I/O, no notion of a call."""
