"""``python -m proxy`` is the ``llmtap`` command."""

from .cli import main

if __name__ == "__main__":
    main()
