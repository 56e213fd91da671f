/** What each event does to the state (docs/protocol.md, section 18). */

import type { ChainEvent } from "./events.js";
import * as hashing from "./hashing.js";
import type { Hex } from "./hashing.js";
import { found, known, NO_LINES, NO_PAYMENT, NOBODY, Standing, Status, Where } from "./state.js";
import type { Licence, Prescription, State } from "./state.js";

// What each event does. Those that leave the state as it is stand here too, so that none is forgotten.

type Rule = (state: State, event: ChainEvent) => void;
const nothing: Rule = () => {};

/** Changes some members of a record. */
function set<T extends object>(record: T, members: Partial<T>): void {
  Object.assign(record, members);
}

const INSTITUTIONS: Readonly<Record<string, Rule>> = {
  InstitutionAccredited: (s, e) =>
    s.institutions.set(e.uint("institution"), {
      ...e.take("kinds", "region", "validFrom", "validUntil", "nameHash"),
      suspended: false,
      operators: 0n,
    }),
  InstitutionRenewed: (s, e) => {
    known(s.institutions, e.uint("institution")).validUntil = e.uint("validUntil");
  },
  InstitutionSuspended: (s, e) => {
    known(s.institutions, e.uint("institution")).suspended = true;
  },
  InstitutionReinstated: (s, e) => {
    known(s.institutions, e.uint("institution")).suspended = false;
  },
  OperatorAdded: (s, e) => {
    const institution = e.uint("institution");
    s.operators.set(e.hex("operator"), { institution, since: e.time, until: 0n });
    known(s.institutions, institution).operators += 1n;
  },
  OperatorRemoved: (s, e) => {
    known(s.operators, e.hex("operator")).until = e.time;
    known(s.institutions, e.uint("institution")).operators -= 1n;
  },
};

const LEDGER: Readonly<Record<string, Rule>> = {
  SegmentAllotted: (s, e) =>
    s.ledger(e).segments.set(e.uint("segment"), {
      ...e.take("institution", "first", "last", "endorsed"),
      next: e.uint("first"),
      withdrawn: false,
    }),
  SegmentWithdrawn: (s, e) => {
    known(s.ledger(e).segments, e.uint("segment")).withdrawn = true;
  },
  SegmentUsedUp: nothing,
  BatchIssued: (s, e) => {
    const [first, count, segment] = [e.uint("first"), e.uint("count"), e.uint("segment")];
    known(s.ledger(e).segments, segment).next = first + count;
    s.ledger(e).heads.set(first, hashing.headHash(e.hex("root"), { first, count, segment, issuedAt: e.time }));
  },
  BatchEndorsed: nothing,
  DocumentHeld: (s, e) => s.ledger(e).holds.set(e.uint("number"), 1n),
  DocumentReleased: (s, e) => s.ledger(e).holds.set(e.uint("number"), 2n),
  Paused: (s, e) => {
    s.ledger(e).paused = true;
  },
  Unpaused: (s, e) => {
    s.ledger(e).paused = false;
  },
};

const INVOICES: Readonly<Record<string, Rule>> = {
  InvoiceOpened: (s, e) => {
    set(s.invoice(e.uint("number")), e.take("patient", "claimable", "currency", "bornOnHold"));
  },
  InvoiceReversed: (s, e) => {
    const [number, redLetter] = [e.uint("number"), e.uint("redLetter")];
    set(s.invoice(number), { standing: Standing.Reversed, reversedBy: redLetter });
    set(s.invoice(redLetter), { standing: Standing.RedLetter, originalOf: number });
  },
  InvoicePartlyReversed: (s, e) => {
    const [number, redLetter] = [e.uint("number"), e.uint("redLetter")];
    const invoice = s.invoice(number);
    invoice.standing = Standing.PartlyReversed;
    invoice.reversed += e.uint("amount");
    set(s.invoice(redLetter), { standing: Standing.RedLetter, originalOf: number });
  },
  InvoiceExchanged: (s, e) => {
    s.invoice(e.uint("number")).standing = Standing.OnPaper;
  },
  PaperVoided: (s, e) => {
    const invoice = s.invoice(e.uint("number"));
    invoice.standing = invoice.reversed === 0n ? Standing.Regular : Standing.PartlyReversed;
  },
};

const ended = (status: bigint): Rule => (s, e) => {
  set(s.claim(e), { status, amount: 0n, until: e.time });
};
const restated = (status: bigint): Rule => (s, e) => {
  s.claim(e).status = status;
};
const locked: Rule = (s, e) => {
  set(s.claim(e), {
    status: Status.Locked,
    amount: e.uint("locked"),
    sequence: e.uint("sequence") + 1n,
    fixedBenefit: e.flag("fixedBenefit"),
    isPaid: false,
    payment: NO_PAYMENT,
  });
};
const settled = (s: State, e: ChainEvent, isPaid: boolean): void => {
  const payment = e.hex("payment").slice(0, NO_PAYMENT.length);
  set(s.claim(e), { status: Status.Settled, amount: e.uint("amount"), until: e.time, isPaid, payment });
};

