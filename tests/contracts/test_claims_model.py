"""Claims against a model of it in plain Python, over a few hundred random steps.

Before each step the model says whether the contract will refuse, and with which error and
arguments; after it, everything that can be read is compared, and the promise itself is checked on
what the chain says: locked + reimbursed <= claimable. The seed is fixed, so that a run can be
repeated; `MEDLEDGER_SEEDS=1,2,3` runs others.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import astuple, dataclass, field, replace
from random import Random

import pytest

from medledger.core.states import Hold, Standing, Status

STEPS = 250
SEEDS = [int(seed) for seed in os.environ.get("MEDLEDGER_SEEDS", "20260105").split(",")]
LATER_LOCKS = 4
"""Payers after the first of a bill that may have a lock at once."""
EXPLANATION, PAYMENT = b"\x01" * 32, b"\x02" * 32


@dataclass(frozen=True)
class Claim:
    amount: int = 0
    until: int = 0
    sequence: int = 0
    status: Status = Status.NONE

    def is_open(self, now):
        return self.status == Status.LOCKED and now <= self.until


@dataclass
class Bill:
    claimable: int
    born_on_hold: bool
    opened: bool = False
    first: int = 0
    """The payer that came first, whatever it did since."""
    hold: Hold = Hold.AS_ISSUED
    standing: Standing = Standing.REGULAR
    red_letter: int = 0
    reimbursed: int = 0
    claims: dict[int, Claim] = field(default_factory=dict)

    def claim(self, payer):
        return self.claims.get(payer, Claim())

    def open_locks(self, now):
        return [claim for claim in self.claims.values() if claim.is_open(now)]

    def later_locks(self, now):
        return [c for p, c in self.claims.items() if p != self.first and c.is_open(now)]

    def locked(self, now):
        return sum(claim.amount for claim in self.open_locks(now))


class Model:
    """What Claims and Invoices promise. `refuse_*` returns (error name, arguments) or None."""

    def __init__(self, bills, lock_period):
        self.bills = bills
        self.lock_period = lock_period
        self.paused = False

    def refuse_standing(self, number):
        bill = self.bills[number]
        if bill.standing == Standing.REVERSED:
            return "InvoiceIsReversed", {"number": number, "redLetter": bill.red_letter}
        if bill.standing == Standing.RED_LETTER:
            return "InvoiceIsRedLetter", {"number": number}
        return None

    def refuse_use(self, number):
        bill = self.bills[number]
        if self.paused:
            return "EnforcedPause", {}
        if found := self.refuse_standing(number):
            return found
        if bill.hold == Hold.HELD or (bill.born_on_hold and bill.hold == Hold.AS_ISSUED):
            return "DocumentIsHeld", {"number": number}
        return None

    def refuse_hold(self, number, wanted):
        bill = self.bills[number]
        if wanted == Hold.HELD:
            return ("DocumentIsHeld", {"number": number}) if bill.hold == Hold.HELD else None
        born_so = bill.opened and bill.born_on_hold and bill.hold == Hold.AS_ISSUED
        is_held = bill.hold == Hold.HELD or born_so
        return None if is_held else ("DocumentNotHeld", {"number": number})

    def refuse_lock(self, number, payer, amount, deadline, well_signed, now):
        # The bill is proven before anything else is looked at.
        if found := self.refuse_use(number):
            return found
        bill = self.bills[number]
        claim = bill.claim(payer)
        if claim.status == Status.SETTLED:
            return "ClaimIsSettled", {"number": number, "payer": payer, "amount": claim.amount}
        if claim.is_open(now):
            return "ClaimIsLocked", {"number": number, "payer": payer, "until": claim.until}
        if amount == 0:
            return "AmountZero", {"number": number}
        remainder = bill.claimable - bill.locked(now) - bill.reimbursed
        if amount > remainder:
            return "OverRemainder", {"number": number, "amount": amount, "remainder": remainder}
        if deadline < now:
            return "AuthorisationExpired", {"number": number, "deadline": deadline}
        if not well_signed:
            return "AuthorisationInvalid", {"number": number, "patient": None}
        if bill.first not in (0, payer) and len(bill.later_locks(now)) >= LATER_LOCKS:
            return "TooManyLocks", {"number": number}
        return None

    def lock(self, number, payer, amount, now):
        self.bills[number].first = self.bills[number].first or payer
        claims = self.bills[number].claims
        sequence = self.bills[number].claim(payer).sequence + 1
        claims[payer] = Claim(amount, now + self.lock_period, sequence, Status.LOCKED)

    def refuse_end(self, number, payer, now):
        claim = self.bills[number].claim(payer)
        if claim.status == Status.SETTLED:
            return "ClaimIsSettled", {"number": number, "payer": payer, "amount": claim.amount}
        if not claim.is_open(now):
            return "ClaimNotLocked", {"number": number, "payer": payer}
        return None

    def refuse_settle(self, number, payer, amount, now):
        if found := self.refuse_end(number, payer, now):
            return found
        locked = self.bills[number].claim(payer).amount
        if amount == 0:
            return "AmountZero", {"number": number}
        if amount > locked:
            return "OverLock", {"number": number, "amount": amount, "locked": locked}
        return None

    def settle(self, number, payer, amount, now):
        bill = self.bills[number]
        bill.claims[payer] = replace(
            bill.claim(payer), amount=amount, until=now, status=Status.SETTLED
        )
        bill.reimbursed += amount

    def deny(self, number, payer, now):
        bill = self.bills[number]
        bill.claims[payer] = replace(bill.claim(payer), amount=0, until=now, status=Status.DENIED)

    def refuse_reverse(self, number, red_letter, now):
        if number == red_letter:
            return "RedLetterIsOriginal", {"number": number}
        for each in (number, red_letter):
            if found := self.refuse_standing(each):
                return found
        for each, may_be_reimbursed in ((number, True), (red_letter, False)):
            locked, reimbursed = self.bills[each].locked(now), self.bills[each].reimbursed
            if locked or (reimbursed and not may_be_reimbursed):
                return "InvoiceInUse", {
                    "number": each,
                    "locked": locked,
                    "reimbursed": reimbursed,
                }
        return None

    def reverse(self, number, red_letter):
        self.bills[number].standing = Standing.REVERSED
        self.bills[number].red_letter = red_letter
        self.bills[red_letter].standing = Standing.RED_LETTER


class Run:
    """One random run: draws a step, predicts it, sends it, and compares."""

    def __init__(self, random, model, ledger, now):
        self.random = random
        self.model = model
        self.ledger = ledger  # the fixtures of the test
        self.now = now
        self.receipts = []
        self.refusals = Counter()

    @property
    def numbers(self):
        return list(self.model.bills)

    def step(self):
        self.now = self.draw_time()
        draw = self.random.choices(
            [self.lock, self.settle, self.deny, self.reverse, self.hold, self.pause],
            weights=[65, 11, 15, 3, 4, 20 if self.model.paused else 2],
        )[0]
        draw()
        self.compare_usage()

    def draw_time(self):
        """Some hours on, or the very end of the next lock to end, or the second after it."""
        ends = [
            claim.until
            for bill in self.model.bills.values()
            for claim in bill.open_locks(self.now)
            if claim.until > self.now
        ]
        if ends and self.random.random() < 0.1:
            return min(ends) + self.random.choice([0, 1])
        return self.now + self.random.randint(1, 8 * 3600)

    def draw_claim(self):
        """A bill and a payer; mostly one that has a lock open now."""
        open_now = [
            (number, account)
            for number, bill in self.model.bills.items()
            for account in self.ledger.payers
            if bill.claim(self.ledger.ids[account]).is_open(self.now)
        ]
        if open_now and self.random.random() < 0.8:
            return self.random.choice(open_now)
        return self.random.choice(self.numbers), self.random.choice(self.ledger.payers)

    def draw_amount(self, limit):
        choices = [limit, limit + 1, 0, 1, self.random.randint(1, max(limit, 1))]
        weights = [12, 6, 2, 10, 70]
        return min(self.random.choices(choices, weights)[0], 2**64 - 1)

    def send(self, refusal, transact, apply):
        self.ledger.chain.pending_timestamp = self.now
        if refusal is None:
            receipt = transact()
            assert receipt.timestamp == self.now
            apply()
            self.receipts.append(receipt)
            return
        name, arguments = refusal
        self.refusals[name] += 1
        contract = next(
            contract
            for contract in (self.ledger.claims, self.ledger.invoices)
            if name in {error.name for error in contract.contract_type.errors}
        )
        # By its ABI alone: both contracts know some of the errors.
        with self.ledger.refused(getattr(contract, name).abi, **arguments):
            transact()

    def lock(self):
        # Most locks go to four bills, which so come to have many at once.
        busy = self.numbers[:4] if self.random.random() < 0.8 else self.numbers
        number, account = self.random.choice(busy), self.random.choice(self.ledger.payers)
        payer = self.ledger.ids[account]
        bill = self.model.bills[number]
        remainder = bill.claimable - bill.locked(self.now) - bill.reimbursed
        amount = self.draw_amount(remainder if self.random.random() < 0.1 else remainder // 8)
        deadline = self.now + self.random.choice([-1, 0, 1_000, 1_000, 1_000])
        sequence = bill.claim(payer).sequence
        well_signed = self.random.random() > 0.08
        signed = sequence if well_signed else sequence + self.random.choice([-1, 1])
        terms, signature = self.ledger.authorise_claim(
            number, account, amount, max(signed, 0), deadline
        )
        well_signed = well_signed or max(signed, 0) == sequence
        refusal = self.model.refuse_lock(number, payer, amount, deadline, well_signed, self.now)
        if refusal and refusal[0] == "AuthorisationInvalid":
            refusal[1]["patient"] = self.ledger.patient.address("Invoice", number)
        self.send(
            refusal,
            lambda: self.ledger.claims.lock(
                *self.ledger.proofs[number], terms, signature, sender=account
            ),
            lambda: self.model.lock(number, payer, amount, self.now),
        )

    def settle(self):
        number, account = self.draw_claim()
        payer = self.ledger.ids[account]
        amount = self.draw_amount(self.model.bills[number].claim(payer).amount)
        self.send(
            self.model.refuse_settle(number, payer, amount, self.now),
            lambda: self.ledger.claims.settle(
                number, (amount, 1, EXPLANATION, PAYMENT), sender=account
            ),
            lambda: self.model.settle(number, payer, amount, self.now),
        )

    def deny(self):
        number, account = self.draw_claim()
        payer = self.ledger.ids[account]
        self.send(
            self.model.refuse_end(number, payer, self.now),
            lambda: self.ledger.claims.deny(number, 1, EXPLANATION, sender=account),
            lambda: self.model.deny(number, payer, self.now),
        )

    def reverse(self):
        # Seldom the busy bills: a reversed bill has seen its last act.
        numbers = self.numbers if self.random.random() < 0.1 else self.numbers[4:]
        number, red_letter = self.random.choice(numbers), self.random.choice(numbers)
        segment = self.ledger.segment
        self.send(
            self.model.refuse_reverse(number, red_letter, self.now),
            lambda: self.ledger.invoices.reverse(
                segment.id, number, segment.id, red_letter, 1, sender=segment.owner
            ),
            lambda: self.model.reverse(number, red_letter),
        )

    def hold(self):
        number = self.random.choice(self.numbers)
        held = [each for each in self.numbers if self.model.bills[each].hold == Hold.HELD]
        wanted = self.random.choice([Hold.HELD, Hold.RELEASED])
        if held and self.random.random() < 0.8:
            number, wanted = self.random.choice(held), Hold.RELEASED
        invoices = self.ledger.invoices
        act = invoices.hold if wanted == Hold.HELD else invoices.release
        bill, segment = self.model.bills[number], self.ledger.segment
        self.send(
            self.model.refuse_hold(number, wanted),
            lambda: act(segment.id, number, sender=segment.owner),
            lambda: setattr(bill, "hold", wanted),
        )

    def pause(self):
        invoices, by = self.ledger.invoices, self.ledger.supervisor
        pause = not self.model.paused and self.random.random() < 0.4
        error = "EnforcedPause" if pause else "ExpectedPause"
        self.send(
            (error, {}) if pause == self.model.paused else None,
            lambda: invoices.pause(sender=by) if pause else invoices.unpause(sender=by),
            lambda: setattr(self.model, "paused", pause),
        )

    def compare_usage(self):
        locked, reimbursed = self.ledger.claims.usagesOf(self.numbers)
        for place, bill in enumerate(self.model.bills.values()):
            assert (locked[place], reimbursed[place]) == (bill.locked(self.now), bill.reimbursed)
            assert locked[place] + reimbursed[place] <= bill.claimable

    def compare_records(self):
        records = self.ledger.invoices.invoicesOf(self.numbers)
        for record, bill in zip(records, self.model.bills.values(), strict=True):
            assert record.standing == bill.standing
        pairs = [(number, payer) for number in self.numbers for payer in self.ledger.payers]
        found = self.ledger.claims.claimsOf(
            [number for number, _ in pairs], [self.ledger.ids[payer] for _, payer in pairs]
        )
        for (number, payer), claim in zip(pairs, found, strict=True):
            found_claim = (claim.amount, claim.until, claim.sequence, claim.status)
            assert found_claim == astuple(self.model.bills[number].claim(self.ledger.ids[payer]))


@dataclass(frozen=True)
class Ledger:
    """The fixtures that a run uses."""

    chain: object
    invoices: object
    claims: object
    ids: object
    payers: tuple
    patient: object
    supervisor: object
    segment: object
    proofs: dict
    authorise_claim: object
    refused: object


@pytest.fixture
def start(
    invoices,
    claims,
    ids,
    payers,
    patient,
    supervisor,
    bill_segment,
    issue_bills,
    authorise_claim,
    refused,
    chain,
    lock_period,
):
    """A run over a dozen bills, one born on hold, two with little to claim."""

    def begin(random):
        bills, proofs = {}, {}
        for count, claimable, on_hold in [
            (2, 1_000_000, False),
            (2, 10_000, False),
            (2, 2**64 - 1, False),
            (3, 600, False),
            (1, 5_000, True),
            (2, 1, False),
        ]:
            batch = issue_bills(count, claimable=claimable, on_hold=on_hold)
            for index in range(count):
                proofs[batch.number(index)] = batch.proof(index)
                if on_hold:
                    # What was born on hold can be released once it is opened.
                    invoices.open(*batch.proof(index), sender=supervisor)
                bills[batch.number(index)] = Bill(claimable, on_hold, opened=on_hold)
        ledger = Ledger(
            chain,
            invoices,
            claims,
            ids,
            payers,
            patient,
            supervisor,
            bill_segment,
            proofs,
            authorise_claim,
            refused,
        )
        return Run(random, Model(bills, lock_period), ledger, chain.pending_timestamp)

    return begin


def rebuilt(receipts):
    """Claims by (bill, payer), and reimbursed by bill, from the events alone."""
    claims, reimbursed = {}, {}
    for receipt in receipts:
        for event in receipt.events:
            match event.event_name:
                case "ClaimLocked":
                    claims[event.number, event.payer] = Claim(
                        event.terms[0], event.until, event.sequence + 1, Status.LOCKED
                    )
                case "ClaimSettled":
                    before, amount = claims[event.number, event.payer], event.decision[0]
                    claims[event.number, event.payer] = Claim(
                        amount, receipt.timestamp, before.sequence, Status.SETTLED
                    )
                    reimbursed[event.number] = reimbursed.get(event.number, 0) + amount
                case "ClaimDenied":
                    before = claims[event.number, event.payer]
                    claims[event.number, event.payer] = Claim(
                        0, receipt.timestamp, before.sequence, Status.DENIED
                    )
    return claims, reimbursed


@pytest.mark.parametrize("seed", SEEDS)
def test_claims__any_sequence_of_acts__never_exceeds_the_claimable_part(start, seed):
    run = start(Random(seed))

    for step in range(STEPS):
        try:
            run.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {step}: {error}") from error

    run.compare_records()
    print(f"seed {seed}: {len(run.receipts)} acts, refused: {dict(run.refusals)}")
    # The run must have been worth its time: enough was done, and refused for many reasons.
    assert len(run.receipts) >= STEPS // 4
    assert len(run.refusals) >= 8
    claims, reimbursed = rebuilt(run.receipts)
    for number, bill in run.model.bills.items():
        assert {
            payer: claim for (of, payer), claim in claims.items() if of == number
        } == bill.claims
        assert reimbursed.get(number, 0) == bill.reimbursed
