/** What a deployment holds (docs/protocol.md, section 18). */

import { ChainFault, LEDGERS } from "./chain.js";
import type { ChainEvent } from "./events.js";
import type { Hex } from "./hashing.js";

export const NOBODY: Hex = `0x${"0".repeat(40)}`;
export const NO_PAYMENT: Hex = `0x${"0".repeat(22)}`;
export const NO_LINES: readonly bigint[] = [0n, 0n, 0n, 0n, 0n];
export const Standing = { Regular: 0n, Reversed: 1n, RedLetter: 2n, PartlyReversed: 3n, OnPaper: 4n } as const;
export const Status = {
  Locked: 1n,
  Withdrawn: 2n,
  Denied: 3n,
  Waived: 4n,
  Settled: 5n,
  Booked: 6n,
  Archived: 7n,
} as const;
export const Where = {
  Available: 1n,
  Accepted: 2n,
  Dispensed: 3n,
  InTransit: 4n,
  Delivered: 5n,
  Cancelled: 6n,
} as const;

// What a contract holds of something that no event has told of yet: all zero.

const ledger = () => ({
  paused: false,
  segments: new Map<bigint, Segment>(),
  heads: new Map<bigint, Hex>(),
  holds: new Map<bigint, bigint>(),
});
const invoice = () => ({
  patient: NOBODY,
  claimable: 0n,
  currency: 0n,
  bornOnHold: false,
  standing: 0n,
  reversed: 0n,
  reversedBy: 0n,
  originalOf: 0n,
});
const claim = () => ({
  amount: 0n,
  until: 0n,
  sequence: 0n,
  status: 0n,
  fixedBenefit: false,
  isPaid: false,
  payment: NO_PAYMENT,
  recouped: 0n,
});
const prescription = () => ({
  patient: NOBODY,
  remaining: [...NO_LINES],
  parcel: [...NO_LINES],
  pharmacy: 0n,
  courier: 0n,
  leaseUntil: 0n,
  deliveredAt: 0n,
  sequence: 0n,
  state: 0n,
  lines: 0n,
  substitutable: 0n,
  repeatsLeft: 0n,
  withdrawMinutes: 0n,
  bornOnHold: false,
  courierAllowed: false,
  secondApprover: false,
  reviewed: false,
  cancelRequested: false,
  unconfirmed: false,
});
const licence = () => ({
  licenceType: 0n,
  validFrom: 0n,
  validUntil: 0n,
  suspendedFrom: 0n,
  revokedFrom: 0n,
  interruptions: [] as { since: bigint; until: bigint }[],
});
export type Claim = ReturnType<typeof claim>;
export type Prescription = ReturnType<typeof prescription>;
export type Licence = ReturnType<typeof licence>;

interface Institution {
  kinds: bigint;
  suspended: boolean;
  region: bigint;
  validFrom: bigint;
  validUntil: bigint;
  operators: bigint;
  nameHash: Hex;
}
interface Segment {
  institution: bigint;
  first: bigint;
  next: bigint;
  last: bigint;
  endorsed: boolean;
  withdrawn: boolean;
}
interface Policy {
  withdrawMinutes: bigint;
  courierAllowed: boolean;
  secondApprover: boolean;
}
type Nested<T> = Map<bigint, Map<bigint, T>>;

/** Maps by number, or id. */
export class State {
  readonly institutions = new Map<bigint, Institution>();
  readonly operators = new Map<Hex, { institution: bigint; since: bigint; until: bigint }>();
  readonly ledgers: Map<string, ReturnType<typeof ledger>>;
  readonly invoices = new Map<bigint, ReturnType<typeof invoice>>();
  readonly claims: Nested<Claim> = new Map();
  readonly deposits = new Map<bigint, bigint>();
  readonly accounts = new Map<bigint, Hex>();
  readonly payments = new Map<bigint, { payee: Hex; amount: bigint; status: bigint; payment: Hex }>();
  readonly policies = new Map<bigint, Policy>();
  readonly prescriptions = new Map<bigint, Prescription>();
  readonly licences = new Map<bigint, Licence>();
  readonly records = new Map<bigint, { patient: Hex; institution: bigint; recordType: bigint }>();
  readonly amendments = new Map<bigint, bigint[]>();
  readonly grants: Map<bigint, Nested<{ until: bigint; sequence: bigint }>> = new Map();
  readonly reads: Nested<{ root: Hex; count: bigint }> = new Map();
  /** What the next fill of a prescription begins with; in no contract, so no part of the state. */
  readonly terms = new Map<bigint, { quantities: bigint[]; drugClass: bigint }>();

  /** `contracts` are those of the deployment: an old one has fewer ledgers. */
  constructor(contracts: readonly string[]) {
    const ledgers = Object.values(LEDGERS).filter((name) => contracts.includes(name));
    this.ledgers = new Map(ledgers.map((name) => [name, ledger()]));
  }

  ledger(event: ChainEvent) {
    return known(this.ledgers, event.contract);
  }
  invoice(number: bigint) {
    return found(this.invoices, number, invoice);
  }
  claim(event: ChainEvent): Claim {
    return found(found(this.claims, event.uint("number"), () => new Map()), event.uint("payer"), claim);
  }
  prescription(event: ChainEvent): Prescription {
    return found(this.prescriptions, event.uint("number"), prescription);
  }
  licence(event: ChainEvent): Licence {
    return found(this.licences, event.uint("number"), licence);
  }
}

export function known<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new ChainFault(`an event about ${key}, of which none told before`);
  return value;
}

export function found<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  if (!map.has(key)) map.set(key, make());
  return map.get(key)!;
}
