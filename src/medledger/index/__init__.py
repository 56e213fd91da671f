"""The auditor's index: every event of a deployment in a database of its own.

    index = EventIndex("sqlite:///index.db", manifest)
    sync(index, [Rpc("http://first:8545"), Rpc("http://second:8545")])
    for event in index.events(number=number): ...

What may be asked and told follows from the contracts' ABI, never from a list of events here.
"""

from medledger.index.book import EventIndex, Found, Refused
from medledger.index.sync import Synced, sync

__all__ = ["EventIndex", "Found", "Refused", "Synced", "sync"]