const CLAIMS: Readonly<Record<string, Rule>> = {
  ClaimLocked: (s, e) => {
    locked(s, e);
    s.claim(e).until = e.uint("until");
  },
  ClaimSettled: (s, e) => settled(s, e, e.flag("isPaid")),
  ClaimLockedAndSettled: (s, e) => {
    locked(s, e);
    settled(s, e, e.hex("payee") !== NOBODY);
  },
  ClaimDenied: ended(Status.Denied),
  ClaimWithdrawn: (s, e) => {
    ended(Status.Withdrawn)(s, e);
    s.claim(e).sequence = e.uint("sequence");
  },
  PayerWaived: (s, e) => {
    ended(Status.Waived)(s, e);
    s.claim(e).sequence = e.uint("sequence");
  },
  PaymentConfirmed: (s, e) => {
    s.claim(e).isPaid = true;
  },
  ClaimRecouped: (s, e) => {
    s.claim(e).recouped += e.uint("amount");
  },
  ClaimRepaid: (s, e) => {
    const [claim, amount] = [s.claim(e), e.uint("amount")];
    claim.amount -= amount;
    claim.recouped = claim.recouped > amount ? claim.recouped - amount : 0n;
  },
  ClaimBooked: restated(Status.Booked),
  BookingRevoked: restated(Status.Settled),
  ClaimArchived: restated(Status.Archived),
};

const paid = (sign: bigint): Rule => (s, e) => {
  s.deposits.set(e.uint("payer"), (s.deposits.get(e.uint("payer")) ?? 0n) + sign * e.uint("amount"));
};
const ESCROW: Readonly<Record<string, Rule>> = {
  Deposited: paid(1n),
  DepositWithdrawn: paid(-1n),
  ClaimPaid: paid(-1n),
};

const NO_REFERENCE: Hex = `0x${"00".repeat(32)}`;
const PAYMENTS: Readonly<Record<string, Rule>> = {
  AccountSet: (s, e) => s.accounts.set(e.uint("hospital"), e.hex("account")),
  BillPaid: (s, e) =>
    s.payments.set(e.uint("number"), {
      payee: e.hex("payee"),
      amount: e.uint("amount"),
      status: 2n,
      payment: NO_REFERENCE,
    }),
  PaymentStated: (s, e) =>
    s.payments.set(e.uint("number"), {
      payee: NOBODY,
      amount: e.uint("amount"),
      status: 1n,
      payment: e.hex("payment"),
    }),
  StatementWithdrawn: (s, e) =>
    s.payments.set(e.uint("number"), { payee: NOBODY, amount: 0n, status: 0n, payment: NO_REFERENCE }),
  StatementConfirmed: (s, e) => {
    known(s.payments, e.uint("number")).status = 2n;
  },
};

const fiveLines = (lines: bigint[]): bigint[] => NO_LINES.map((none, line) => lines[line] ?? none);

/** An act after which somebody has it until `leaseUntil`. */
function moved(p: Prescription, e: ChainEvent, state: bigint): void {
  set(p, { state, sequence: e.uint("sequence"), leaseUntil: e.uint("leaseUntil") });
}
/** An act after which nobody has it. */
function freed(p: Prescription, e: ChainEvent, state: bigint): void {
  set(p, { state, sequence: e.uint("sequence"), leaseUntil: 0n, pharmacy: 0n });
}

function accepted(s: State, e: ChainEvent): void {
  const p = s.prescription(e);
  const { quantities, drugClass } = known(s.terms, e.uint("number"));
  if (p.state === Where.Delivered) {
    set(p, { remaining: fiveLines(quantities), repeatsLeft: p.repeatsLeft - 1n, unconfirmed: false });
  } else if (p.parcel.some((quantity) => quantity !== 0n)) {
    p.unconfirmed = true;
  }
  const { withdrawMinutes, courierAllowed, secondApprover } = known(s.policies, drugClass);
  set(p, { withdrawMinutes, courierAllowed, secondApprover, parcel: [...NO_LINES], courier: 0n });
  set(p, { pharmacy: e.uint("pharmacy"), deliveredAt: 0n, reviewed: false, cancelRequested: false });
  moved(p, e, Where.Accepted);
}

