"""llmtap: a transparent logging proxy for LLM APIs.

The layers, highest first; imports go down only (``tests/test_tidy.py`` holds them to it):

1. ``cli``                                       commands; ``serve`` wires everything together
2. ``console`` · ``relay`` · ``ingest``          the three kinds of process that ``serve`` runs
3. ``store``                                     what is kept, and how it is asked for
4. ``query`` · ``pricing`` · ``dialects`` · ``journal``
5. ``wire`` · ``bodies``                         bytes in, values out; no I/O
6. ``config`` · ``settings`` · ``sources`` · ``addresses`` · ``datadir`` · ``child`` · ``gauges`` ·
   ``clock`` · ``zones`` · ``tasks`` · ``logs`` · ``errors`` · ``records``

Data flows one way: client ⇄ relay → journal → ingest → store → console and commands.
A relay process knows the journal and nothing behind it, so that nothing behind it can
slow a call down.
"""

__version__ = "0.1.0"
