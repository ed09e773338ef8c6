"""Messages that HTTP implementations disagree about, as data; each has one reading here.

``requests.py`` and ``responses.py`` are the rows, ``test_*.py`` the runners. The numbers are
those of the list that the rows were drawn up from; letters tell variants apart.
"""