const PRESCRIPTIONS: Readonly<Record<string, Rule>> = {
  PolicySet: (s, e) =>
    s.policies.set(e.uint("drugClass"), {
      ...e.take("maxValidity", "maxRepeats", "maxQuantity", "withdrawMinutes"),
      ...e.take("courierAllowed", "secondApprover", "licenceDemanded"),
    }),
  PrescriptionOpened: (s, e) => {
    const quantities = e.uints("quantities");
    s.terms.set(e.uint("number"), { quantities, drugClass: e.uint("drugClass") });
    set(s.prescription(e), {
      patient: e.hex("patient"),
      remaining: fiveLines(quantities),
      lines: BigInt(quantities.length),
      substitutable: e.uint("substitutable") % 32n,
      repeatsLeft: e.uint("repeats"),
      bornOnHold: e.flag("bornOnHold"),
    });
  },
  PrescriptionAccepted: accepted,
  PrescriptionReturned: (s, e) => freed(s.prescription(e), e, Where.Available),
  PrescriptionReviewed: (s, e) => {
    s.prescription(e).reviewed = true;
  },
  PrescriptionDispensed: (s, e) => {
    const p = s.prescription(e);
    e.uints("quantities").forEach((quantity, line) => {
      p.remaining[line]! -= quantity;
      p.parcel[line]! += quantity;
    });
    moved(p, e, Where.Dispensed);
  },
  DispensingWithdrawn: (s, e) => {
    const p = s.prescription(e);
    p.remaining = p.remaining.map((quantity, line) => quantity + p.parcel[line]!);
    p.parcel = [...NO_LINES];
    moved(p, e, Where.Accepted);
  },
  PrescriptionHandedOver: (s, e) => {
    s.prescription(e).courier = e.uint("courier");
    moved(s.prescription(e), e, Where.InTransit);
  },
  ParcelOffered: nothing,
  ParcelTakenOver: (s, e) => {
    s.prescription(e).courier = e.uint("receiver");
  },
  DeliveryFailed: (s, e) => {
    s.prescription(e).courier = 0n;
    moved(s.prescription(e), e, Where.Dispensed);
  },
  ParcelTakenBack: (s, e) => {
    s.prescription(e).courier = 0n;
    moved(s.prescription(e), e, Where.Dispensed);
  },
  PrescriptionDelivered: (s, e) => {
    const p = s.prescription(e);
    set(p, { parcel: [...NO_LINES], courier: 0n, deliveredAt: e.flag("complete") ? e.time : 0n });
    moved(p, e, e.flag("complete") ? Where.Delivered : Where.Accepted);
  },
  PrescriptionCancelled: (s, e) => {
    s.prescription(e).cancelRequested = false;
    freed(s.prescription(e), e, Where.Cancelled);
  },
  RepeatsCancelled: (s, e) => {
    s.prescription(e).repeatsLeft = 0n;
  },
  CancelRequested: (s, e) => {
    s.prescription(e).cancelRequested = true;
  },
  CancelRefused: (s, e) => {
    s.prescription(e).cancelRequested = false;
  },
};

/** Seconds up to the present one in which a licence was not valid, though it is again. */
function interrupted(licence: Licence, since: bigint, e: ChainEvent): void {
  if (since < e.time) licence.interruptions.push({ since, until: e.time - 1n });
}

const LICENCES: Readonly<Record<string, Rule>> = {
  LicenceOpened: (s, e) => {
    set(s.licence(e), e.take("licenceType", "validFrom", "validUntil"));
  },
  LicenceRenewed: (s, e) => {
    const licence = s.licence(e);
    interrupted(licence, licence.validUntil + 1n, e);
    licence.validUntil = e.uint("validUntil");
  },
  LicenceSuspended: (s, e) => {
    s.licence(e).suspendedFrom = e.time;
  },
  SuspensionLifted: (s, e) => {
    const licence = s.licence(e);
    interrupted(licence, licence.suspendedFrom, e);
    licence.suspendedFrom = 0n;
  },
  LicenceRevoked: (s, e) => {
    s.licence(e).revokedFrom = e.time;
  },
};

const granted = (s: State, e: ChainEvent, until: bigint): void => {
  const ofRecord = found(s.grants, e.uint("number"), () => new Map());
  const ofReader = found(ofRecord, e.uint("institution"), () => new Map());
  ofReader.set(e.uint("purpose"), { until, sequence: e.uint("sequence") + 1n });
};
const RECORDS: Readonly<Record<string, Rule>> = {
  RecordOpened: (s, e) =>
    s.records.set(e.uint("number"), e.take("patient", "institution", "recordType")),
  RecordAmended: (s, e) => {
    found(s.amendments, e.uint("original"), () => []).push(e.uint("amendment"));
  },
  AccessGranted: (s, e) => granted(s, e, e.uint("until")),
  AccessRevoked: (s, e) => granted(s, e, 0n),
  ReadsAnchored: (s, e) => {
    const ofHospital = found(s.reads, e.uint("institution"), () => new Map());
    ofHospital.set(e.uint("day"), { root: e.hex("root"), count: e.uint("count") });
  },
};

export const RULES: Readonly<Record<string, Rule>> = {
  ...INSTITUTIONS,
  ...LEDGER,
  ...INVOICES,
  ...CLAIMS,
  ...ESCROW,
  ...PAYMENTS,
  ...PRESCRIPTIONS,
  ...LICENCES,
  ...RECORDS,
};
