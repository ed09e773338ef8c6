"""The embedded engine: ``main.db`` for rows, one ``body-…`` segment a day for bodies.

::

    <data>/store/
      main.db                      rows, dimensions, postings, positions of journals, gaps
      body-forever-20261121.db     messages, prompts and exchanges of the calls stored on that day
      fts-forever-20261121.db      the words of these calls; may lag, and can be made anew

``reader.SqliteReader`` reads, beside a running writer or without one; ``store.SqliteStore``
also writes. Everything below them is synchronous and runs on the one thread of its connection.
"""
