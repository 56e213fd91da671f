"""How nodes word why they refuse a transaction."""

from __future__ import annotations

import pytest

from medledger.chain.sender.refused import Reason, reason_of
from medledger.errors import RpcError

# From the sources of geth (core/error.go, core/txpool/errors.go), Besu (RpcErrorType), Erigon
# (txpoolcfg), Nethermind (AcceptTxResult), Anvil (eth/error.rs), Ganache 7 and FISCO BCOS 3
# (TransactionStatus).
WORDS: dict[Reason, dict[str, list[str]]] = {
    Reason.KNOWN: {
        "geth": ["already known", "known transaction: 0x12"],
        "besu": ["Known transaction"],
        "erigon": ["existing tx with same hash", "already known"],
        "nethermind": ["AlreadyKnown", "already known"],
        "anvil": ["transaction already imported", "Tx: [0x12] already Imported"],
        "ganache": ["transaction already in pool"],
        "fisco-bcos": ["AlreadyInTxPool", "TxAlreadyInChain"],
    },
    Reason.NONCE_LOW: {
        "geth": ["nonce too low", "nonce too low: next nonce 5, tx nonce 4"],
        "besu": ["Nonce too low"],
        "erigon": ["nonce too low"],
        "nethermind": ["OldNonce, Current nonce: 5, nonce of rejected tx: 4", "nonce too low"],
        "anvil": ["nonce too low"],
        "ganache": [
            "the tx doesn't have the correct nonce. account has nonce of: 1 tx has nonce of: 0"
        ],
        "fisco-bcos": ["NonceCheckFail"],
    },
    Reason.NONCE_HIGH: {
        "geth": ["nonce too high", "gapped-nonce tx from delegated accounts"],
        "besu": ["Nonce too high", "Transaction nonce is too distant from current sender nonce"],
        "erigon": ["nonce too distant"],
        "nethermind": ["NonceGap", "NonceTooFarInFuture", "nonce too high"],
        "anvil": ["Nonce too high"],
    },
    Reason.REPLACEMENT: {
        "geth": ["replacement transaction underpriced"],
        "besu": ["Replacement transaction underpriced"],
        "erigon": [
            "replacement transaction underpriced",
            "could not replace existing tx",
        ],
        "nethermind": ["ReplacementNotAllowed", "replacement transaction underpriced"],
        "anvil": ["Tx: [0x12] insufficient gas price to replace existing transaction"],
        "ganache": ["replacement transaction underpriced"],
    },
    Reason.UNDERPRICED: {
        "geth": [
            "transaction underpriced",
            "max fee per gas less than block base fee: address 0x12, maxFeePerGas: 1, baseFee: 2",
            "transaction type not supported",
        ],
        "besu": [
            "Gas price below configured minimum gas price",
            "Gas price below current base fee",
        ],
        "erigon": ["underpriced", "fee too low"],
        "nethermind": ["FeeTooLow", "FeeTooLowToCompete"],
        "anvil": [
            "max fee per gas less than block base fee",
            "EIP-1559 style fee params (maxFeePerGas or maxPriorityFeePerGas) received but they "
            "are not supported by the current hardfork.",
        ],
    },
    Reason.FUNDS: {
        "geth": ["insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1"],
        "besu": ["Upfront cost exceeds account balance"],
        "erigon": ["insufficient funds"],
        "nethermind": ["InsufficientFunds, Account balance: 0, cumulative cost: 1"],
        "anvil": ["Insufficient funds for gas * price + value", "insufficient funds for transfer"],
        "ganache": [
            "insufficient funds for gas * price + value",
            "sender doesn't have enough funds",
        ],
        "fisco-bcos": ["NotEnoughCash", "InsufficientFunds"],
    },
    Reason.IMPOSSIBLE: {
        "geth": [
            "exceeds block gas limit",
            "intrinsic gas too low: gas 1, minimum needed 21000",
            "oversized data: transaction size 1, limit 2",
            "max initcode size exceeded",
        ],
        "besu": [
            "Transaction gas limit exceeds block gas limit",
            "Intrinsic gas exceeds gas limit",
        ],
        "erigon": ["gas limit is too high"],
        "nethermind": ["GasLimitExceeded, Gas limit: 1, gas limit of rejected tx: 2"],
        "anvil": [
            "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",
            "Transaction gas limit is greater than the block gas limit, gas_limit: 2, cap: 1",
        ],
        "ganache": ["exceeds block gas limit"],
    },
    Reason.CHAIN_ID: {
        "geth": ["invalid chain id for signer: have 5 want 1", "invalid sender"],
        "besu": ["Wrong chainId"],
        "anvil": [
            "invalid chain id for signer",
            "Incompatible EIP-155 transaction, signed for another chain",
        ],
        "fisco-bcos": ["InvalidChainId"],
    },
    Reason.UNKNOWN: {
        "geth": ["txpool is full", "in-flight transaction limit reached for delegated accounts"],
        "besu": ["Timeout expired", "Internal error", "Initial sync is still in progress"],
        "nethermind": ["Syncing"],
        "any": ["", "request timeout"],
    },
}


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        pytest.param(reason, words, id=f"{node}: {words[:40]}")
        for reason, nodes in WORDS.items()
        for node, texts in nodes.items()
        for words in texts
    ],
)
def test_reason_of__the_words_of_a_node__their_class(reason: Reason, words: str) -> None:
    assert reason_of(RpcError(code=-32000, text=words, data="")) is reason
