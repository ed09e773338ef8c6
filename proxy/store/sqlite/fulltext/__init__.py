"""Full text beside the bodies: the words of a segment's calls, in a file of its own.

It is written after everything else, by a thread of its own, and may lag, be lost, or be made anew:
``queue`` decides when, ``index`` what, ``files`` how. ``search`` and ``matching`` read.
"""
