"""The ledger deployed once on Anvil, its roles, and builders for documents and signatures.

Every test starts from the same block: ape takes a snapshot before each and goes back after it.

A plugin of both folders that ape tests, `tests/contracts` and `tests/attacks`: a run of both
compiles and deploys once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import ape
import pytest
import rlp
import solcx
from ape.contracts import ContractContainer
from ape.exceptions import CustomError
from ape_ethereum.trace import TransactionTrace
from eth_abi import encode
from eth_account import Account
from ethpm_types import ContractType
from hexbytes import HexBytes
from tests.contracts.coverage import Coverage, Measured

from medledger.core.acts import Act
from medledger.core.hashing import (
    ZERO_ADDRESS,
    AcceptAuthorisation,
    AccessGrant,
    AccessRevocation,
    BatchEndorsement,
    BillPayment,
    ClaimAuthorisation,
    ClaimWithdrawal,
    DeliveryConfirmation,
    Header,
    InstitutionMessage,
    InvoiceHeader,
    LicenceHeader,
    OperatorConsent,
    PayerWaiver,
    PaymentConfirmation,
    PrescriptionHeader,
    PrescriptionTerms,
    RecordHeader,
    TreeHead,
    checksum_address,
    keccak256,
    leaf_hash,
    name_hash,
    word,
)
from medledger.core.numbers import document_number
from medledger.core.patient_keys import PatientKey
from medledger.core.states import Kind, Purpose
from medledger.core.tree import Tree, share_paths

DAY = 24 * 3600
FAR_FUTURE = 4_102_444_800  # the year 2100
BILL_CODE, OTHER_BILL_CODE = 46060126, 46060226
NEW_CODE = 11010126
PRESCRIPTION_CODE, OTHER_PRESCRIPTION_CODE = 46990126, 46990226
LICENCE_CODE, OTHER_LICENCE_CODE = 33080126, 33080226
RECORD_CODE, OTHER_RECORD_CODE, LATER_RECORD_CODE = 21020126, 21020226, 21020127
SERIALS = 5_000
REASON = 5
ITEMS, REVIEW = keccak256(b"items"), keccak256(b"review")
PRESCRIBED = PrescriptionTerms(
    authored_at=1_700_000_000,
    valid_until=FAR_FUTURE,
    licence=0,
    drug_class=0,
    quantities=(24, 10),
    substitutable=0,
    repeats=0,
    interval=0,
    on_hold=False,
)


# What `make coverage` measures, and `make mutants` runs

MEASURES = "MEDLEDGER_COVERAGE" in os.environ
COVERAGE = Coverage(MEASURES) if MEASURES or "MEDLEDGER_UNOPTIMISED" in os.environ else None
if COVERAGE is not None:
    COVERAGE.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if COVERAGE is not None:
        items[:] = [item for item in items if "__costs_" not in item.name]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if MEASURES and COVERAGE is not None:
        terminalreporter.section("coverage of contracts/")
        terminalreporter.write_line(COVERAGE.report()[0])


def pytest_sessionfinish(session: pytest.Session) -> None:
    if MEASURES and COVERAGE is not None and session.exitstatus == 0 and not COVERAGE.report()[1]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# Fixtures that leave the chain alone


def steady(function: Callable[..., Any]) -> Any:
    """A session fixture that does not depend on the chain's state, so that ape may keep it."""
    return ape.fixture(chain_isolation=False, scope="session")(function)


@steady
def project(project: Any) -> Any:
    """ape's project, compiled from the sources as they are.

    ape compiles a changed file again, but not the files that import it: after a change of a base
    contract or a library it would go on with the old bytecode of the contracts.
    """
    if COVERAGE is not None:
        return Measured(project, COVERAGE.types)
    sources = [project.path / "ape-config.yaml", *sorted(project.contracts_folder.rglob("*.sol"))]
    digest = keccak256(b"".join(keccak256(path.read_bytes()) for path in sources)).hex()
    stamp = project.manifest_path.parent / "sources.keccak256"
    if not stamp.is_file() or stamp.read_text() != digest:
        project.clean()
        project.load_contracts(use_cache=False)
        stamp.write_text(digest)
    return project


@steady
def far_future() -> int:
    """A deadline that no test reaches, Unix seconds."""
    return FAR_FUTURE


@steady
def lock_period() -> int:
    return 30 * DAY


@steady
def lease_period() -> int:
    return 2 * DAY


@steady
def patient() -> PatientKey:
    return PatientKey.from_seed(b"the patient's phone".ljust(32, b"\0"))


@steady
def stranger_patient() -> PatientKey:
    return PatientKey.from_seed(b"another phone".ljust(32, b"\0"))


