"""Who may act: every write function of every contract, called by those who may not.

`ACTS` has them all. Each is acted out by an active institution, a suspended one, a removed key and
an institution of another kind.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import Kind

DAY = 24 * 3600
ROOT = keccak256(b"a root")
EXPLANATION = keccak256(b"explanation of benefit")
DECISION = (1_000, 1, EXPLANATION, ROOT)
NEW_KEY = "0x" + "77" * 20


@pytest.fixture(scope="module")
def bills(
    invoices,
    claims,
    payments,
    issue_bills,
    issue_red_letters,
    lock,
    hospital,
    payer,
    stranger,
    bill_segment,
):
    """A bill for each act, in the state in which the act is allowed."""
    names = (
        *("to_lock", "locked", "at_once", "many_at_once", "to_hold", "held", "to_reverse"),
        *("red_letter", "partly", "to_paper", "on_paper", "unused", "settled", "booked"),
        *("recouped", "stated"),
    )
    batch = issue_bills(len(names))
    found = dict(zip(names, (header.number for header in batch.headers), strict=True))
    invoices.open(*batch.proof(names.index("partly")), sender=stranger)
    red_letters = issue_red_letters(found["partly"], 1_000)
    invoices.exchangeForPaper(bill_segment.id, found["on_paper"], ROOT, sender=hospital)
    for name in ("locked", "settled", "booked", "recouped"):
        lock(found[name], payer, 1_000)
    for name in ("settled", "booked", "recouped"):
        claims.settle(found[name], DECISION, sender=payer)
    payments.state(bill_segment.id, found["stated"], 1_000, ROOT, sender=hospital)
    claims.book(found["booked"], sender=payer)
    claims.recoup(found["recouped"], 500, 1, EXPLANATION, sender=payer)
    return SimpleNamespace(
        proofs={name: batch.proof(names.index(name)) for name in names},
        partial_red_letter=red_letters.proof(),
        **found,
    )


@pytest.fixture(scope="module")
def orders(
    prescriptions,
    institutions,
    ids,
    issue_prescription,
    accept,
    dispense,
    supervisor,
    pharmacy,
    courier,
    leaving_courier,
):
    """A prescription for each act, in the state in which the act is allowed."""
    names = "to_accept accepted dispensed in_transit offered left_behind to_hold held"
    found = SimpleNamespace(**{name: issue_prescription() for name in names.split()})
    parcels = (found.dispensed, found.in_transit, found.offered, found.left_behind)
    for number in (found.accepted, *parcels):
        accept(number, pharmacy)
    for number in parcels:
        dispense(number, 1)
    for number in (found.in_transit, found.offered):
        prescriptions.handOver(number, ids[courier], sender=pharmacy)
    prescriptions.handOver(found.left_behind, ids[leaving_courier], sender=pharmacy)
    institutions.suspend(ids[leaving_courier], 1, sender=supervisor)
    prescriptions.offer(found.offered, ids[courier], sender=courier)
    return found


@pytest.fixture(scope="module")
def permits(licences, issue_licences, authority, stranger, licence_segment):
    """A licence for each act, in the state in which the act is allowed."""
    batch = issue_licences(4)
    licences.open(*batch.proof(), sender=stranger)
    licences.suspend(licence_segment.id, batch.number(3), 1, sender=authority)
    return SimpleNamespace(
        regular=batch.number(0),
        to_hold=batch.number(1),
        held=batch.number(2),
        suspended=batch.number(3),
    )


@pytest.fixture(scope="module")
def ledgers(
    invoices,
    prescriptions,
    licences,
    records,
    issue_records,
    bills,
    orders,
    permits,
    hospital,
    authority,
    bill_segment,
    prescription_segment,
    licence_segment,
    record_segment,
):
    """By its name a ledger of documents, a segment of it, and what to hold and release there."""
    written = issue_records(0, 0)
    found = {
        "invoices": (invoices, bill_segment.id, bills.to_hold, bills.held),
        "prescriptions": (prescriptions, prescription_segment.id, orders.to_hold, orders.held),
        "licences": (licences, licence_segment.id, permits.to_hold, permits.held),
        "records": (records, record_segment.id, written.number(0), written.number(1)),
    }
    for name, (ledger, segment, _, held) in found.items():
        ledger.hold(segment, held, sender=authority if name == "licences" else hospital)
    return found


@pytest.fixture
def contracts(
    invoices, claims, escrow, payments, prescriptions, policies, licences, records, institutions
):
    return {
        "institutions": institutions,
        "invoices": invoices,
        "claims": claims,
        "escrow": escrow,
        "payments": payments,
        "policies": policies,
        "prescriptions": prescriptions,
        "licences": licences,
        "records": records,
    }


@pytest.fixture(scope="module")
def deposited(escrow, token, supervisor, payer):
    """Tokens of the payer's, half of them in its deposit."""
    token.mint(payer, 100, sender=supervisor)
    token.approve(escrow, 100, sender=payer)
    escrow.deposit(50, sender=payer)
    return 50


