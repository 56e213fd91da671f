"""What all roles share: a node, a deployment, and, for those who act, a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from medledger.chain.bindings import SettlementToken
from medledger.chain.contract import Call
from medledger.chain.deployment import Ledgers, Manifest, connect, unpinned
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Policy, Receipt, Sender
from medledger.core.acts import Act
from medledger.core.authorisation import Signed
from medledger.core.evidence import Evidence
from medledger.core.hashing import (
    ZERO_ADDRESS,
    AcceptAuthorisation,
    BillPayment,
    ClaimWithdrawal,
    InvoiceHeader,
    OperatorConsent,
    PayerWaiver,
    PaymentConfirmation,
)
from medledger.core.kinds import KINDS
from medledger.core.numbers import format_number
from medledger.core.states import Standing
from medledger.errors import (
    AnchorMismatch,
    AuthorisationMismatch,
    KeyMissing,
    MalformedAuthorisation,
    MalformedEvidence,
    NoSettlementToken,
    NotAnOperator,
)

DEPLOYMENTS = Path("deployments")
"""Where a manifest is looked for when none is named: `deployments/<chain id>.json`."""


def open_ledgers(rpc_url: str, deployment: Manifest | Path | None = None) -> Ledgers:
    """The contracts of a deployment on a node, compared with its manifest.

    `deployment` is a manifest, its file, or None for `deployments/<chain id>.json` here. Raises
    `ManifestMissing`, `ManifestInvalid`, `WrongChain`, `ContractMissing` or `RpcUnavailable`.
    """
    rpc = Rpc(rpc_url)
    if deployment is None:
        deployment = DEPLOYMENTS / f"{rpc.chain_id()}.json"
    if isinstance(deployment, Path):
        deployment = Manifest.load(deployment)
    return connect(rpc, deployment)


def open_ledgers_of_evidence(rpc_url: str, evidence: Evidence) -> Ledgers:
    """The contracts that evidence names itself, for somebody who has no manifest.

    Warning: that they are medledger's own code is checked; that their supervisor is the right one
    is not. Raises `AnchorMismatch`, `ContractMissing` or `RpcUnavailable`.
    """
    rpc = Rpc(rpc_url)
    anchor = evidence.anchor
    chain_id = rpc.chain_id()
    if chain_id != anchor.chain_id:
        raise AnchorMismatch(problem=f"it is for chain {anchor.chain_id}, {rpc_url} is {chain_id}")
    return unpinned(
        rpc, KINDS[evidence.kind].ledger, anchor.ledger, anchor.transaction, evidence.head.first
    )


class Role:
    """Somebody who reads, and with a key also writes. Not for use by two threads at once."""

    def __init__(self, ledgers: Ledgers, operator: bytes | None = None) -> None:
        self.ledgers = ledgers
        self._operator = operator

    @classmethod
    def connect(
        cls,
        rpc_url: str,
        *,
        operator: bytes | None = None,
        deployment: Manifest | Path | None = None,
        **settings: Any,
    ) -> Self:
        """The role on a node. `operator` is a 32-byte private key; errors as `open_ledgers`."""
        return cls(open_ledgers(rpc_url, deployment), operator, **settings)

    @cached_property
    def sender(self) -> Sender:
        """The sender of this role's key; raises `KeyMissing` without one."""
        if self._operator is None:
            raise KeyMissing()
        return Sender(
            self.ledgers.rpc,
            self._operator,
            chain_id=self.ledgers.chain_id,
            policy=Policy(confirmations=self.ledgers.manifest.confirmations),
        )

    @property
    def address(self) -> str:
        """The operator's address."""
        return self.sender.address

    @cached_property
    def institution(self) -> int:
        """The institution that the operator acts for; raises `NotAnOperator`."""
        found = self.ledgers.institutions.operator_of(self.address)
        if found.institution == 0 or found.until:
            raise NotAnOperator(account=self.address)
        return found.institution

    def now(self) -> int:
        """The time of the latest block, Unix seconds: the clock that contracts go by."""
        return int(self.ledgers.rpc.block("latest")["timestamp"], 16)

    def consent(self, institution: int, *, deadline: int) -> Act:
        """This key's own signature that it will act for an institution: see `add_operator`.

        `deadline` is the last second at which it counts. Raises `KeyMissing`.
        """
        if self._operator is None:
            raise KeyMissing()
        message = OperatorConsent(institution, deadline)
        contract = self.ledgers.institutions.address
        return Act(message, self.ledgers.chain_id, contract).signed(self._operator)

    def relay(self, signed: Signed, evidence: Evidence | None = None) -> Receipt:
        """Sends what a patient signed of a bill: a withdrawal, a waiver or a confirmation.

        A bill that nobody has opened is opened with its evidence first. Raises
        `InvoiceNotOpened`, `AuthorisationInvalid`, `AuthorisationExpired`, and as the act does.
        """
        invoices = self.ledgers.invoices
        call = _relayed(self.ledgers, signed)
        self._require_for(signed, call.to)
        header = None if evidence is None else evidence.header
        if (
            evidence is not None
            and isinstance(header, InvoiceHeader)
            and invoices.invoice_of(header.number).patient == ZERO_ADDRESS
        ):
            self._send(invoices.open(header, evidence.head, evidence.path))
        return self._send(call)

    def pay_bill(self, evidence: Evidence, payee: str | None = None) -> Receipt:
        """Pays what the patient bears of a bill, with settlement tokens of this key's account.

        `payee` is where the bill's hospital is paid; unless given, it is read from the chain.
        Raises `NoSettlementToken`, `BillIsPaid`, `PaymentIsStated`, `PayeeDiffers`,
        `CurrencyNotPaid`, `InvoiceIsReversed`, `InvoiceOnPaper` or `ProofInvalid`.

        Warning: who pays several bills from one account links them for everybody.
        """
        header, payments = evidence.header, self.ledgers.payments
        if not isinstance(header, InvoiceHeader):
            raise MalformedEvidence(problem="it is not of a bill")
        address = payments.token()
        if address == ZERO_ADDRESS:
            raise NoSettlementToken()
        if payee is None:
            hospital = self.ledgers.invoices.segment_of(evidence.head.segment).institution
            payee = payments.account_of(hospital)
        token = SettlementToken(self.ledgers.rpc, address)
        due = self._due(header)
        if token.allowance(self.address, payments.address) < due:
            self._send(token.approve(payments.address, due))
        return self._send(payments.pay(header, evidence.head, evidence.path, payee))

    def _due(self, header: InvoiceHeader) -> int:
        invoices = self.ledgers.invoices
        standing = invoices.invoice_of(header.number).standing
        if standing == Standing.PARTLY_REVERSED:
            return invoices.claimable_of(header.number)
        return header.claimable

    def _send(self, call: Call) -> Receipt:
        return self.sender.send(call)

    def _send_all(self, calls: Sequence[Call]) -> list[Receipt]:
        """One call is simulated first, so that its refusal costs nothing; many go at once."""
        if len(calls) == 1:
            return [self._send(calls[0])]
        return list(self.sender.send_many(calls))

    def _require_for(self, signed: Signed, contract: str) -> None:
        """Raises `AuthorisationMismatch` where an authorisation is for another contract."""
        if signed.chain_id != self.ledgers.chain_id or signed.contract != contract:
            raise AuthorisationMismatch(
                problem=f"is for {signed.contract} on chain {signed.chain_id}, "
                f"not {contract} on chain {self.ledgers.chain_id}"
            )

    def _acceptance_for(self, signed: Signed, number: int, pharmacy: int) -> AcceptAuthorisation:
        """What lets this pharmacy accept this prescription, whoever signed it.

        Raises `AuthorisationMismatch`, or `MalformedAuthorisation` for another act.
        """
        message = signed.message_as(AcceptAuthorisation)
        self._require_for(signed, self.ledgers.prescriptions.address)
        if message.number != number or message.pharmacy != pharmacy:
            raise AuthorisationMismatch(
                problem=f"allows pharmacy {message.pharmacy} and prescription "
                f"{format_number(message.number)}, not pharmacy {pharmacy} and "
                f"prescription {format_number(number)}"
            )
        return message


def _relayed(ledgers: Ledgers, signed: Signed) -> Call:
    claims = ledgers.claims
    match signed.message:
        case ClaimWithdrawal(number, payer, reason, _, deadline):
            return claims.withdraw(number, payer, reason, deadline, signed.signature)
        case PayerWaiver(number, payer, _, deadline):
            return claims.waive(number, payer, deadline, signed.signature)
        case PaymentConfirmation(number, payer, payment, deadline):
            return claims.confirm_payment(number, payer, payment, 0, deadline, signed.signature)
        case BillPayment(number, _, _, deadline):
            return ledgers.payments.confirm(number, deadline, signed.signature)
        case other:
            name = type(other).__name__
            raise MalformedAuthorisation(problem=f"is a {name}, which is not relayed by itself")
