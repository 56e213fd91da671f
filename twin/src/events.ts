/** Which events the contracts emit, and how a log becomes one. */

import * as hashing from "./hashing.js";
import type { Hex, Value } from "./hashing.js";

const LEDGER = `
SegmentAllotted(uint32 indexed segment,uint32 indexed institution,uint64 first,uint64 last,bool endorsed,address by)
SegmentWithdrawn(uint32 indexed segment,uint64 first,uint64 last,uint16 reason,address by)
SegmentUsedUp(uint32 indexed segment,uint64 last)
BatchIssued(uint64 indexed first,uint32 indexed segment,uint32 indexed institution,uint32 count,bytes32 root,address by)
BatchEndorsed(uint64 indexed first,uint32 indexed segment,uint32 indexed supervisor,address signer)
DocumentHeld(uint64 indexed number,address by)
DocumentReleased(uint64 indexed number,address by)
Paused(address account)
Unpaused(address account)
`;
// Structs in events. Their members stand in the data one by one, so that each needs a name of its own.
const TERMS = "(uint64 locked,uint64 deadline,uint32 afterPayer,bool fixedBenefit,address payee)";
const DECISION = "(uint64 amount,uint16 reason,bytes32 explanation,bytes32 payment)";

/** The events of each contract, as its interface declares them. */
export const EVENTS: Readonly<Record<string, string>> = {
  Institutions: `
InstitutionAccredited(uint32 indexed institution,uint8 kinds,uint24 region,bytes32 nameHash,uint64 validFrom,uint64 validUntil,address by)
InstitutionRenewed(uint32 indexed institution,uint64 validUntil,address by)
InstitutionSuspended(uint32 indexed institution,uint16 reason,address by)
InstitutionReinstated(uint32 indexed institution,address by)
OperatorAdded(address indexed operator,uint32 indexed institution,address by)
OperatorRemoved(address indexed operator,uint32 indexed institution,address by)
`,
  Invoices: `${LEDGER}
InvoiceOpened(uint64 indexed number,address patient,uint64 claimable,uint16 currency,bool bornOnHold)
InvoiceReversed(uint64 indexed number,uint64 indexed redLetter,uint64 amount,uint16 reason,address by)
InvoicePartlyReversed(uint64 indexed number,uint64 indexed redLetter,uint64 amount,uint64 left,uint16 reason,address by)
InvoiceExchanged(uint64 indexed number,bytes32 paperHash,address by)
PaperVoided(uint64 indexed number,address by)
`,
  Claims: `
ClaimLocked(uint64 indexed number,uint32 indexed payer,uint64 claimable,uint40 until,uint16 sequence,${TERMS} terms,address by)
ClaimSettled(uint64 indexed number,uint32 indexed payer,bool isPaid,${DECISION} decision,address by)
ClaimLockedAndSettled(uint64 indexed number,uint32 indexed payer,uint64 claimable,uint16 sequence,(${TERMS} terms,${DECISION} decision) settlement,address by)
ClaimDenied(uint64 indexed number,uint32 indexed payer,uint16 reason,bytes32 explanation,address by)
ClaimWithdrawn(uint64 indexed number,uint32 indexed payer,uint16 reason,uint16 sequence,address by)
PayerWaived(uint64 indexed number,uint32 indexed payer,uint16 sequence,address by)
PaymentConfirmed(uint64 indexed number,uint32 indexed payer,bytes32 payment,address by)
ClaimRecouped(uint64 indexed number,uint32 indexed payer,uint64 amount,uint16 reason,bytes32 explanation,address by)
ClaimRepaid(uint64 indexed number,uint32 indexed payer,uint64 amount,bytes32 payment,address by)
ClaimBooked(uint64 indexed number,uint32 indexed payer,address by)
BookingRevoked(uint64 indexed number,uint32 indexed payer,uint16 reason,address by)
ClaimArchived(uint64 indexed number,uint32 indexed payer,address by)
`,
  Escrow: `
Deposited(uint32 indexed payer,uint256 amount,address by)
DepositWithdrawn(uint32 indexed payer,address to,uint256 amount,address by)
ClaimPaid(uint64 indexed number,uint32 indexed payer,address payee,uint64 amount)
`,
  Payments: `
AccountSet(uint32 indexed hospital,address account,address by)
BillPaid(uint64 indexed number,uint32 indexed hospital,address payee,uint64 amount,address by)
PaymentStated(uint64 indexed number,uint64 amount,bytes32 payment,address by)
StatementWithdrawn(uint64 indexed number,address by)
StatementConfirmed(uint64 indexed number,address by)
`,
  PrescriptionPolicies: `
PolicySet(uint16 indexed drugClass,uint32 maxValidity,uint8 maxRepeats,uint16 maxQuantity,uint16 withdrawMinutes,bool courierAllowed,bool secondApprover,bool licenceDemanded,address by)
`,
  Prescriptions: `${LEDGER}
PrescriptionOpened(uint64 indexed number,address patient,uint40 authoredAt,uint40 validUntil,uint64 licence,uint16 drugClass,uint16[] quantities,uint8 substitutable,uint8 repeats,uint32 interval,bool bornOnHold)
PrescriptionAccepted(uint64 indexed number,uint32 indexed pharmacy,uint16 sequence,uint40 leaseUntil,address by)
PrescriptionReturned(uint64 indexed number,uint32 indexed pharmacy,uint16 sequence,uint16 reason,address by)
PrescriptionReviewed(uint64 indexed number,uint32 indexed pharmacy,uint16 sequence,bytes32 record,address by)
PrescriptionDispensed(uint64 indexed number,uint32 indexed pharmacy,uint16 sequence,uint16[] quantities,uint8 substituted,bytes32 items,bytes32 record,uint40 leaseUntil,address by)
DispensingWithdrawn(uint64 indexed number,uint32 indexed pharmacy,uint16 sequence,uint16 reason,uint40 leaseUntil,address by)
PrescriptionHandedOver(uint64 indexed number,uint32 indexed pharmacy,uint32 indexed courier,uint16 sequence,uint40 leaseUntil,address by)
ParcelOffered(uint64 indexed number,uint32 indexed courier,uint32 indexed receiver,uint16 sequence,address by)
ParcelTakenOver(uint64 indexed number,uint32 indexed courier,uint32 indexed receiver,uint16 sequence,address by)
DeliveryFailed(uint64 indexed number,uint32 indexed courier,uint16 sequence,uint16 reason,uint40 leaseUntil,address by)
ParcelTakenBack(uint64 indexed number,uint32 indexed pharmacy,uint32 indexed courier,uint16 sequence,uint40 leaseUntil,address by)
PrescriptionDelivered(uint64 indexed number,uint32 indexed courier,uint16 sequence,bool complete,uint40 leaseUntil,address by)
PrescriptionCancelled(uint64 indexed number,uint16 sequence,uint16 reason,address by)
RepeatsCancelled(uint64 indexed number,uint16 sequence,uint8 repeatsLeft,uint16 reason,address by)
CancelRequested(uint64 indexed number,uint16 sequence,uint16 reason,address by)
CancelRefused(uint64 indexed number,uint32 indexed pharmacy,uint16 sequence,address by)
`,
  Licences: `${LEDGER}
LicenceOpened(uint64 indexed number,uint16 licenceType,uint40 validFrom,uint40 validUntil)
LicenceRenewed(uint64 indexed number,uint40 validUntil,uint16 reason,address by)
LicenceSuspended(uint64 indexed number,uint16 reason,address by)
SuspensionLifted(uint64 indexed number,uint16 reason,address by)
LicenceRevoked(uint64 indexed number,uint16 reason,address by)
`,
  Records: `${LEDGER}
RecordOpened(uint64 indexed number,uint32 indexed institution,address patient,uint64 amends,uint8 recordType)
RecordAmended(uint64 indexed number,uint64 indexed amendment,uint64 original)
AccessGranted(uint64 indexed number,uint32 indexed institution,uint8 purpose,uint32 sequence,uint64 until,address by)
AccessRevoked(uint64 indexed number,uint32 indexed institution,uint8 purpose,uint32 sequence,address by)
ReadsAnchored(uint32 indexed institution,uint32 indexed day,uint64 count,bytes32 root,address by)
`,
};