@pytest.fixture
def world(
    ids,
    chain,
    bills,
    orders,
    permits,
    ledgers,
    proofs,
    endorsement,
    authorise_claim,
    authorise_accept,
    supervisor,
    hospital,
    authority,
    pharmacy,
    courier,
    other_courier,
    payer,
    bill_segment,
    prescription_segment,
    licence_segment,
    far_future,
    deposited,
):
    """All that the acts name."""

    def batch_of(name):
        ledger, segment, _, _ = ledgers[name]
        return segment, ledger.segmentOf(segment).next, 1, ROOT

    def endorsed_batch_of(name):
        batch = (*batch_of(name), far_future)
        return (*batch, supervisor, endorsement(ledgers[name][0], supervisor, *batch))

    terms = (1_000, far_future, 0, False, ZERO_ADDRESS)

    def claim_of(name):
        """Header, head and path of a bill; the patient's signature."""
        number = getattr(bills, name)
        return bills.proofs[name], authorise_claim(number, payer, 1_000)[1]

    def lock():
        proof, signature = claim_of("to_lock")
        return *proof, terms, signature

    def lock_and_settle():
        proof, signature = claim_of("at_once")
        return *proof, (terms, DECISION), signature

    def lock_and_settle_many():
        (header, head, path), signature = claim_of("many_at_once")
        return [header], head, path, [(terms, DECISION)], [signature]

    return SimpleNamespace(
        bills=bills,
        orders=orders,
        permits=permits,
        batch_of=batch_of,
        endorsed_batch_of=endorsed_batch_of,
        segment_of=lambda name: ledgers[name][1],
        to_hold=lambda name: ledgers[name][1:3],
        to_release=lambda name: (ledgers[name][1], ledgers[name][3]),
        lock=lock,
        lock_and_settle=lock_and_settle,
        lock_and_settle_many=lock_and_settle_many,
        code=lambda: (
            *proofs[orders.to_accept],
            far_future,
            authorise_accept(orders.to_accept, pharmacy),
        ),
        bill_segment=bill_segment.id,
        order_segment=prescription_segment.id,
        licence_segment=licence_segment.id,
        hospital=ids[hospital],
        payer=ids[payer],
        payers_key=payer,
        deposited=deposited,
        authority=ids[authority],
        courier=ids[courier],
        suspended=ids[other_courier],
        yesterday=chain.pending_timestamp // DAY - 1,
        end=far_future,
    )


def _acts_on(ledger, issuer):
    """What every ledger of documents takes from its issuers and from supervisors."""
    return {
        f"{ledger}.issue": (issuer, lambda w: w.batch_of(ledger)),
        f"{ledger}.issueEndorsed": (issuer, lambda w: w.endorsed_batch_of(ledger)),
        f"{ledger}.hold": (issuer, lambda w: w.to_hold(ledger)),
        f"{ledger}.release": (issuer, lambda w: w.to_release(ledger)),
        f"{ledger}.allot": (
            "other_supervisor",
            lambda w: (getattr(w, issuer), 1, 1, 9, False),
        ),
        f"{ledger}.withdraw": ("other_supervisor", lambda w: (w.segment_of(ledger), 1)),
        f"{ledger}.pause": ("other_supervisor", lambda w: ()),
        f"{ledger}.unpause": ("other_supervisor", lambda w: ()),
    }


