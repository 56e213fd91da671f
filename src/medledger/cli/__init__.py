"""The command line: `medledger ...`, one verb for each thing a role can do.

    medledger chain &
    medledger key new supervisor.key
    medledger deploy --key supervisor.key

Each family of commands is a module, imported only when one of its commands runs; `program` lists
them all. Settings are read, and errors translated, here and nowhere below.
"""

from medledger.cli.program import main

__all__ = ["main"]
