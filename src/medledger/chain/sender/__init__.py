"""Sending transactions: one state machine for every transaction of every role.

Intents get a nonce and a signature in a journal, which stores both in one step before anything is
sent. From then on only the journal and the chain decide: whatever stopped the program, the same
bytes are sent again until their nonce is used in a block as deep as the network's policy asks.

    sender = Sender(rpc, key)                                   # a journal in memory
    receipt = sender.send(ledgers.invoices.issue(segment, first, count, root))

    sender = Sender(rpc, key, journal=store.journal, policy=Policy(confirmations=12))
    for outcome in sender.advance(): ...                        # one pass, never waits
"""

from medledger.chain.sender.fees import Fees
from medledger.chain.sender.journal import MemoryJournal
from medledger.chain.sender.outcome import Outcome, Receipt, error_of
from medledger.chain.sender.policy import IN_FLIGHT, Policy
from medledger.chain.sender.sending import Sender

__all__ = [
    "IN_FLIGHT",
    "Fees",
    "MemoryJournal",
    "Outcome",
    "Policy",
    "Receipt",
    "Sender",
    "error_of",
]
