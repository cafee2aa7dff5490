"""`python -m evalsuite`."""

from __future__ import annotations

from evalsuite.cli import main

if __name__ == "__main__":
    main()