@steady
def refused() -> Callable[..., AbstractContextManager[None]]:
    """`ape.reverts`, held to the letter: this error of this contract, with exactly these arguments.

    By itself `ape.reverts` passes any revert that it cannot decode, which is every revert of a
    view function, and ignores arguments that the error has and the test does not name. Views are
    therefore sent as transactions: `ledger.requireUsable.transact(*proof, sender=stranger)`.
    """

    @contextmanager
    def held_to_the_letter(error: Any, /, **arguments: Any) -> Iterator[None]:
        # ape would draw the call trace of each refusal, which takes longer than the refusal.
        with patch.object(TransactionTrace, "show"), ape.reverts() as caught:
            yield

        arguments = {name: getattr(value, "address", value) for name, value in arguments.items()}
        found, abi = caught.value, getattr(error, "abi", error)
        if isinstance(found, CustomError):
            assert (found.abi.name, found.inputs) == (abi.name, arguments)
            if contract := getattr(error, "contract", None):
                assert found.address == contract.address
        else:
            # A constructor reverts before ape knows the address, and so the ABI.
            values = [arguments[parameter.name] for parameter in abi.inputs]
            data = encode([str(parameter.type) for parameter in abi.inputs], values)
            assert HexBytes(found.revert_message) == keccak256(abi.selector.encode())[:4] + data
            assert len(values) == len(arguments)

    return held_to_the_letter


@steady
def emits() -> Callable[..., None]:
    """Asserts that a transaction logged exactly these events, in order, every argument given."""

    def assert_events(receipt: Any, *expected: Any) -> None:
        logged = receipt.events
        assert len(receipt.logs) == len(expected)
        for found, wanted in zip(logged, expected, strict=True):
            if isinstance(wanted, Logged):
                assert (found.event_name, found.contract_address) == (wanted.name, wanted.contract)
                assert found.event_arguments == wanted.arguments
            else:
                assert found == wanted
                assert found.event_arguments.keys() == wanted.event_arguments.keys()

    return assert_events


@dataclass(frozen=True)
class Logged:
    """An event that is expected to have structs among its arguments, which ape cannot make."""

    contract: str
    name: str
    arguments: dict[str, Any]


@steady
def logged() -> Callable[..., Logged]:
    """An expected event of a contract, with lists for structs."""

    def event(contract: Any, name: str, **arguments: Any) -> Logged:
        plain = {key: getattr(value, "address", value) for key, value in arguments.items()}
        return Logged(contract.address, name, plain)

    return event


# Roles


@dataclass(frozen=True)
class Roles:
    """The accounts by role. `ids[account]` is the institution that an account acts for."""

    supervisor: Any
    other_supervisor: Any
    hospital: Any
    hospital_second_key: Any
    other_hospital: Any
    pharmacy: Any
    other_pharmacy: Any
    courier: Any
    other_courier: Any
    leaving_courier: Any
    payers: tuple[Any, ...]
    stranger: Any
    authority: Any
    other_authority: Any


@steady
def new_account(accounts: Any) -> Callable[[], Any]:
    """Makes an account with a key that nobody has used, and money for gas.

    Not by ape's `generate_test_account`, which starts over when ape compiles during a run.
    """
    made = count()

    def make() -> Any:
        number = next(made)
        secret = keccak256(b"account" + word(number))
        address = Account.from_key(secret).address
        account = accounts.init_test_account(number, address, "0x" + secret.hex())
        account.balance = "100 ETH"
        return account

    return make


@pytest.fixture(scope="session")
def roles(new_account: Callable[[], Any]) -> Roles:
    keys = [new_account() for _ in range(19)]
    return Roles(*keys[:10], tuple(keys[10:16]), *keys[16:])


@steady
def supervisor(roles: Roles) -> Any:
    return roles.supervisor


@steady
def other_supervisor(roles: Roles) -> Any:
    return roles.other_supervisor


@steady
def hospital(roles: Roles) -> Any:
    return roles.hospital


@steady
def hospital_second_key(roles: Roles) -> Any:
    return roles.hospital_second_key


@steady
def other_hospital(roles: Roles) -> Any:
    return roles.other_hospital


@steady
def pharmacy(roles: Roles) -> Any:
    return roles.pharmacy


@steady
def other_pharmacy(roles: Roles) -> Any:
    return roles.other_pharmacy


@steady
def courier(roles: Roles) -> Any:
    return roles.courier


@steady
def other_courier(roles: Roles) -> Any:
    return roles.other_courier


@steady
def leaving_courier(roles: Roles) -> Any:
    return roles.leaving_courier


@steady
def payers(roles: Roles) -> tuple[Any, ...]:
    """Six payers: one more than a bill can have open locks."""
    return roles.payers


@steady
def payer(roles: Roles) -> Any:
    return roles.payers[0]


@steady
def other_payer(roles: Roles) -> Any:
    return roles.payers[1]


@steady
def stranger(roles: Roles) -> Any:
    return roles.stranger


# What institutions sign


def _act(message: InstitutionMessage, for_: Any, account: Any, **changes: Any) -> bytes:
    """The signature of a test account over a message for a contract; `changes` forge the domain."""
    domain = {"chain_id": for_.provider.chain_id, "contract": for_.address} | changes
    return Act(message, **domain).signed(bytes.fromhex(account.private_key[2:])).signature


@steady
def consent(institutions: Any) -> Callable[..., bytes]:
    """A key's signature: it will act for this institution."""

    def sign(
        key: Any, institution: int, deadline: int = FAR_FUTURE, *, by: Any = None, **domain: Any
    ) -> bytes:
        message = OperatorConsent(institution, deadline)
        return _act(message, institutions, by or key, **domain)

    return sign