interface Argument extends hashing.Member {
  readonly indexed: boolean;
}
export interface EventType {
  readonly name: string;
  readonly topic: Hex;
  readonly arguments: readonly Argument[];
}
export interface Log {
  readonly address: Hex;
  readonly topics: Hex[];
  readonly data: Hex;
}

/** An event with its place and time. */
export class ChainEvent {
  readonly contract: string;
  readonly name: string;
  readonly time: bigint;
  private readonly values: ReadonlyMap<string, Value>;

  constructor(contract: string, type: EventType, log: Log, time: bigint) {
    this.contract = contract;
    this.name = type.name;
    this.time = time;
    this.values = decode(type, log);
  }

  /** Several arguments by their names, for a record whose members are called the same. */
  take<Name extends string>(...names: Name[]): Record<Name, any> {
    return Object.fromEntries(names.map((name) => [name, this.values.get(name)])) as Record<Name, any>;
  }
  uint(name: string): bigint {
    return this.values.get(name) as bigint;
  }
  uints(name: string): bigint[] {
    return this.values.get(name) as bigint[];
  }
  flag(name: string): boolean {
    return this.values.get(name) as boolean;
  }
  hex(name: string): Hex {
    return this.values.get(name) as Hex;
  }
}

/** Reads `Name(type indexed argument,...)`; the topic is the hash of the types alone. */
function eventType(declaration: string): EventType {
  const name = declaration.slice(0, declaration.indexOf("("));
  const types = declaration.replaceAll(/( indexed)? \w+(?=[,)])/g, "");
  const inside = declaration.slice(name.length).replaceAll(/\) \w+/g, "").replaceAll(/[()]/g, "");
  const all = inside.split(",").map((argument) => {
    const words = argument.split(" ");
    return { type: words[0]!, name: words.at(-1)!, indexed: words.length === 3 };
  });
  return { name, topic: hashing.keccak(hashing.text(types)), arguments: all };
}

