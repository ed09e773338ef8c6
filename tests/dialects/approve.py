"""Rewrite the expected outcomes of golden cases, to be reviewed with ``git diff`` before they are committed.

    python -m tests.dialects.approve               # all cases
    python -m tests.dialects.approve azure-stream  # those whose name begins so

Never run by a test.
"""

from __future__ import annotations

import sys

from tests.dialects.golden import as_json, cases, parse


def main(names: list[str]) -> None:
    """Approve what the dialects say today."""
    for case in cases():
        if not names or case.name.startswith(tuple(names)):
            outcome = as_json(parse(case.bodies))
            before = case.expected.read_bytes() if case.expected.exists() else b""
            case.expected.write_bytes(outcome)
            print("unchanged" if outcome == before else "written  " if before else "new      ", case)


if __name__ == "__main__":
    main(sys.argv[1:])