@steady
def add_operator(institutions: Any, consent: Any) -> Callable[..., Any]:
    """Adds a key that consents."""

    def act(institution: int, key: Any, *, sender: Any) -> Any:
        signature = consent(key, institution)
        return institutions.addOperator(institution, key, FAR_FUTURE, signature, sender=sender)

    return act


@steady
def endorsement() -> Callable[..., bytes]:
    """A key's signature over a batch of a ledger."""

    def sign(
        ledger: Any,
        key: Any,
        segment: int,
        first: int,
        count: int,
        root: bytes,
        deadline: int = FAR_FUTURE,
        **domain: Any,
    ) -> bytes:
        message = BatchEndorsement(segment, first, count, root, deadline)
        return _act(message, ledger, key, **domain)

    return sign


@steady
def authority(roles: Roles) -> Any:
    return roles.authority


@steady
def other_authority(roles: Roles) -> Any:
    return roles.other_authority


# The deployment


@pytest.fixture(scope="session")
def institutions(project: Any, supervisor: Any) -> Any:
    return project.Institutions.deploy(
        name_hash("supervisor"), 469023, supervisor, sender=supervisor
    )


@dataclass(frozen=True)
class Ids:
    """Institution ids by the account that acts for them."""

    by_address: dict[str, int]

    def __getitem__(self, account: Any) -> int:
        return self.by_address[account.address]


@pytest.fixture(scope="session")
def ids(institutions: Any, roles: Roles) -> Ids:
    """All roles but the stranger accredited; the ids are 1, 2, 3, ..."""
    found = {roles.supervisor.address: 1}
    accredited = [
        (Kind.SUPERVISOR, roles.other_supervisor),
        (Kind.HOSPITAL, roles.hospital),
        (Kind.HOSPITAL, roles.other_hospital),
        (Kind.PHARMACY, roles.pharmacy),
        (Kind.PHARMACY, roles.other_pharmacy),
        (Kind.COURIER, roles.courier),
        (Kind.COURIER, roles.other_courier),
        (Kind.COURIER, roles.leaving_courier),
        *((Kind.PAYER, account) for account in roles.payers),
        (Kind.AUTHORITY, roles.authority),
        (Kind.AUTHORITY, roles.other_authority),
    ]
    for number, (kind, account) in enumerate(accredited, start=2):
        institutions.accredit(
            kind,
            469023,
            name_hash(f"institution {number}"),
            1,
            FAR_FUTURE,
            account,
            sender=roles.supervisor,
        )
        found[account.address] = number
    hospital = found[roles.hospital.address]
    consent = _act(OperatorConsent(hospital, FAR_FUTURE), institutions, roles.hospital_second_key)
    institutions.addOperator(
        hospital, roles.hospital_second_key, FAR_FUTURE, consent, sender=roles.hospital
    )
    found[roles.hospital_second_key.address] = hospital
    return Ids(found)


@steady
def created_address() -> Callable[[str, int], str]:
    """Where the sender's transaction of this nonce deploys a contract (CREATE)."""

    def address(sender: str, nonce: int) -> str:
        return checksum_address(keccak256(rlp.encode([HexBytes(sender), nonce]))[12:])

    return address


@steady
def deploy_claims(
    project: Any, created_address: Callable[[str, int], str]
) -> Callable[..., tuple[Any, Any, Any]]:
    """Deploys the contracts that name one another: all take the address of Claims, the last.

    Without a token there is no escrow. Returns Invoices, Escrow and Claims.
    """

    def deploy(
        institutions: Any, prescriptions: Any, lock_period: int, sender: Any, token: Any = None
    ) -> tuple[Any, Any, Any]:
        claims = created_address(sender.address, sender.nonce + (1 if token is None else 2))
        invoices = project.Invoices.deploy(institutions, claims, sender=sender)
        escrow = None
        if token is not None:
            escrow = project.Escrow.deploy(institutions, token, 156, claims, sender=sender)
        named = (institutions, invoices, prescriptions, escrow or ZERO_ADDRESS, lock_period)
        return invoices, escrow, project.Claims.deploy(*named, sender=sender)

    return deploy


@pytest.fixture(scope="session")
def token(project: Any, supervisor: Any) -> Any:
    return project.SettlementToken.deploy(sender=supervisor)


@pytest.fixture(scope="session")
def with_claims(
    institutions: Any,
    prescriptions: Any,
    deploy_claims: Any,
    lock_period: int,
    supervisor: Any,
    token: Any,
) -> tuple[Any, Any, Any]:
    return deploy_claims(institutions, prescriptions, lock_period, supervisor, token)


@steady
def invoices(with_claims: tuple[Any, Any, Any]) -> Any:
    return with_claims[0]


@steady
def escrow(with_claims: tuple[Any, Any, Any]) -> Any:
    return with_claims[1]


@pytest.fixture(scope="session")
def payments(project: Any, invoices: Any, token: Any, supervisor: Any) -> Any:
    return project.Payments.deploy(invoices, token, 156, sender=supervisor)


