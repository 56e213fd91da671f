"""Why a node refused a transaction: one reason for the words of every kind of node.

The words are those of geth, Besu, Erigon, Nethermind, Anvil, Ganache and FISCO BCOS, compared
without case, spaces and punctuation: `AlreadyKnown` is `already known`.
"""

from __future__ import annotations

import re
from enum import Enum

from medledger.errors import RpcError


class Reason(Enum):
    """What a refusal asks the sender to do."""

    KNOWN = "already in the pool or on chain: nothing"
    NONCE_LOW = "the nonce is used: find out by whom"
    NONCE_HIGH = "earlier nonces are missing: find the gap"
    REPLACEMENT = "another with this nonce pays as much: pay more"
    UNDERPRICED = "the node or the block asks for more: pay more"
    FUNDS = "the account cannot pay: wait"
    IMPOSSIBLE = "no node will ever take it: use its nonce up"
    CHAIN_ID = "signed for another chain: stop"
    UNKNOWN = "anything else: send the same bytes again later"


# The first that fits counts: "replacement transaction underpriced" is no "underpriced".
_WORDS: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (
        Reason.KNOWN,
        (
            "already known",
            "known transaction",
            "already imported",
            "already in pool",
            "already in tx pool",
            "tx already in chain",
            "existing tx with same hash",
            "same hash was already imported",
        ),
    ),
    (
        Reason.NONCE_LOW,
        (
            "nonce too low",
            "nonce is too low",
            "old nonce",
            "correct nonce",
            "nonce check fail",
        ),
    ),
    (
        Reason.NONCE_HIGH,
        (
            "nonce too high",
            "nonce is too distant",
            "nonce too distant",
            "nonce gap",
            "gapped nonce",
            "nonce too far in future",
        ),
    ),
    (
        Reason.REPLACEMENT,
        (
            "replacement transaction underpriced",
            "replacement not allowed",
            "gas price to replace existing",
            "could not replace existing",
        ),
    ),
    (
        Reason.UNDERPRICED,
        (
            "underpriced",
            "fee too low",
            "less than block base fee",
            "below current base fee",
            "below configured minimum",
            "below the minimum",
            "less than the block s base fee",
            # A node from before London, or the other way round: fees of the other kind are due.
            "eip 1559 style fee params",
            "transaction type not supported",
            "invalid transaction type",
        ),
    ),
    (
        Reason.FUNDS,
        (
            "insufficient funds",
            "enough funds",
            "upfront cost exceeds",
            "insufficient balance",
            "not enough cash",
        ),
    ),
    (
        Reason.IMPOSSIBLE,
        (
            "exceeds block gas limit",
            "greater than the block gas limit",
            "intrinsic gas too high",
            "intrinsic gas too low",
            "intrinsic gas exceeds",
            "gas limit reached",
            "gas limit exceeded",
            "gas limit is too high",
            "exceeds maximum per transaction gas limit",
            "gas limit too high",
            "oversized data",
            "max initcode size exceeded",
            "max tx size exceeded",
        ),
    ),
    (
        Reason.CHAIN_ID,
        (
            "invalid chain id",
            "wrong chain id",
            "wrong chainid",
            "signed for another chain",
            "invalid sender",
        ),
    ),
)


def reason_of(error: RpcError) -> Reason:
    """The reason in a node's answer to `eth_sendRawTransaction`."""
    said = _letters(error.text)
    for reason, texts in _PLAIN:
        if any(text in said for text in texts):
            return reason
    return Reason.UNKNOWN


def _letters(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


_PLAIN = tuple((reason, tuple(_letters(text) for text in texts)) for reason, texts in _WORDS)
