"""Sums that are kept beside the rows, so that a report need not read a million of them.

::

    levels      which sums there are: by which span of time and which columns
    spreads     how latencies and speeds lie, in buckets of 6 %; percentiles of them
    tally       what rows add to the sums
    changes     old values of rows that a transaction changes
    ledger      the sums as they are stored; bounded, changed in the transaction that changes rows
    recount     the sums of a day told from its rows: for ``rebuild`` and ``verify``
    plan        what part of a question the sums answer, and what part the rows must
    answers     the sums as parts of a report

At the end of every transaction the sums equal the rows. Where rows were deleted for their age,
the sums stay: such days are marked (``thinned``), and cannot be told from their rows any more.
"""