@steady
def claims(with_claims: tuple[Any, Any, Any]) -> Any:
    return with_claims[2]


@pytest.fixture(scope="session")
def policies(project: Any, institutions: Any, licences: Any, supervisor: Any) -> Any:
    return project.PrescriptionPolicies.deploy(institutions, licences, sender=supervisor)


@pytest.fixture(scope="session")
def prescriptions(
    project: Any, institutions: Any, policies: Any, lease_period: int, supervisor: Any
) -> Any:
    return project.Prescriptions.deploy(institutions, policies, lease_period, sender=supervisor)


@pytest.fixture(scope="session")
def licences(project: Any, institutions: Any, supervisor: Any) -> Any:
    return project.Licences.deploy(institutions, sender=supervisor)


@pytest.fixture(scope="session")
def records(project: Any, institutions: Any, supervisor: Any) -> Any:
    return project.Records.deploy(institutions, sender=supervisor)


@dataclass(frozen=True)
class Segment:
    """A number segment that was allotted to a role."""

    id: int
    code: int
    owner: Any

    def number(self, serial: int) -> int:
        return document_number(self.code, serial)

    @property
    def first(self) -> int:
        return self.number(1)

    @property
    def last(self) -> int:
        return self.number(SERIALS)


def _allot(ledger: Any, ids: Ids, owner: Any, code: int, supervisor: Any) -> Segment:
    receipt = ledger.allot(ids[owner], code, 1, SERIALS, False, sender=supervisor)
    return Segment(receipt.return_value, code, owner)


@steady
def allot(invoices: Any, ids: Ids, hospital: Any, supervisor: Any) -> Callable[..., Any]:
    """Allots serials of a code that nobody has used to the hospital, as the supervisor."""
    default_owner, default_sender = hospital, supervisor

    def act(
        first: int,
        last: int,
        code: int = NEW_CODE,
        to: Any = default_owner,
        sender: Any = default_sender,
        endorsed: bool = False,
        **fees: int,
    ) -> Any:
        return invoices.allot(ids[to], code, first, last, endorsed, sender=sender, **fees)

    return act


@pytest.fixture(scope="session")
def bill_segment(invoices: Any, ids: Ids, hospital: Any, supervisor: Any) -> Segment:
    return _allot(invoices, ids, hospital, BILL_CODE, supervisor)


@pytest.fixture(scope="session")
def other_bill_segment(
    invoices: Any, ids: Ids, other_hospital: Any, supervisor: Any, bill_segment: Segment
) -> Segment:
    return _allot(invoices, ids, other_hospital, OTHER_BILL_CODE, supervisor)


@pytest.fixture(scope="session")
def prescription_segment(prescriptions: Any, ids: Ids, hospital: Any, supervisor: Any) -> Segment:
    return _allot(prescriptions, ids, hospital, PRESCRIPTION_CODE, supervisor)


@pytest.fixture(scope="session")
def other_prescription_segment(
    prescriptions: Any,
    ids: Ids,
    other_hospital: Any,
    supervisor: Any,
    prescription_segment: Segment,
) -> Segment:
    return _allot(prescriptions, ids, other_hospital, OTHER_PRESCRIPTION_CODE, supervisor)


@pytest.fixture(scope="session")
def licence_segment(licences: Any, ids: Ids, authority: Any, supervisor: Any) -> Segment:
    return _allot(licences, ids, authority, LICENCE_CODE, supervisor)


@pytest.fixture(scope="session")
def other_licence_segment(
    licences: Any, ids: Ids, other_authority: Any, supervisor: Any, licence_segment: Segment
) -> Segment:
    return _allot(licences, ids, other_authority, OTHER_LICENCE_CODE, supervisor)


@pytest.fixture(scope="session")
def record_segment(records: Any, ids: Ids, hospital: Any, supervisor: Any) -> Segment:
    return _allot(records, ids, hospital, RECORD_CODE, supervisor)


@pytest.fixture(scope="session")
def other_record_segment(
    records: Any, ids: Ids, other_hospital: Any, supervisor: Any, record_segment: Segment
) -> Segment:
    return _allot(records, ids, other_hospital, OTHER_RECORD_CODE, supervisor)


@pytest.fixture(scope="session")
def later_record_segment(
    records: Any, ids: Ids, hospital: Any, supervisor: Any, other_record_segment: Segment
) -> Segment:
    """The hospital's second one, for the next year."""
    return _allot(records, ids, hospital, LATER_RECORD_CODE, supervisor)


@pytest.fixture(scope="session", autouse=True)
def whole_deployment(
    other_bill_segment: Segment,
    other_prescription_segment: Segment,
    other_licence_segment: Segment,
    later_record_segment: Segment,
    harness: Any,
) -> None:
    """All that changes the chain, before the first test.

    ape starts over where a session fixture that is not steady comes later.
    """


# Contracts of the tests' own


