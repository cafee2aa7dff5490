"""The command line: thin, and quick to start; everything it does is a function that returns data.

The modules hang their commands on `base.main` when they are imported, hence the imports here.
"""

from evalsuite.cli import catalogue, exchange, studies
from evalsuite.cli.base import main

__all__ = ["catalogue", "exchange", "main", "studies"]
