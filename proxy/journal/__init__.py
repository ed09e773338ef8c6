"""The journal: append-only files between a relay, which only appends, and ingest, which only reads.

One directory per relay incarnation, segment files in it, and one small file of counters that is
also the owner's lock. ``frame`` and ``codec`` are the format, without I/O; ``writer`` is the
relay's half, ``reader`` ingest's.
"""