@steady
def compiled(project: Any) -> dict[str, ContractContainer]:
    """The contracts of harness/ by name.

    They are kept out of contracts/ and out of ape's project, so that they are never shipped.
    """
    if COVERAGE is not None:
        return {name: ContractContainer(found) for name, found in COVERAGE.types.items()}
    folder = project.path / "tests" / "contracts" / "harness"
    sources = {
        path.relative_to(project.path).as_posix(): {"content": path.read_text()}
        for path in sorted(folder.glob("*.sol"))
    }
    output = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": sources,
            "settings": {
                "evmVersion": "paris",
                "optimizer": {"enabled": True},
                "outputSelection": {
                    name: {"*": ["abi", "evm.bytecode.object"]} for name in sources
                },
            },
        },
        base_path=project.path,
        solc_version="0.8.30",
    )
    return {
        name: ContractContainer(
            ContractType.model_validate(
                {
                    "contractName": name,
                    "abi": contract["abi"],
                    "deploymentBytecode": {
                        "bytecode": "0x" + contract["evm"]["bytecode"]["object"]
                    },
                }
            )
        )
        for source in sources
        for name, contract in output["contracts"][source].items()
    }


@pytest.fixture(scope="session")
def harness(compiled: dict[str, ContractContainer], supervisor: Any) -> Any:
    """contracts/libraries/Hashing.sol, each function callable."""
    return compiled["HashingHarness"].deploy(sender=supervisor)


