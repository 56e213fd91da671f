"""What each act costs, held to `snapshots/gas.json`; `make snapshots` writes it anew.

Everything that has a price by the byte is fixed here: keys, secrets, times. So a figure changes
only when a contract or the compiler does, and then on purpose.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from medledger.chain import abi
from medledger.chain.bindings import SettlementToken
from medledger.chain.contract import Call
from medledger.chain.deployment import Ledgers, connect, deploy, deploy_token
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Sender
from medledger.core.acts import Act
from medledger.core.claims import ClaimTerms, Decision, Settlement
from medledger.core.documents import (
    Invoice,
    InvoiceLine,
    Licence,
    Party,
    Prescription,
    PrescriptionLine,
    Record,
)
from medledger.core.hashing import (
    ZERO_ADDRESS,
    AcceptAuthorisation,
    AccessGrant,
    AccessRevocation,
    BatchEndorsement,
    ClaimAuthorisation,
    DeliveryConfirmation,
    Header,
    InvoiceHeader,
    LicenceHeader,
    RecordHeader,
    TreeHead,
    checksum_address,
    keccak256,
    leaf_hash,
    name_hash,
)
from medledger.core.numbers import DocumentNumber, document_number
from medledger.core.patient_keys import PatientKey
from medledger.core.sealing import seal
from medledger.core.states import Kind
from medledger.core.tree import Tree, share_paths

SNAPSHOT = Path(__file__).parents[2] / "snapshots" / "gas.json"
START = 1_800_000_000
DEADLINE = 1_900_000_000
PATIENT = PatientKey.from_seed(bytes(range(32)))
BATCH = 1_000


def secret(text: str) -> bytes:
    return keccak256(text.encode())


class Meter:
    """Sends calls of fixed keys at fixed times and writes down what they cost."""

    def __init__(self, url: str) -> None:
        self.rpc = Rpc(url)
        self.time = START
        self.costs: dict[str, int] = {}
        self.senders: dict[str, Sender] = {}

    def tick(self) -> int:
        """The time of the next block."""
        self.time += 60
        self.rpc.request("evm_setNextBlockTimestamp", self.time)
        return self.time

    def act(self, role: str, call: Call, sentence: str | None = None) -> int:
        """The time at which the call was mined."""
        sender = self.senders.setdefault(role, Sender(self.rpc, secret(role)))
        time = self.tick()
        # A limit and no estimate: an estimate would be made for another time.
        intent = sender.intent(call, 12_000_000)
        sent = sender.journal.add(sender.address, intent, sender.signing(intent))
        receipt = sender.settle([sent.id])[sent.id].receipt
        assert receipt is not None
        if sentence is not None:
            self.costs[sentence] = receipt.gas_used
        return time


@pytest.fixture(scope="module")
def costs() -> Iterator[dict[str, int]]:
    with LocalChain(options=("--timestamp", str(START))) as chain:
        yield measure(chain.url)


def measure(url: str) -> dict[str, int]:
    meter = Meter(url)
    meter.tick()
    token = deploy_token(meter.rpc, secret("supervisor"))
    meter.tick()
    manifest, receipts = deploy(
        meter.rpc,
        secret("supervisor"),
        supervisor_name="supervisor",
        region=460000,
        token=token,
    )
    for receipt in receipts:
        meter.costs[f"deploy {receipt.call.name.removesuffix('.constructor')}"] = receipt.gas_used
    ledgers = connect(meter.rpc, manifest)
    kinds = {
        "hospital": Kind.HOSPITAL,
        "pharmacy": Kind.PHARMACY,
        "courier": Kind.COURIER,
        "payer": Kind.PAYER,
        "other payer": Kind.PAYER,
        "authority": Kind.AUTHORITY,
    }
    ids = {}
    for role, kind in kinds.items():
        call = ledgers.institutions.accredit(
            int(kind), 469023, name_hash(role), START, 2**40, address_of(secret(role))
        )
        meter.act("supervisor", call, "accredit an institution")
        ids[role] = ledgers.institutions.institution_count()
    allot = ledgers.invoices.allot(ids["hospital"], 46060126, 1, 10**6, False)
    meter.act("supervisor", allot, "allot a segment")
    allot = ledgers.prescriptions.allot(ids["hospital"], 46080126, 1, 10**6, False)
    meter.act("supervisor", allot)

    bill = Invoice(
        business_key="visit",
        patient_key=PATIENT.public,
        issued_at=datetime(2027, 1, 1, tzinfo=UTC),
        invoicing_party=Party("H", "hospital"),
        payer_party=Party("P", "patient", 1),
        currency="CNY",
        total_minor=10_000,
        own_pay_minor=10_000,
        lines=(InvoiceLine("01", "consultation", 10_000),),
    )
    first = document_number(46060126, 1)
    one = seal(bill, first, secret("one"))
    root = Tree([one.leaf]).root
    issue = ledgers.invoices.issue(1, first, 1, root)
    one_at = meter.act("hospital", issue, "issue a batch of one")
    many = [
        seal(
            replace(bill, business_key=f"visit {i}"),
            DocumentNumber(first + 1 + i),
            secret(f"bill {i}"),
        )
        for i in range(BATCH)
    ]
    tree = Tree([sealed.leaf for sealed in many])
    issue = ledgers.invoices.issue(1, first + 1, BATCH, tree.root)
    issued_at = meter.act("hospital", issue, f"issue a batch of {BATCH:,}")
    head = TreeHead(first + 1, BATCH, 1, issued_at)

    claim(meter, ledgers, ids, Bills([sealed.header for sealed in many], head, tree))
    meter.act("hospital", ledgers.invoices.hold(1, first + 600), "hold a bill")
    meter.act("hospital", ledgers.invoices.release(1, first + 600), "release a held bill")
    reverse = ledgers.invoices.reverse(1, first + 700, 1, first + 701, 1)
    meter.act("hospital", reverse, "reverse a bill")
    endorsed(meter, ledgers, ids["hospital"], one.header, TreeHead(first, 1, 1, one_at))

    prescribe(meter, ledgers, ids)
    license_(meter, ledgers, ids)
    keep_records(meter, ledgers, ids)
    return meter.costs


@dataclass(frozen=True)
class Bills:
    """A batch of bills."""

    headers: list[Header]
    head: TreeHead
    tree: Tree

    def header(self, index: int) -> InvoiceHeader:
        found = self.headers[index]
        assert isinstance(found, InvoiceHeader)
        return found

    def proof(self, index: int) -> tuple[InvoiceHeader, TreeHead, Sequence[bytes]]:
        return self.header(index), self.head, self.tree.path(index)


def claim(meter: Meter, ledgers: Ledgers, ids: dict[str, int], bills: Bills) -> None:
    claims, first = ledgers.claims, bills.head.first
    terms = ClaimTerms(4_000, DEADLINE, 0, False, ZERO_ADDRESS)
    decision = Decision(4_000, 1, secret("eob"), secret("payment"))
    off_chain = Settlement(terms, decision)

    def signature(payer: str, index: int, payee: str = ZERO_ADDRESS) -> bytes:
        message = ClaimAuthorisation(
            first + index,
            ids[payer],
            4_000,
            0,
            DEADLINE,
            payee=checksum_address(bytes.fromhex(payee[2:])),
        )
        return PATIENT.sign(message, "Invoice", ledgers.chain_id, claims.address)

    def lock(payer: str, index: int) -> Call:
        return claims.lock(*bills.proof(index), terms, signature(payer, index))

    def at_once(payer: str, indexes: range) -> Call:
        headers = [bills.header(index) for index in indexes]
        shared = share_paths({index: bills.tree.path(index) for index in indexes}, BATCH)
        signatures = [signature(payer, index) for index in indexes]
        return claims.lock_and_settle_many(
            headers, bills.head, shared, [off_chain] * len(indexes), signatures
        )

    meter.act("payer", lock("payer", 500), f"lock a bill of {BATCH:,}")
    meter.act("other payer", lock("other payer", 500), "lock a bill beside another lock")
    settle = claims.settle(first + 500, decision)
    meter.act("payer", settle, "settle beside another lock")
    meter.act("other payer", settle, "settle the last lock")
    meter.act("payer", lock("payer", 501))
    deny = claims.deny(first + 501, 1, secret("eob"))
    meter.act("payer", deny, "deny a lock")
    meter.act("payer", lock("payer", 502))
    withdraw = claims.withdraw(first + 502, ids["payer"], 1, 0, b"")
    meter.act("payer", withdraw, "withdraw a lock")
    meter.act("payer", claims.waive(first + 503, ids["payer"], 0, b""), "waive a payer")
    alone = claims.lock_and_settle(*bills.proof(800), off_chain, signature("payer", 800))
    meter.act("payer", alone, f"lock and settle a bill of {BATCH:,}")
    meter.act("payer", at_once("payer", range(100, 200)), "lock and settle 100 bills at once")
    meter.act("payer", at_once("payer", range(200, 400)), "lock and settle 200 bills at once")
    confirm = claims.confirm_payment(first + 800, ids["payer"], decision.payment, 1, 0, b"")
    meter.act("hospital", confirm, "confirm a payment")
    meter.act("payer", claims.book(first + 800), "book a claim")
    meter.act("payer", claims.revoke_booking(first + 800, 1), "revoke a booking")
    meter.act("payer", claims.book(first + 800))
    meter.act("payer", claims.archive(first + 800), "archive a claim")
    recoup = claims.recoup(first + 800, 1_000, 1, secret("eob"))
    meter.act("payer", recoup, "recoup part of a claim")
    meter.act("payer", claims.repay(first + 800, 1_000, secret("back")), "record a repayment")

    escrow = ledgers.escrow
    token = SettlementToken(meter.rpc, escrow.token())
    meter.act("supervisor", token.mint(address_of(secret("payer")), 10_000))
    meter.act("payer", token.approve(escrow.address, 10_000))
    meter.act("payer", escrow.deposit(10_000), "deposit settlement tokens")
    payee = address_of(secret("patient's own"))
    paid = Settlement(replace(terms, payee=payee), decision)
    call = claims.lock_and_settle(*bills.proof(801), paid, signature("payer", 801, payee))
    meter.act("payer", call, "lock, settle and pay in tokens")
    payments, account = ledgers.payments, address_of(secret("hospital's account"))
    meter.act("hospital", payments.set_account(account), "set a hospital's account")
    meter.act("supervisor", token.mint(address_of(secret("payer")), 100_000))
    meter.act("payer", token.approve(payments.address, 100_000))
    meter.act("payer", payments.pay(*bills.proof(802), account), f"pay a bill of {BATCH:,}")
    stated = payments.state(1, first + 803, 1_000, secret("reference"))
    meter.act("hospital", stated, "state a payment")
    meter.act("hospital", payments.withdraw(1, first + 803), "withdraw a statement")


def endorsed(
    meter: Meter, ledgers: Ledgers, hospital: int, original: Header, head: TreeHead
) -> None:
    """An endorsed batch: a partial red letter of the first bill; and that bill on paper before."""
    invoices, number = ledgers.invoices, original.number
    exchange = invoices.exchange_for_paper(1, number, secret("copy"))
    meter.act("hospital", exchange, "exchange a bill for paper")
    meter.act("hospital", invoices.void_paper(1, number), "void a paper bill")
    meter.act("supervisor", invoices.allot(hospital, 46060226, 1, 9, endorsed=True))
    assert isinstance(original, InvoiceHeader)
    first = document_number(46060226, 1)
    letter = replace(original, number=first, claimable=1_000, on_hold=True)
    root = leaf_hash(letter.struct_hash())
    message = BatchEndorsement(2, first, 1, root, DEADLINE)
    act = Act(message, ledgers.chain_id, invoices.address).signed(secret("supervisor"))
    issue = invoices.issue_endorsed(2, first, 1, root, DEADLINE, act.signer, act.signature)
    issued_at = meter.act("hospital", issue, "issue an endorsed batch")
    meter.act("hospital", invoices.open(original, head, ()))
    red_head = TreeHead(first, 1, 2, issued_at)
    reverse = invoices.reverse_part(1, number, 2, letter, red_head, (), 1)
    meter.act("hospital", reverse, "reverse part of a bill")
    meter.act("supervisor", invoices.withdraw(2, 1), "withdraw a segment")


def license_(meter: Meter, ledgers: Ledgers, ids: dict[str, int]) -> None:
    ledger = ledgers.licences
    meter.act("supervisor", ledger.allot(ids["authority"], 33080126, 1, 10**6, False))
    first = document_number(33080126, 1)
    licence = Licence(
        business_key="licence",
        holder_key=PATIENT.public,
        issued_at=datetime(2027, 1, 1, tzinfo=UTC),
        name="licence",
        licence_type=1,
        code="L",
        valid_from=START,
        valid_until=DEADLINE,
        issuing_authority=Party("A", "authority"),
        holder=Party("D", "prescriber", 1),
    )
    many = [seal(licence, DocumentNumber(first + i), secret(f"licence {i}")) for i in range(BATCH)]
    tree = Tree([item.leaf for item in many])
    issued_at = meter.act("authority", ledger.issue(1, first, BATCH, tree.root))
    head, number = TreeHead(first, BATCH, 1, issued_at), first + 500
    header = many[500].header
    assert isinstance(header, LicenceHeader)
    steps = (
        (ledger.open(header, head, tree.path(500)), f"open a licence of {BATCH:,}"),
        (ledger.suspend(1, number, 1), "suspend a licence"),
        (ledger.lift(1, number, 1), "lift a suspension"),
        (ledger.renew(1, number, DEADLINE + 1, 1), "renew a licence"),
        (ledger.revoke(1, number, 1), "revoke a licence"),
    )
    for call, sentence in steps:
        meter.act("authority", call, sentence)


def keep_records(meter: Meter, ledgers: Ledgers, ids: dict[str, int]) -> None:
    ledger = ledgers.records
    meter.act("supervisor", ledger.allot(ids["hospital"], 21020126, 1, 10**6, False))
    first = document_number(21020126, 1)
    record = Record(
        business_key="record",
        patient_key=PATIENT.public,
        authored_at=datetime(2027, 1, 1, tzinfo=UTC),
        record_type=1,
        hospital=Party("H", "hospital"),
        practitioner=Party("D", "prescriber", 1),
        patient=Party("P", "patient", 1),
    )
    amendment = replace(record, amends=first)
    both = [
        seal(record, first, secret("record")),
        seal(amendment, DocumentNumber(first + 1), secret("amendment")),
    ]
    tree = Tree([item.leaf for item in both])
    issued_at = meter.act("hospital", ledger.issue(1, first, 2, tree.root))
    head = TreeHead(first, 2, 1, issued_at)
    for place, sentence in enumerate(("open a record", "open an amendment")):
        header = both[place].header
        assert isinstance(header, RecordHeader)
        meter.act("hospital", ledger.open(header, head, tree.path(place)), sentence)
    reader = (first, ids["pharmacy"], 1)
    act = AccessGrant(*reader, 0, DEADLINE)
    signature = PATIENT.sign(act, "Record", ledgers.chain_id, ledger.address)
    meter.act("hospital", ledger.grant(*reader, DEADLINE, signature), "grant access")
    revocation = PATIENT.sign(
        AccessRevocation(*reader, 1), "Record", ledgers.chain_id, ledger.address
    )
    meter.act("hospital", ledger.revoke(*reader, revocation), "revoke access")
    day = meter.time // (24 * 3600)
    meter.act("hospital", ledger.anchor_reads(day - 1, 9, secret("reads")), "anchor the first day")
    meter.act("hospital", ledger.anchor_reads(day, 9, secret("reads")), "anchor another day")


def prescribe(meter: Meter, ledgers: Ledgers, ids: dict[str, int]) -> None:
    ledger = ledgers.prescriptions
    order = Prescription(
        business_key="order",
        patient_key=PATIENT.public,
        authored_at=datetime(2027, 1, 1, tzinfo=UTC),
        valid_until=DEADLINE,
        prescriber=Party("D", "prescriber", 1),
        patient=Party("P", "patient", 1),
        lines=(PrescriptionLine("A", "first drug", 20, "tablet"),),
    )
    first = document_number(46080126, 1)
    sealed = [seal(order, DocumentNumber(first + i), secret(f"order {i}")) for i in range(BATCH)]
    tree = Tree([item.leaf for item in sealed])
    issued_at = meter.act("hospital", ledger.issue(1, first, BATCH, tree.root))
    head = TreeHead(first, BATCH, 1, issued_at)
    chain_id = ledgers.chain_id

    def signature(message: AcceptAuthorisation | DeliveryConfirmation) -> bytes:
        return PATIENT.sign(message, "Prescription", chain_id, ledger.address)

    def life(index: int) -> dict[str, Call]:
        number = first + index
        act = signature(AcceptAuthorisation(number, ids["pharmacy"], 0, DEADLINE))
        confirmed = signature(DeliveryConfirmation(number, 2, (20, 0, 0, 0, 0), DEADLINE))
        proof = (sealed[index].header, head, tree.path(index))
        return {
            "accept": ledger.accept(*proof, DEADLINE, act),
            "dispense": ledger.dispense(number, [20], 0, secret("items"), secret("review")),
            "hand over": ledger.hand_over(number, ids["courier"]),
            "deliver": ledger.deliver(number, DEADLINE, confirmed),
        }

    apart = life(500)
    meter.act("pharmacy", apart["accept"], f"accept a prescription of {BATCH:,}")
    meter.act("pharmacy", apart["dispense"], "review and dispense")
    meter.act("pharmacy", apart["hand over"], "hand over")
    meter.act("courier", apart["deliver"], "deliver")

    def together(*calls: Call) -> Call:
        return ledger.multicall([call.data for call in calls])

    packed = life(501)
    parcel = together(packed["dispense"], packed["hand over"])
    meter.act("pharmacy", packed["accept"])
    meter.act("pharmacy", parcel, "review, dispense and hand over in one")
    meter.act("courier", packed["deliver"])
    stocked = life(502)
    given = together(stocked["accept"], stocked["dispense"], stocked["hand over"])
    meter.act("pharmacy", given, "accept, review, dispense and hand over in one")
    meter.act("courier", stocked["deliver"])
    costs = meter.costs
    costs["a prescription from acceptance to delivery in three transactions"] = (
        costs[f"accept a prescription of {BATCH:,}"]
        + costs["review, dispense and hand over in one"]
        + costs["deliver"]
    )
    costs["a prescription from acceptance to delivery in two transactions"] = (
        costs["accept, review, dispense and hand over in one"] + costs["deliver"]
    )


def sizes() -> dict[str, int]:
    """Bytes of runtime code; 24,576 is the limit (EIP-170)."""
    return {
        f"bytes of {name}": len(abi.artifact(name)["deployedBytecode"]) // 2 - 1
        for name in abi.CONTRACTS
    }


def test_gas_and_size__of_every_act_and_contract__are_those_of_the_snapshot(
    costs: dict[str, int],
) -> None:
    measured = costs | sizes()
    if os.environ.get("MEDLEDGER_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n", "utf-8")

    assert measured == json.loads(SNAPSHOT.read_text("utf-8"))


def test_gas__of_issuing__is_within_its_goals(costs: dict[str, int]) -> None:
    assert costs["issue a batch of one"] < 80_000
    assert costs[f"issue a batch of {BATCH:,}"] / BATCH < 90


def test_size__of_every_contract__leaves_room_below_the_limit() -> None:
    assert all(size < 24_576 for size in sizes().values())