const TYPES: ReadonlyMap<string, readonly EventType[]> = new Map(
  Object.entries(EVENTS).map(([contract, text]) => [contract, text.trim().split(/\n+/).map(eventType)]),
);

/** The type of an event of a contract, by its topic; undefined where the contract has none. */
export function typeOf(contract: string, topic: Hex | undefined): EventType | undefined {
  return TYPES.get(contract)!.find((type) => type.topic === topic);
}

/** The topics of a contract's events, by their names. */
export function topicsOf(contract: string): Record<string, Hex> {
  return Object.fromEntries(TYPES.get(contract)!.map(({ name, topic }) => [name, topic]));
}

/** The arguments of a log, by name. */
function decode(type: EventType, log: Log): Map<string, Value> {
  const topics = log.topics.slice(1).map(BigInt);
  const data = words(log.data);
  const values = new Map<string, Value>();
  let place = 0;
  for (const { type: kind, name, indexed } of type.arguments) {
    const raw = indexed ? topics.shift()! : data[place++]!;
    if (kind.endsWith("[]")) {
      const start = Number(raw) / 32 + 1;
      values.set(name, data.slice(start, start + Number(data[start - 1])));
    } else {
      values.set(name, valueOf(kind, raw));
    }
  }
  return values;
}

export function words(data: Hex): bigint[] {
  return Array.from({ length: (data.length - 2) / 64 }, (_, i) => BigInt(`0x${data.slice(2 + 64 * i, 66 + 64 * i)}`));
}

function valueOf(type: string, raw: bigint): Value {
  if (type === "bool") return raw !== 0n;
  if (type.startsWith("uint")) return raw;
  return `0x${raw.toString(16).padStart(type === "address" ? 40 : 64, "0")}`;
}