@steady
def vectors(project: Any) -> dict[str, Any]:
    text = (project.path / "tests" / "vectors" / "hashing.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


# Documents


@dataclass(frozen=True)
class Batch:
    """Issued documents with everything that a proof of one of them takes."""

    headers: tuple[Header, ...]
    head: TreeHead
    tree: Tree
    segment: Segment
    receipt: Any

    def shared_proof(self, indexes: Sequence[int]) -> tuple[list[Any], Any, list[bytes]]:
        """Headers, head and shared path of several."""
        paths = {index: self.tree.path(index) for index in indexes}
        headers = [self.headers[index].as_abi() for index in indexes]
        return headers, self.head.as_abi(), list(share_paths(paths, len(self.tree)))

    @property
    def paths(self) -> list[list[bytes]]:
        return [list(self.tree.path(index)) for index in range(len(self.headers))]

    def number(self, index: int = 0) -> int:
        return self.headers[index].number

    def proof(self, index: int = 0) -> tuple[Any, Any, list[bytes]]:
        """The arguments of `open`: header, head, path."""
        return self.headers[index].as_abi(), self.head.as_abi(), list(self.tree.path(index))


def _issue(
    ledger: Any,
    segment: Segment,
    count: int,
    header_of: Callable[[int], Header],
    leaves: Callable[[tuple[Header, ...]], list[bytes]] | None,
) -> Batch:
    first = ledger.segmentOf(segment.id).next
    headers = tuple(header_of(first + index) for index in range(count))
    hashes = [leaf_hash(header.struct_hash()) for header in headers]
    tree = Tree(hashes if leaves is None else leaves(headers))
    receipt = ledger.issue(segment.id, first, len(tree), tree.root, sender=segment.owner)
    head = TreeHead(first, len(tree), segment.id, receipt.timestamp)
    return Batch(headers, head, tree, segment, receipt)


@steady
def issued_bills() -> dict[int, tuple[Batch, int]]:
    """Batch and index of every bill issued, by its number."""
    return {}


@steady
def proof_of(issued_bills: dict[int, tuple[Batch, int]]) -> Callable[[int], Any]:
    """Header, head and path of an issued bill."""

    def proof(number: int) -> tuple[Any, Any, list[bytes]]:
        batch, index = issued_bills[number]
        return batch.proof(index)

    return proof


@steady
def issue_bills(
    invoices: Any,
    patient: PatientKey,
    bill_segment: Segment,
    issued_bills: dict[int, tuple[Batch, int]],
) -> Callable[..., Batch]:
    """Issues `count` bills in one batch. `leaves` replaces the leaves of an honest issuer."""
    default_segment = bill_segment

    def issue(
        count: int = 1,
        *,
        claimable: int = 10_000,
        on_hold: bool = False,
        prescription: int = 0,
        prescribed: int = 0,
        holder: str | None = None,
        currency: int = 156,
        segment: Segment = default_segment,
        leaves: Callable[[tuple[Header, ...]], list[bytes]] | None = None,
    ) -> Batch:
        def header_of(number: int) -> InvoiceHeader:
            address = patient.address("Invoice", number) if holder is None else holder
            body = keccak256(b"body" + word(number))
            linked = (prescription, prescribed)
            return InvoiceHeader(number, address, claimable, currency, on_hold, *linked, body)

        batch = _issue(invoices, segment, count, header_of, leaves)
        # The chain goes back between tests, so a number may be issued anew.
        issued_bills.update(
            (header.number, (batch, index)) for index, header in enumerate(batch.headers)
        )
        return batch

    return issue


@steady
def issue_red_letters(
    invoices: Any, bill_segment: Segment, issued_bills: dict[int, tuple[Batch, int]]
) -> Callable[..., Batch]:
    """Issues a partial red letter for each amount of a bill that is opened, in one batch."""

    def issue(number: int, *amounts: int, **changes: Any) -> Batch:
        original = invoices.invoiceOf(number)

        def header_of(red_letter: int) -> InvoiceHeader:
            place = red_letter - first
            given = {"patient": original.patient, "currency": original.currency, "on_hold": True}
            return InvoiceHeader(
                number=red_letter,
                claimable=amounts[place],
                prescription=0,
                prescribed=0,
                body=keccak256(b"body" + word(red_letter)),
                **(given | changes),
            )

        first = invoices.segmentOf(bill_segment.id).next
        batch = _issue(invoices, bill_segment, len(amounts), header_of, None)
        issued_bills.update(
            (header.number, (batch, index)) for index, header in enumerate(batch.headers)
        )
        return batch

    return issue


@steady
def open_bills(invoices: Any, issue_bills: Any, stranger: Any) -> Callable[..., list[int]]:
    """Issues `count` bills in one batch, opens each, and returns their numbers."""

    def issue_and_open(count: int = 1, **settings: Any) -> list[int]:
        batch = issue_bills(count, **settings)
        for index in range(count):
            invoices.open(*batch.proof(index), sender=stranger)
        return [header.number for header in batch.headers]

    return issue_and_open


@steady
def not_open(invoices: Any) -> Callable[..., None]:
    """Asserts that nothing is stored of these numbers."""

    def assert_not_open(*numbers: int) -> None:
        for found in invoices.invoicesOf(list(numbers)):
            assert found == (ZERO_ADDRESS, 0, 0, False, 0)

    return assert_not_open


@steady
def open_bill(open_bills: Any) -> Callable[..., int]:
    """Issues and opens one bill and returns its number."""
    return lambda **settings: open_bills(1, **settings)[0]


@steady
def proofs() -> dict[int, tuple[Any, Any, list[bytes]]]:
    """Header, head and path of each prescription issued, by number."""
    return {}


@steady
def issue_prescriptions(
    prescriptions: Any,
    patient: PatientKey,
    prescription_segment: Segment,
    proofs: dict[int, tuple[Any, Any, list[bytes]]],
) -> Callable[..., Batch]:
    """Issues `count` prescriptions in one batch, with these values in their headers."""
    default_segment = prescription_segment

    def issue(
        count: int = 1,
        *,
        holder: str | None = None,
        segment: Segment = default_segment,
        **terms: Any,
    ) -> Batch:
        def header_of(number: int) -> PrescriptionHeader:
            address = patient.address("Prescription", number) if holder is None else holder
            body = keccak256(b"body" + word(number))
            return PRESCRIBED._replace(**terms).header(number, address, body)

        batch = _issue(prescriptions, segment, count, header_of, None)
        for index in range(count):
            proofs[batch.number(index)] = batch.proof(index)
        return batch

    return issue


@steady
def issue_prescription(issue_prescriptions: Any) -> Callable[..., int]:
    """Issues one prescription and returns its number."""
    return lambda **settings: issue_prescriptions(1, **settings).number()


@steady
def dispense(prescriptions: Any, pharmacy: Any) -> Callable[..., Any]:
    """A pharmacy reviews and dispenses quantities, by line."""

    def act(
        number: int,
        *quantities: int,
        by: Any = pharmacy,
        substituted: int = 0,
        items: bytes = ITEMS,
        record: bytes = REVIEW,
    ) -> Any:
        return prescriptions.dispense(
            number, list(quantities), substituted, items, record, sender=by
        )

    return act


@steady
def record(prescriptions: Any) -> Callable[[int], SimpleNamespace]:
    """The record of a prescription by name, so that a test can say what changed of it."""
    return lambda number: SimpleNamespace(**dict(prescriptions.prescriptionOf(number).items()))


@steady
def hand_over(prescriptions: Any, ids: Ids, pharmacy: Any, courier: Any) -> Callable[..., Any]:
    """A pharmacy hands a parcel to a courier."""

    def act(number: int, to: Any = courier, by: Any = pharmacy) -> Any:
        return prescriptions.handOver(number, ids[to], sender=by)

    return act


@steady
def give_back(prescriptions: Any, pharmacy: Any) -> Callable[..., Any]:
    """A pharmacy returns a prescription to the pool."""
    return lambda number, by=pharmacy: prescriptions.returnToPool(number, REASON, sender=by)


@steady
def cancel(prescriptions: Any, hospital: Any, prescription_segment: Segment) -> Callable[..., Any]:
    """A hospital cancels a prescription."""

    def act(number: int, segment: int = prescription_segment.id, by: Any = hospital) -> Any:
        return prescriptions.cancel(segment, number, REASON, sender=by)

    return act


@steady
def issue_licences(
    licences: Any, patient: PatientKey, licence_segment: Segment
) -> Callable[..., Batch]:
    """Issues `count` licences in one batch."""
    default_segment = licence_segment

    def issue(
        count: int = 1,
        *,
        licence_type: int = 7,
        valid_from: int = 1,
        valid_until: int = FAR_FUTURE,
        holder: str | None = None,
        body: bytes | None = None,
        segment: Segment = default_segment,
    ) -> Batch:
        def header_of(number: int) -> LicenceHeader:
            address = patient.address("Licence", number) if holder is None else holder
            sealed = keccak256(b"body" + word(number)) if body is None else body
            return LicenceHeader(number, address, licence_type, valid_from, valid_until, sealed)

        return _issue(licences, segment, count, header_of, None)

    return issue


@steady
def open_licence(licences: Any, issue_licences: Any, stranger: Any) -> Callable[..., int]:
    """Issues and opens one licence and returns its number."""

    def issue_and_open(**settings: Any) -> int:
        batch = issue_licences(1, **settings)
        licences.open(*batch.proof(), sender=stranger)
        return batch.number()

    return issue_and_open


@steady
def issue_records(
    records: Any, patient: PatientKey, record_segment: Segment
) -> Callable[..., Batch]:
    """Issues one record for each number in `amends`, 0 for none, in one batch."""
    default_segment = record_segment

    def issue(
        *amends: int,
        record_type: int = 1,
        holder: str | None = None,
        segment: Segment = default_segment,
    ) -> Batch:
        first = records.segmentOf(segment.id).next
        amended = amends or (0,)

        def header_of(number: int) -> RecordHeader:
            address = patient.address("Record", number) if holder is None else holder
            body = keccak256(b"body" + word(number))
            return RecordHeader(number, address, amended[number - first], record_type, body)

        return _issue(records, segment, len(amended), header_of, None)

    return issue


@steady
def open_record(records: Any, issue_records: Any, stranger: Any) -> Callable[..., int]:
    """Issues and opens one record and returns its number."""

    def issue_and_open(amends: int = 0, **settings: Any) -> int:
        batch = issue_records(amends, **settings)
        records.open(*batch.proof(), sender=stranger)
        return batch.number()

    return issue_and_open


# Signatures of the patient


@steady
def authorise_claim(claims: Any, chain: Any, ids: Ids, patient: PatientKey) -> Callable[..., Any]:
    """The patient's terms and signature: this payer may lock this much of this bill."""
    default_key = patient

    def sign(
        number: int,
        payer: Any,
        amount: int,
        sequence: int = 0,
        deadline: int = FAR_FUTURE,
        *,
        after: Any = None,
        fixed: bool = False,
        payee: Any = None,
        key: PatientKey = default_key,
        chain_id: int = chain.chain_id,
        contract: str = claims.address,
    ) -> tuple[tuple[int, int, int, bool, str], bytes]:
        after_payer = 0 if after is None else ids[after]
        to = ZERO_ADDRESS if payee is None else getattr(payee, "address", payee)
        message = ClaimAuthorisation(
            number, ids[payer], amount, sequence, deadline, after_payer, fixed, to
        )
        signature = key.sign(message, "Invoice", chain_id, contract)
        return (amount, deadline, after_payer, fixed, to), signature

    return sign


@steady
def sign_withdrawal(claims: Any, chain: Any, ids: Ids, patient: PatientKey) -> Callable[..., bytes]:
    """The patient's signature: this payer's claim is taken back."""
    default_key = patient

    def sign(
        number: int,
        payer: Any,
        reason: int,
        sequence: int = 1,
        deadline: int = FAR_FUTURE,
        *,
        key: PatientKey = default_key,
    ) -> bytes:
        message = ClaimWithdrawal(number, ids[payer], reason, sequence, deadline)
        return key.sign(message, "Invoice", chain.chain_id, claims.address)

    return sign


@steady
def sign_waiver(claims: Any, chain: Any, ids: Ids, patient: PatientKey) -> Callable[..., bytes]:
    """The patient's signature: nobody need wait for this payer."""
    default_key = patient

    def sign(
        number: int,
        payer: Any,
        sequence: int = 0,
        deadline: int = FAR_FUTURE,
        *,
        key: PatientKey = default_key,
    ) -> bytes:
        message = PayerWaiver(number, ids[payer], sequence, deadline)
        return key.sign(message, "Invoice", chain.chain_id, claims.address)

    return sign


@steady
def sign_confirmation(
    claims: Any, chain: Any, ids: Ids, patient: PatientKey
) -> Callable[..., bytes]:
    """The patient's signature: the payment has arrived."""
    default_key = patient

    def sign(
        number: int,
        payer: Any,
        payment: bytes,
        deadline: int = FAR_FUTURE,
        *,
        key: PatientKey = default_key,
    ) -> bytes:
        message = PaymentConfirmation(number, ids[payer], payment, deadline)
        return key.sign(message, "Invoice", chain.chain_id, claims.address)

    return sign


@steady
def sign_bill_payment(payments: Any, chain: Any, patient: PatientKey) -> Callable[..., bytes]:
    """The patient's signature: this bill is paid off chain."""
    default_key = patient

    def sign(
        number: int,
        amount: int,
        payment: bytes,
        deadline: int = FAR_FUTURE,
        *,
        key: PatientKey = default_key,
        contract: str | None = None,
    ) -> bytes:
        message = BillPayment(number, amount, payment, deadline)
        return key.sign(message, "Invoice", chain.chain_id, contract or payments.address)

    return sign


@steady
def authorise_accept(
    prescriptions: Any, chain: Any, ids: Ids, patient: PatientKey
) -> Callable[..., bytes]:
    """The patient's signature: this pharmacy may accept this prescription."""
    default_key = patient

    def sign(
        number: int,
        pharmacy: Any,
        sequence: int = 0,
        deadline: int = FAR_FUTURE,
        *,
        key: PatientKey = default_key,
        chain_id: int = chain.chain_id,
        contract: str = prescriptions.address,
    ) -> bytes:
        message = AcceptAuthorisation(number, ids[pharmacy], sequence, deadline)
        return key.sign(message, "Prescription", chain_id, contract)

    return sign


@steady
def confirm_delivery(prescriptions: Any, chain: Any, patient: PatientKey) -> Callable[..., bytes]:
    """The patient's signature: the parcel has arrived, with what the chain says is in it."""
    default_key = patient

    def sign(
        number: int,
        sequence: int = 2,
        deadline: int = FAR_FUTURE,
        *,
        quantities: tuple[int, ...] | None = None,
        key: PatientKey = default_key,
        chain_id: int = chain.chain_id,
        contract: str = prescriptions.address,
    ) -> bytes:
        parcel = prescriptions.prescriptionOf(number).parcel if quantities is None else quantities
        message = DeliveryConfirmation(number, sequence, tuple(parcel), deadline)
        return key.sign(message, "Prescription", chain_id, contract)

    return sign


@steady
def authorise_access(
    records: Any, chain: Any, ids: Ids, patient: PatientKey
) -> Callable[..., bytes]:
    """The patient's signature: this institution may read this record for this purpose."""
    default_key = patient

    def sign(
        number: int,
        reader: Any,
        purpose: int = Purpose.TREAT,
        sequence: int = 0,
        until: int = FAR_FUTURE,
        *,
        key: PatientKey = default_key,
        chain_id: int = chain.chain_id,
        contract: str = records.address,
    ) -> bytes:
        message = AccessGrant(number, ids[reader], purpose, sequence, until)
        return key.sign(message, "Record", chain_id, contract)

    return sign


@steady
def authorise_revocation(
    records: Any, chain: Any, ids: Ids, patient: PatientKey
) -> Callable[..., bytes]:
    """The patient's signature: this institution may no longer read this record."""
    default_key = patient

    def sign(
        number: int,
        reader: Any,
        purpose: int = Purpose.TREAT,
        sequence: int = 1,
        *,
        key: PatientKey = default_key,
    ) -> bytes:
        message = AccessRevocation(number, ids[reader], purpose, sequence)
        return key.sign(message, "Record", chain.chain_id, records.address)

    return sign


# Acts in the settlement token


@steady
def deposit(token: Any, escrow: Any, supervisor: Any) -> Callable[[Any, int], Any]:
    """A payer gets tokens and deposits them."""

    def act(payer: Any, amount: int) -> Any:
        token.mint(payer, amount, sender=supervisor)
        token.approve(escrow, amount, sender=payer)
        return escrow.deposit(amount, sender=payer)

    return act


# Acts with the patient's signature


@steady
def lock(claims: Any, authorise_claim: Any, proof_of: Any) -> Callable[..., Any]:
    """A payer locks an amount of an issued bill, well signed."""

    def act(
        number: int,
        payer: Any,
        amount: int,
        sequence: int = 0,
        deadline: int = FAR_FUTURE,
        **terms: Any,
    ) -> Any:
        signed = authorise_claim(number, payer, amount, sequence, deadline, **terms)
        return claims.lock(*proof_of(number), *signed, sender=payer)

    return act


@steady
def accept(
    prescriptions: Any, authorise_accept: Any, proofs: dict[int, tuple[Any, Any, list[bytes]]]
) -> Callable[..., Any]:
    """A pharmacy accepts an issued prescription, well signed."""

    def act(number: int, pharmacy: Any, sequence: int = 0, deadline: int = FAR_FUTURE) -> Any:
        signature = authorise_accept(number, pharmacy, sequence, deadline)
        return prescriptions.accept(*proofs[number], deadline, signature, sender=pharmacy)

    return act


@steady
def grant(records: Any, authorise_access: Any, ids: Ids, stranger: Any) -> Callable[..., Any]:
    """A stranger relays the patient's grant."""

    def act(
        number: int,
        reader: Any,
        purpose: int = Purpose.TREAT,
        sequence: int = 0,
        until: int = FAR_FUTURE,
    ) -> Any:
        signature = authorise_access(number, reader, purpose, sequence, until)
        return records.grant(number, ids[reader], purpose, until, signature, sender=stranger)

    return act


@steady
def deliver(prescriptions: Any, confirm_delivery: Any, stranger: Any) -> Callable[..., Any]:
    """A stranger relays the patient's confirmation."""

    def act(number: int, sequence: int = 2, deadline: int = FAR_FUTURE) -> Any:
        confirmation = confirm_delivery(number, sequence, deadline)
        return prescriptions.deliver(number, deadline, confirmation, sender=stranger)

    return act