ACTS = {
    **_acts_on("invoices", "hospital"),
    **_acts_on("prescriptions", "hospital"),
    **_acts_on("licences", "authority"),
    **_acts_on("records", "hospital"),
    "invoices.reverse": (
        "hospital",
        lambda w: (w.bill_segment, w.bills.to_reverse, w.bill_segment, w.bills.red_letter, 1),
    ),
    "invoices.reversePart": (
        "hospital",
        lambda w: (
            w.bill_segment,
            w.bills.partly,
            w.bill_segment,
            *w.bills.partial_red_letter,
            1,
        ),
    ),
    "invoices.exchangeForPaper": (
        "hospital",
        lambda w: (w.bill_segment, w.bills.to_paper, ROOT),
    ),
    "invoices.voidPaper": ("hospital", lambda w: (w.bill_segment, w.bills.on_paper)),
    "claims.lock": ("payer", lambda w: w.lock()),
    "claims.lockAndSettle": ("payer", lambda w: w.lock_and_settle()),
    "claims.lockAndSettleMany": ("payer", lambda w: w.lock_and_settle_many()),
    "claims.settle": ("payer", lambda w: (w.bills.locked, DECISION)),
    "claims.deny": ("payer", lambda w: (w.bills.locked, 1, EXPLANATION)),
    "claims.withdraw": ("payer", lambda w: (w.bills.locked, w.payer, 1, 0, b"")),
    "claims.waive": ("payer", lambda w: (w.bills.unused, w.payer, 0, b"")),
    "claims.confirmPayment": (
        "hospital",
        lambda w: (w.bills.settled, w.payer, ROOT, w.bill_segment, 0, b""),
    ),
    "claims.recoup": ("payer", lambda w: (w.bills.settled, 1, 1, EXPLANATION)),
    "claims.repay": ("payer", lambda w: (w.bills.recouped, 1, ROOT)),
    "claims.book": ("payer", lambda w: (w.bills.settled,)),
    "claims.revokeBooking": ("payer", lambda w: (w.bills.booked, 1)),
    "claims.archive": ("payer", lambda w: (w.bills.booked,)),
    "escrow.deposit": ("payer", lambda w: (w.deposited,)),
    "escrow.withdraw": ("payer", lambda w: (w.deposited, w.payers_key)),
    "payments.setAccount": ("hospital", lambda w: (NEW_KEY,)),
    "payments.state": ("hospital", lambda w: (w.bill_segment, w.bills.unused, 1_000, ROOT)),
    "payments.withdraw": ("hospital", lambda w: (w.bill_segment, w.bills.stated)),
    "prescriptions.cancel": ("hospital", lambda w: (w.order_segment, w.orders.to_accept, 1)),
    "prescriptions.requestCancel": (
        "hospital",
        lambda w: (w.order_segment, w.orders.accepted, 1),
    ),
    "prescriptions.accept": ("pharmacy", lambda w: w.code()),
    "prescriptions.returnToPool": ("pharmacy", lambda w: (w.orders.accepted, 1)),
    "prescriptions.review": ("pharmacy", lambda w: (w.orders.accepted, ROOT)),
    "prescriptions.dispense": ("pharmacy", lambda w: (w.orders.accepted, [1], 0, ROOT, ROOT)),
    "prescriptions.withdrawDispensing": ("pharmacy", lambda w: (w.orders.dispensed, 1)),
    "prescriptions.handOver": ("pharmacy", lambda w: (w.orders.dispensed, w.courier)),
    "prescriptions.takeBack": ("pharmacy", lambda w: (w.orders.left_behind,)),
    "prescriptions.offer": ("courier", lambda w: (w.orders.in_transit, w.courier)),
    "prescriptions.takeOver": ("courier", lambda w: (w.orders.offered,)),
    "prescriptions.failDelivery": ("courier", lambda w: (w.orders.in_transit, 1)),
    "policies.setPolicy": ("other_supervisor", lambda w: (1, 1, 1, 1, 1, True, True, True)),
    "licences.renew": (
        "authority",
        lambda w: (w.licence_segment, w.permits.regular, w.end + 1, 1),
    ),
    "licences.suspend": ("authority", lambda w: (w.licence_segment, w.permits.regular, 1)),
    "licences.lift": ("authority", lambda w: (w.licence_segment, w.permits.suspended, 1)),
    "licences.revoke": ("authority", lambda w: (w.licence_segment, w.permits.regular, 1)),
    "records.anchorReads": ("hospital", lambda w: (w.yesterday, 1, ROOT)),
    "institutions.accredit": ("other_supervisor", lambda w: (1, 0, ROOT, 1, w.end, NEW_KEY)),
    "institutions.renew": ("other_supervisor", lambda w: (w.hospital, w.end)),
    "institutions.suspend": ("other_supervisor", lambda w: (w.hospital, 1)),
    "institutions.reinstate": ("other_supervisor", lambda w: (w.suspended,)),
}
"""Every write function that an institution's key may call: who calls it, and with what."""

