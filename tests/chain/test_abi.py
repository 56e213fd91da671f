"""Calls, results, events and refusals, each compared with web3's own encoder."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from hexbytes import HexBytes
from tests.chain.abi_samples import (
    Item,
    canonical_type,
    contract_of_web3,
    entries,
    named,
    samples,
)

from medledger.chain import abi
from medledger.core.hashing import keccak256
from medledger.errors import REFUSALS, NumberSkipped, UnknownRefusal

FUNCTIONS = list(entries("function"))
EVENTS = list(entries("event"))
ERRORS = list(entries("error"))


# Functions


@pytest.mark.parametrize("function", FUNCTIONS, ids=named)
def test_encode__a_call__is_what_web3_encodes(function: tuple[str, Item]) -> None:
    contract, entry = function
    arguments = samples(entry["inputs"])

    encoded = abi.functions(contract)[entry["name"]].encode(arguments)

    expected = contract_of_web3(contract).encode_abi(entry["name"], args=arguments)
    assert encoded == HexBytes(expected)


@pytest.mark.parametrize("function", FUNCTIONS, ids=named)
def test_decode__results__are_the_values_that_were_encoded(function: tuple[str, Item]) -> None:
    contract, entry = function
    values = samples(entry["outputs"])
    data = encode([canonical_type(item) for item in entry["outputs"]], values)

    found = abi.functions(contract)[entry["name"]].decode(data)

    assert normal(found) == normal(values)


def test_decode__results_cut_short__decoding_error() -> None:
    function = abi.functions("Invoices")["reversedBy"]

    with pytest.raises(DecodingError):
        function.decode(bytes(31))


def test_functions__of_each_contract__none_is_overloaded() -> None:
    for contract in abi.CONTRACTS:
        names = [entry["name"] for owner, entry in FUNCTIONS if owner == contract]

        assert len(names) == len(set(names)) == len(abi.functions(contract))


def test_constructor_data__of_each_contract__is_what_web3_encodes() -> None:
    for contract, entry in entries("constructor"):
        arguments = samples(entry["inputs"])
        bytecode = abi.artifact(contract)["bytecode"]

        data = abi.constructor_data(contract, arguments)

        kinds = [canonical_type(item) for item in entry["inputs"]]
        assert data == HexBytes(bytecode) + encode(kinds, arguments)


# Events


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_decode__an_event__is_what_web3_decodes(event: tuple[str, Item]) -> None:
    contract, entry = event
    values = dict(zip([i["name"] for i in entry["inputs"]], samples(entry["inputs"]), strict=True))
    topics, data = log_of(entry, values)

    found = abi.events()[topics[0]].decode(topics, data)

    log = {
        "topics": [HexBytes(topic) for topic in topics],
        "data": HexBytes(data),
        "address": "0x" + 40 * "1",
        "blockNumber": 1,
        "blockHash": HexBytes(bytes(32)),
        "transactionHash": HexBytes(bytes(32)),
        "transactionIndex": 0,
        "logIndex": 0,
    }
    theirs = contract_of_web3(contract).events[entry["name"]]().process_log(log)
    assert normal(found) == normal(dict(theirs["args"]))
    assert normal(found) == normal(values)


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_event_topic__of_a_name__is_its_signatures_hash(event: tuple[str, Item]) -> None:
    _, entry = event

    topic = abi.event_topic(entry["name"])

    types = ",".join(canonical_type(item) for item in entry["inputs"])
    assert topic == "0x" + keccak256(f"{entry['name']}({types})".encode()).hex()


def test_events__of_all_contracts__one_name_has_one_signature() -> None:
    names = [event.name for event in abi.events().values()]

    assert len(names) == len(set(names))


# Refusals


@pytest.mark.parametrize("error", ERRORS, ids=named)
def test_refusal__revert_data_of_each_error__is_its_class_with_its_arguments(
    error: tuple[str, Item],
) -> None:
    _, entry = error
    values = samples(entry["inputs"])
    data = revert_data(entry, values)

    found = abi.refusal("0x" + data.hex())

    assert type(found) is REFUSALS[entry["name"]]
    assert list(found.values) == [item["name"] for item in entry["inputs"]]
    assert list(found.values.values()) == values


def test_refusal__one_word_of_data_too_many__is_still_the_error() -> None:
    (_, entry), *_ = [pair for pair in ERRORS if pair[1]["name"] == "NumberSkipped"]
    data = revert_data(entry, [7, 5]) + bytes(32)

    found = abi.refusal("0x" + data.hex())

    assert isinstance(found, NumberSkipped)
    assert found.values == {"number": 7, "next": 5}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0x",
        "0x12345678",
        "0x08c379a0" + encode(["string"], ["a reason in words"]).hex(),
        "0x4e487b71" + encode(["uint256"], [0x11]).hex(),
        "0x" + (keccak256(b"NumberSkipped(uint64,uint64)")[:4] + bytes(63)).hex(),
    ],
    ids=["none", "empty", "other selector", "Error(string)", "Panic", "cut short"],
)
def test_refusal__data_that_no_error_has__is_unknown_and_shows_a_bounded_part(data: str) -> None:
    found = abi.refusal(data)

    assert isinstance(found, UnknownRefusal)
    assert len(str(found)) < 160
    assert "\n" not in str(found)


# The artifacts


@pytest.mark.parametrize("contract", abi.CONTRACTS)
def test_artifact__of_each_contract__has_linked_code_within_the_limit(contract: str) -> None:
    loaded = abi.artifact(contract)

    runtime = bytes.fromhex(loaded["deployedBytecode"].removeprefix("0x"))

    assert loaded["contractName"] == contract
    assert 0 < len(runtime) <= 24_576  # EIP-170
    assert len(bytes.fromhex(loaded["bytecode"].removeprefix("0x"))) <= 49_152  # EIP-3860


def log_of(entry: Item, values: dict[str, object]) -> tuple[list[str], str]:
    """Topics and data of an event."""
    types = ",".join(canonical_type(item) for item in entry["inputs"])
    topics = [keccak256(f"{entry['name']}({types})".encode())]
    plain = []
    for item in entry["inputs"]:
        if item["indexed"]:
            topics.append(encode([item["type"]], [values[item["name"]]]))
        else:
            plain.append(item)
    data = encode([canonical_type(i) for i in plain], [values[i["name"]] for i in plain])
    return ["0x" + topic.hex() for topic in topics], "0x" + data.hex()


def revert_data(entry: Item, values: list[object]) -> bytes:
    kinds = [canonical_type(item) for item in entry["inputs"]]
    data = keccak256(f"{entry['name']}({','.join(kinds)})".encode())[:4] + encode(kinds, values)
    assert list(decode(kinds, data[4:])) or not kinds
    return data


def normal(value: object) -> object:
    """Lists and tuples alike."""
    if isinstance(value, dict):
        return {key: _members(item) for key, item in value.items()}
    return _members(value)


def _members(value: object) -> object:
    if isinstance(value, dict):  # a struct as web3 gives it
        return [_members(item) for item in value.values()]
    if isinstance(value, list | tuple):
        return [_members(item) for item in value]
    return bytes(value) if isinstance(value, bytes) else value


def test_members__of_an_event__are_found_by_name_with_their_place() -> None:
    assert abi.members("InvoiceExchanged", ("paperHash", "nothing")) == (("paperHash", (1,)),)
    assert abi.members("Paused", ("paperHash",)) == ()


def test_walk__a_struct_within_a_struct__each_member_has_its_path() -> None:
    inner = {"name": "inner", "type": "tuple", "components": [{"name": "deep", "type": "bool"}]}
    outer = {"name": "outer", "type": "tuple", "components": [{"name": "a", "type": "bool"}, inner]}

    assert list(abi._walk([outer])) == [
        ("outer", (0,)),
        ("a", (0, 0)),
        ("inner", (0, 1)),
        ("deep", (0, 1, 0)),
    ]


# Numbers of calls


def test_numbers_of_call__calls_in_calls__are_all_looked_at() -> None:
    known = abi.functions("Prescriptions")
    inner = [known["cancel"].encode((1, number, 0)) for number in (7, 8)]
    nested = known["multicall"].encode(([known["multicall"].encode((inner,))],))

    assert abi.numbers_of_call("Prescriptions", nested) == {7, 8}


@pytest.mark.parametrize("function", ["reverse", "lockAndSettleMany"])
def test_numbers_of_call__of_bills__also_those_of_lists(function: str) -> None:
    contract = "Invoices" if function == "reverse" else "Claims"
    (entry,) = (e for c, e in entries("function") if (c, e["name"]) == (contract, function))
    given = samples(entry["inputs"])

    found = abi.numbers_of_call(contract, abi.functions(contract)[function].encode(given))

    by_name = dict(zip([item["name"] for item in entry["inputs"]], given, strict=True))
    assert found == (
        {by_name["number"]}
        if function == "reverse"
        else {header[0] for header in by_name["headers"]}
    )


@pytest.mark.parametrize(
    "call", [b"", b"?", bytes(4), abi.functions("Prescriptions")["cancel"].selector + b"short"]
)
def test_numbers_of_call__of_bytes_that_are_no_call__are_none(call: bytes) -> None:
    assert abi.numbers_of_call("Prescriptions", call) == set()


def twice(call: bytes) -> bytes:
    """A multicall of two calls that are the same bytes."""
    words = (32, 2, 64, 64, len(call))
    padding = bytes(-len(call) % 32)
    selector = abi.functions("Prescriptions")["multicall"].selector
    return selector + b"".join(word.to_bytes(32) for word in words) + call + padding


def test_numbers_of_call__calls_that_overlap__do_not_double_without_end() -> None:
    call = abi.functions("Prescriptions")["cancel"].encode((1, 7, 0))
    assert abi.numbers_of_call("Prescriptions", twice(call)) == {7}

    for _ in range(64):
        call = twice(call)

    assert abi.numbers_of_call("Prescriptions", call) == set()
