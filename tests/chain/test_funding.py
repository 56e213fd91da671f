"""Gas money: given where gas costs, on chains of before and after London."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chain.nodes import Relay, each, give_ether, plain_anvil
from tests.chain.senders import key_named

from medledger.chain.funding import fund
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Sender
from medledger.errors import KeyMissing

pytestmark = pytest.mark.anvil

NEEDS = {address_of(key_named("one")): 21_000, address_of(key_named("two")): 42_000}


def balances(rpc: Rpc) -> list[int]:
    return [int(rpc.request("eth_getBalance", address, "latest"), 16) for address in NEEDS]


@pytest.mark.parametrize("hardfork", ["london", "berlin"])
@pytest.mark.parametrize("who", ["a funder", "the node's account"])
def test_fund__a_chain_with_fees__each_gets_what_its_gas_may_cost(who: str, hardfork: str) -> None:
    with plain_anvil("--hardfork", hardfork) as url:
        rpc = Rpc(url)
        funder = Sender(rpc, key_named("funder"))
        give_ether(rpc, [funder.address])

        given = fund(rpc, NEEDS, funder if who == "a funder" else None)

        first, second = balances(rpc)
    assert first > 0
    assert second == 2 * first
    assert given == first + second


def test_fund__a_chain_without_fees__gives_nothing() -> None:
    with LocalChain() as chain:
        rpc = Rpc(chain.url)

        assert fund(rpc, NEEDS, None) == 0
        assert balances(rpc) == [0, 0]


def test_fund__a_node_without_accounts__key_missing() -> None:
    def none(call: dict[str, Any], answer: Any) -> Any:
        return answer | {"result": []} if call["method"] == "eth_accounts" else answer

    with plain_anvil() as url, Relay(url) as relay:
        relay.after = lambda calls, body: each(calls, body, none)

        with pytest.raises(KeyMissing):
            fund(Rpc(relay.url), NEEDS, None)