KIND_OF = {
    "hospital": Kind.HOSPITAL,
    "pharmacy": Kind.PHARMACY,
    "courier": Kind.COURIER,
    "payer": Kind.PAYER,
    "authority": Kind.AUTHORITY,
    "other_supervisor": Kind.SUPERVISOR,
}


@pytest.fixture
def attempt(contracts, institutions, roles, payer, supervisor, world):
    """Carries out one of `ACTS` by its own role or by another account."""

    def account_of(role):
        return payer if role == "payer" else getattr(roles, role)

    def act(name, by=None):
        role, arguments = ACTS[name]
        contract, function = name.split(".")
        method = getattr(contracts[contract], function)
        return method(*arguments(world), sender=by or account_of(role))

    def prepare(name):
        contract, function = name.split(".")
        if function == "unpause":
            contracts[contract].pause(sender=supervisor)
        if function == "reinstate":
            institutions.suspend(world.suspended, 1, sender=supervisor)
        return account_of(ACTS[name][0])

    return SimpleNamespace(act=act, prepare=prepare)


@pytest.mark.parametrize("name", ACTS)
def test_act__active_institution__is_accepted(attempt, name):
    attempt.prepare(name)

    receipt = attempt.act(name)

    assert not receipt.failed
    assert len(receipt.events) >= 1


@pytest.mark.parametrize("name", ACTS)
def test_act__suspended_institution__is_refused(
    institutions, ids, supervisor, attempt, refused, name
):
    account = attempt.prepare(name)
    institutions.suspend(ids[account], 1, sender=supervisor)

    with refused(institutions.InstitutionIsSuspended, institution=ids[account]):
        attempt.act(name)


@pytest.mark.parametrize("name", ACTS)
def test_act__removed_operator__is_refused(institutions, supervisor, attempt, refused, name):
    account = attempt.prepare(name)
    institutions.removeOperator(account, sender=supervisor)

    with refused(institutions.NotAnOperator, account=account):
        attempt.act(name)


@pytest.mark.parametrize("name", ACTS)
def test_act__institution_of_another_kind__is_refused(
    institutions, ids, courier, hospital, attempt, refused, name
):
    attempt.prepare(name)
    role = ACTS[name][0]
    intruder = hospital if role == "courier" else courier

    with refused(institutions.KindMissing, institution=ids[intruder], kind=KIND_OF[role]):
        attempt.act(name, by=intruder)


@pytest.mark.parametrize(
    "name",
    ["invoices.issue", "prescriptions.accept", "prescriptions.failDelivery", "claims.settle"],
)
def test_act__a_second_after_the_accreditation__is_refused(
    institutions, ids, supervisor, chain, attempt, refused, name
):
    account = attempt.prepare(name)
    end = chain.pending_timestamp + 100
    institutions.renew(ids[account], end, sender=supervisor)
    chain.pending_timestamp = end + 1

    with refused(
        institutions.OutsideAccreditation, institution=ids[account], validFrom=1, validUntil=end
    ):
        attempt.act(name)


def test_acts__every_write_function_of_an_institution__is_in_the_table(contracts):
    # Functions that anyone may call: the proof, or the patient's signature, is the authority, or
    # that of each act in it; the escrow's `pay` is for Claims alone. The keys of an institution
    # have their rules in test_institutions.py.
    anyone = {
        "invoices.open",
        "licences.open",
        "records.open",
        "records.grant",
        "records.revoke",
        "prescriptions.deliver",
        "prescriptions.multicall",
        "escrow.pay",
        "payments.pay",
        "payments.confirm",
        "institutions.addOperator",
        "institutions.removeOperator",
    }
    written = {
        (name, method.selector)
        for name, contract in contracts.items()
        for method in contract.contract_type.mutable_methods
    }
    expected = sorted(f"{name}.{selector.partition('(')[0]}" for name, selector in written)

    assert sorted([*anyone, *ACTS]) == expected
