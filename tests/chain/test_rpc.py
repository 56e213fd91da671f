"""What the node says wrongly, or not at all, is one named error in one line."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.chain.nodes import Calls, Relay, Reply, each, refusal
from tests.roles.programs import start

from medledger.chain.contract import Call
from medledger.chain.local import LocalChain, free_port
from medledger.chain.rpc import BATCH, Rpc, chunked
from medledger.chain.sender import Sender
from medledger.core.hashing import keccak256
from medledger.errors import RpcError, RpcUnavailable, WrongChain

NOBODY = "0x" + 40 * "1"

ASKING: dict[str, Callable[[Rpc], Any]] = {
    "chain_id": Rpc.chain_id,
    "block_number": Rpc.block_number,
    "block": lambda rpc: rpc.block("latest"),
    "genesis_hash": Rpc.genesis_hash,
    "code": lambda rpc: rpc.code(NOBODY),
    "timestamps": lambda rpc: rpc.timestamps([0, 1]),
    "batch": lambda rpc: rpc.batch([("eth_chainId", []), ("eth_blockNumber", [])]),
}


@pytest.fixture
def node() -> Iterator[Relay]:
    """A node without a chain, which answers what a test tells it to."""
    with Relay() as relay:
        yield relay


def assert_one_line(error: pytest.ExceptionInfo[RpcUnavailable], url: str) -> None:
    assert "\n" not in str(error.value)
    assert url in str(error.value)
    assert error.value.hint


# A node that is not there


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_ask__nothing_listens__says_so(asking: Callable[[Rpc], Any]) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(RpcUnavailable, match="nothing listens there") as error:
        asking(Rpc(url))

    assert_one_line(error, url)


@pytest.mark.parametrize(
    "url",
    [
        "hello",
        "",
        "127.0.0.1:8545",
        "ftp://127.0.0.1",
        "ws://127.0.0.1:8545",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://a host",
    ],
)
def test_ask__no_http_address__says_so(url: str) -> None:
    with pytest.raises(RpcUnavailable, match="not an HTTP address") as error:
        Rpc(url).chain_id()

    assert_one_line(error, url)


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_ask__the_node_hangs__takes_too_long(asking: Callable[[Rpc], Any], node: Relay) -> None:
    over = threading.Event()
    node.before = lambda calls: over.wait(20) and 503

    with pytest.raises(RpcUnavailable, match="took too long") as error:
        asking(Rpc(node.url, timeout_seconds=0.05))

    over.set()
    assert_one_line(error, node.url)


# A node that answers badly


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503])
@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_ask__an_http_error__names_the_status(
    asking: Callable[[Rpc], Any], status: int, node: Relay
) -> None:
    node.before = lambda calls: status

    with pytest.raises(RpcUnavailable, match=f"HTTP {status}") as error:
        asking(Rpc(node.url))

    assert_one_line(error, node.url)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"{",
        b"\xff\xfe\x00",
        b"null",
        b"5",
        b'"0x1"',
        b"[]",
        b"{}",
        b"[1,2]",
        b"[null,null]",
        b"[{},{}]",
        b'{"jsonrpc":"2.0","id":1}',
        b'[{"id":1,"result":"0x1"},{"id":"a","result":"0x1"}]',
        b'{"result":' + 100_000 * b"[",
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
@pytest.mark.filterwarnings("ignore:Received batch response:RuntimeWarning")
@pytest.mark.usefixtures("no_collecting")
def test_ask__garbage__is_no_answer(asking: Callable[[Rpc], Any], body: bytes, node: Relay) -> None:
    node.before = lambda calls: body

    with pytest.raises(RpcUnavailable) as error:
        asking(Rpc(node.url))

    assert_one_line(error, node.url)


@pytest.mark.parametrize("result", ["null", '"hello"', "5", "[]", "{}", "true"])
@pytest.mark.parametrize("name", sorted(ASKING.keys() - {"batch", "block"}))
def test_ask__json_rpc_of_something_else__is_no_answer(name: str, result: str, node: Relay) -> None:
    def answer(calls: Calls) -> bytes:
        items = [f'{{"jsonrpc":"2.0","id":{call["id"]},"result":{result}}}' for call in calls]
        return (f"[{','.join(items)}]" if name == "timestamps" else items[0]).encode()

    node.before = answer

    with pytest.raises(RpcUnavailable) as error:
        ASKING[name](Rpc(node.url))

    assert_one_line(error, node.url)


@pytest.mark.parametrize(
    "answer",
    [b"[]", b'[{"id":0,"result":"0x1"}]', b'{"id":null,"error":{"code":-32005,"message":"no"}}'],
    ids=["none", "one of two", "refused"],
)
def test_batch__a_node_without_batches__says_so(answer: bytes, node: Relay) -> None:
    node.before = lambda calls: answer

    with pytest.raises(RpcUnavailable, match="does not answer batches") as error:
        ASKING["batch"](Rpc(node.url))

    assert_one_line(error, node.url)


# Errors that a node is right to answer


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ('{"code":-32601,"message":"no such method"}', (-32601, "no such method", "")),
        (
            '{"code":3,"message":"execution reverted","data":"0x1234"}',
            (3, "execution reverted", "0x1234"),
        ),
        (
            '{"code":-32000,"message":"revert","data":{"hash":"0x9","result":"0x12"}}',
            (-32000, "revert", "0x12"),
        ),
        ('{"code":-32015,"message":"m","data":"Reverted 0x12"}', (-32015, "m", "")),
        ('{"code":-32000,"message":"m","data":null}', (-32000, "m", "")),
        ('{"code":-32000,"message":"m","data":[1]}', (-32000, "m", "")),
        ('"just words"', (0, "just words", "")),
        ('{"message":"no code"}', (0, "no code", "")),
        ('{"code":"E17","message":"a code in words"}', (0, "a code in words", "")),
        ('{"code":null,"message":"no code"}', (0, "no code", "")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_request__the_node_answers_an_error__rpc_error_with_its_parts(
    error: str, expected: tuple[int, str, str], node: Relay
) -> None:
    node.before = lambda calls: f'{{"jsonrpc":"2.0","id":1,"error":{error}}}'.encode()

    with pytest.raises(RpcError) as caught:
        Rpc(node.url).request("eth_call")

    assert (caught.value.values["code"], caught.value.text, caught.value.data) == expected


def test_batch__one_request_fails__has_its_error_in_its_place(anvil: LocalChain) -> None:
    asked = [("eth_chainId", []), ("eth_nonsense", []), ("eth_chainId", [])]

    first, second, third = Rpc(anvil.url).batch(asked)

    assert first == third == "0x7a69"
    assert isinstance(second, RpcError)
    assert re.search("not found", second.text, re.I)


def test_batch__answers_in_another_order__are_put_in_the_order_asked(anvil: LocalChain) -> None:
    asked: list[tuple[str, list[Any]]] = [("eth_chainId", []), ("eth_getCode", [NOBODY, "latest"])]
    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: json.dumps(json.loads(body)[::-1]).encode()

        found = Rpc(relay.url).batch(asked)

    assert found == ["0x7a69", "0x"]


def test_batch__more_than_one_body_takes__is_asked_in_parts(anvil: LocalChain) -> None:
    sizes: list[int] = []
    with Relay(anvil.url) as relay:
        relay.before = lambda calls: sizes.append(len(calls))

        found = Rpc(relay.url).batch([("eth_chainId", [])] * (2 * BATCH + 1))

    assert found == ["0x7a69"] * (2 * BATCH + 1)
    assert sizes == [BATCH, BATCH, 1]


def test_batch__of_nothing__asks_nothing(node: Relay) -> None:
    assert Rpc(node.url).batch([]) == []
    assert node.seen == []


# Whose answer it is


@pytest.mark.filterwarnings("ignore:Received batch response with missing")
@pytest.mark.parametrize("wrong", [0, None, "1", "absent"])
def test_request__the_answer_to_another_request__is_not_believed(
    wrong: object, anvil: LocalChain
) -> None:
    def renumbered(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        del answer["id"]
        return answer if wrong == "absent" else answer | {"id": wrong}

    with Relay(anvil.url) as relay:
        rpc = Rpc(relay.url)
        relay.after = lambda calls, body: each(calls, body, renumbered)
        for ask in (rpc.chain_id, lambda: rpc.batch([("eth_chainId", [])] * 2)):
            with pytest.raises(RpcUnavailable, match="it answers another request"):
                ask()
        relay.after = lambda calls, body: body

        assert rpc.chain_id() == 31337


def test_request__by_a_process_that_was_forked__each_gets_its_own_answers(
    anvil: LocalChain,
) -> None:
    rpc = Rpc(anvil.url)
    asked_by = {"parent": "0x01", "child": "0x02"}
    expected = {
        who: "0x" + keccak256(bytes.fromhex(data[2:])).hex() for who, data in asked_by.items()
    }

    def ask(who: str) -> None:
        found = {rpc.request("web3_sha3", asked_by[who]) for _ in range(200)}
        assert found == {expected[who]}

    ask("parent")
    child_ends = start(lambda: ask("child"))
    ask("parent")

    assert child_ends() == 0


# Blocks


def test_timestamps__blocks_asked_twice__each_once_and_right(rpc: Rpc) -> None:
    rpc.request("evm_increaseTime", 1000)
    rpc.request("evm_mine")
    last = rpc.block_number()

    times = rpc.timestamps([last, last - 1, last])

    assert list(times) == [last - 1, last]
    assert times[last] == int(rpc.block(last)["timestamp"], 16)
    assert times[last] - times[last - 1] >= 1000


def test_block__that_the_node_lacks__is_unavailable_and_named(rpc: Rpc) -> None:
    with pytest.raises(RpcUnavailable, match="it has no block 999999"):
        rpc.block(999_999)
    with pytest.raises(RpcUnavailable, match="it has no block 999999"):
        rpc.timestamps([0, 999_999])


def test_chunked__seven_items_by_three__three_three_one() -> None:
    assert list(chunked(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunked([], 3)) == []


# No request is sent twice


@pytest.mark.parametrize("failure", ["502", "hang", "garbage"])
def test_request__a_transaction_whose_answer_is_lost__is_sent_once(
    failure: str, rpc: Rpc, anvil: LocalChain
) -> None:
    forwarded, over = threading.Event(), threading.Event()
    sender = Sender(rpc, keccak256(b"a key that no institution knows"))
    intent = sender.intent(Call(NOBODY, b"", "nothing"), 30_000)
    signed = sender.journal.add(sender.address, intent, sender.signing(intent))

    def lose(calls: Calls, answer: bytes) -> Reply:
        forwarded.set()
        if failure == "hang":
            over.wait(20)
        return b"<html>" if failure == "garbage" else 502

    with Relay(anvil.url) as relay:
        relay.after = lose

        with pytest.raises(RpcUnavailable):
            # web3 would send this method again by itself.
            Rpc(relay.url, timeout_seconds=0.5).request(
                "eth_sendRawTransaction", "0x" + signed.attempts[0].raw.hex()
            )
        assert forwarded.wait(20)
        over.set()

        assert relay.methods() == ["eth_sendRawTransaction"]
    assert sender.settle([signed.id])[signed.id].kind == "final"


# Several nodes


def away() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("form", ["text", "sequence"])
def test_request__the_first_node_is_away__the_next_answers_and_is_kept(
    form: str, anvil: LocalChain, caplog: pytest.LogCaptureFixture
) -> None:
    first = away()
    rpc = Rpc(f"{first}, {anvil.url}" if form == "text" else [first, anvil.url])

    found = [rpc.chain_id(), rpc.chain_id()]

    assert found == [31337, 31337]
    assert rpc.url == anvil.url
    assert caplog.text.count("going on with") == 1


def test_batch__a_node_that_hangs__the_next_answers(anvil: LocalChain, node: Relay) -> None:
    over = threading.Event()
    node.before = lambda calls: over.wait(20) and 503

    found = Rpc([node.url, anvil.url], timeout_seconds=0.05).batch([("eth_chainId", [])] * 2)

    over.set()
    assert found == ["0x7a69", "0x7a69"]


def test_request__a_node_that_refuses__is_believed(anvil: LocalChain, node: Relay) -> None:
    node.before = lambda calls: [refusal(calls[0], "nonce too low")]

    with pytest.raises(RpcError, match="nonce too low"):
        Rpc([node.url, anvil.url]).request("eth_sendRawTransaction", "0x00")


def test_request__no_node_answers__unavailable_and_names_one(node: Relay) -> None:
    node.before = lambda calls: 503
    rpc = Rpc([away(), node.url])

    with pytest.raises(RpcUnavailable) as error:
        rpc.chain_id()

    assert "\n" not in str(error.value)
    assert rpc.urls[0] in str(error.value)


def test_request__a_node_that_comes_back__is_used_again(anvil: LocalChain) -> None:
    with Relay(anvil.url) as first, Relay(anvil.url) as second:
        rpc = Rpc([first.url, second.url])
        first.before = lambda calls: 503
        rpc.chain_id()
        first.before, second.before = (lambda calls: None), (lambda calls: 503)

        assert rpc.chain_id() == 31337

    assert rpc.url == first.url


# Identity


def is_chain(chain_id: int) -> Callable[[Rpc], None]:
    def check(node: Rpc) -> None:
        found = node.chain_id()
        if found != chain_id:
            raise WrongChain(expected=chain_id, url=node.url, found=found)

    return check


def answering_chain(relay: Relay, chain_id: int) -> None:
    relay.after = lambda calls, body: each(
        calls,
        body,
        lambda call, answer: (
            answer | {"result": hex(chain_id)} if call["method"] == "eth_chainId" else answer
        ),
    )


def test_require_identity__the_first_node_is_another_chain__the_next_is_used(
    anvil: LocalChain, caplog: pytest.LogCaptureFixture
) -> None:
    with Relay(anvil.url) as another:
        answering_chain(another, 5)
        rpc = Rpc([another.url, anvil.url])

        rpc.require_identity(is_chain(31337))

        assert rpc.url == anvil.url
        assert "expected 31337" in caplog.text
        assert another.methods() == ["eth_chainId"]


def test_require_identity__no_node_passes__wrong_chain_and_nothing_is_required(
    anvil: LocalChain,
) -> None:
    rpc = Rpc(anvil.url)

    with pytest.raises(WrongChain):
        rpc.require_identity(is_chain(5))

    assert rpc.chain_id() == 31337
    assert not rpc.distrust()


def test_request__a_node_fails_and_the_next_is_another_chain__is_not_asked(
    anvil: LocalChain,
) -> None:
    with Relay(anvil.url) as first, Relay(anvil.url) as another:
        rpc = Rpc([first.url, another.url])
        rpc.require_identity(is_chain(31337))
        answering_chain(another, 5)
        first.before = lambda calls: 503

        # The first may come back: trying again can help.
        with pytest.raises(RpcUnavailable):
            rpc.block_number()

        assert another.methods() == ["eth_chainId"]


def test_request__a_node_came_back_as_another_chain__wrong_chain(anvil: LocalChain) -> None:
    with Relay(anvil.url) as relay:
        rpc = Rpc(relay.url)
        rpc.require_identity(is_chain(31337))
        relay.before = lambda calls: 503
        with pytest.raises(RpcUnavailable):
            rpc.block_number()
        relay.before = lambda calls: None
        answering_chain(relay, 5)

        with pytest.raises(WrongChain):
            rpc.block_number()

        assert relay.methods()[-1] == "eth_chainId"


def test_request__after_a_failure__the_identity_is_compared_once(anvil: LocalChain) -> None:
    with Relay(anvil.url) as relay:
        rpc = Rpc(relay.url)
        rpc.require_identity(is_chain(31337))
        assert rpc.distrust()

        rpc.block_number()
        rpc.block_number()

        assert relay.methods().count("eth_chainId") == 2


# Passwords


@pytest.mark.parametrize(
    "url", ["http://user:secret@{}", "http://user:se/cret@{}", "http://key@{}"]
)
def test_url__with_user_and_password__no_message_shows_them(url: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    rpc = Rpc(url.format(place))

    with pytest.raises(RpcUnavailable) as error:
        rpc.chain_id()

    assert place in rpc.url
    for text in (rpc.url, str(error.value), str(error.value.values)):
        assert not {"user", "secret", "se", "cret", "key"} & set(re.split("[:@/, ]", text))
    assert rpc.urls == (url.format(place),)


def test_request__with_user_and_password__the_node_gets_them(node: Relay) -> None:
    seen: list[str | None] = []
    node.before = lambda calls: [{"jsonrpc": "2.0", "id": calls[0]["id"], "result": "0x1"}]
    node.headers = lambda headers: seen.append(headers["Authorization"])

    Rpc(node.url.replace("//", "//user:secret@")).chain_id()

    assert seen == ["Basic dXNlcjpzZWNyZXQ="]


def test_each__change_of_one_answer__leaves_the_others(anvil: LocalChain) -> None:
    """The relay itself: what it changes, and that it changes nothing else."""

    def no_code(call: dict[str, Any], answer: Any) -> Any:
        return refusal(call, "no") if call["method"] == "eth_getCode" else answer

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, no_code)

        found = Rpc(relay.url).batch([("eth_chainId", []), ("eth_getCode", [NOBODY, "latest"])])

    assert found[0] == "0x7a69"
    assert isinstance(found[1], RpcError)
