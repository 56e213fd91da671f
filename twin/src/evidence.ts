/** An evidence file, and the steps of its verification that need no chain (sections 11 and 12). */

import { CURRENCIES } from "./currencies.js";
import * as hashing from "./hashing.js";
import type { Head, Hex, Kind, Value } from "./hashing.js";
import { MalformedJson, NoCanonicalForm, parse, type Json, type JsonObject } from "./json.js";

export type Step = "format" | "fields" | "header" | "path" | "anchor" | "issuer" | "status";

/** Evidence that does not hold: the step that failed, and the protocol's name of the error. */
export class EvidenceFault extends Error {
  readonly step: Step;
  readonly error: string;
  constructor(step: Step, reason: string, error: string = ERRORS[step]) {
    super(reason);
    this.step = step;
    this.error = error;
  }
}
const ERRORS: Readonly<Record<Step, string>> = {
  format: "MalformedEvidence",
  fields: "BodyMismatch",
  header: "HeaderMismatch",
  path: "PathMismatch",
  anchor: "AnchorMismatch",
  issuer: "IssuerMismatch",
  status: "StatusMismatch",
};

export interface Evidence {
  readonly kind: Kind;
  readonly number: bigint;
  readonly header: ReadonlyMap<string, Value>;
  readonly names: string[];
  readonly digests: Hex[];
  readonly fields: ReadonlyMap<string, { salt: Hex; value: Json }>;
  readonly head: Head;
  readonly path: Hex[];
  readonly anchor: { chainId: bigint; ledger: Hex; transaction: Hex };
}

/** Verifies steps `format` to `path`; returns the evidence and the head hash that it leads to. */
export function verifyOffline(file: Uint8Array): { evidence: Evidence; headHash: Hex } {
  const evidence = verifyFormat(file);
  verifyFields(evidence);
  verifyHeader(evidence);
  return { evidence, headHash: hashing.headHash(verifyPath(evidence), evidence.head) };
}

/** A number as files write it. */
export function numberText(number: bigint): string {
  const digits = number.toString().padStart(18, "0");
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
}

// Step format.

function verifyFormat(file: Uint8Array): Evidence {
  try {
    return readEvidence(parse(file));
  } catch (error) {
    if (error instanceof MalformedJson) throw new EvidenceFault("format", error.message);
    throw error;
  }
}

function readEvidence(json: Json): Evidence {
  const file = objectOf(json, "the file", "format kind number header names digests fields head path anchor");
  if (file.get("format") !== "medledger-evidence-1") malformed("format", "not medledger-evidence-1");
  const kind = file.get("kind");
  if (typeof kind !== "string" || !Object.hasOwn(hashing.HEADER_TYPES, kind)) malformed("kind", "unknown");
  const number = readNumber(file.get("number")!, "number");
  const names = listOf(file.get("names")!, "names", 0, 256, (name, place) =>
    typeof name === "string" ? name : malformed(place, "not text"),
  );
  const head = objectOf(file.get("head")!, "head", "first count segment issuedAt");
  const anchor = objectOf(file.get("anchor")!, "anchor", "chainId ledger transaction");
  return {
    kind: kind as Kind,
    number,
    header: readHeader(kind as Kind, number, file.get("header")!),
    names,
    digests: listOf(file.get("digests")!, "digests", 0, 256, (item, place) => bytes(32, item, place)),
    fields: readFields(file.get("fields")!),
    head: {
      first: readNumber(head.get("first")!, "head.first"),
      count: integer(32, head.get("count")!, "head.count"),
      segment: integer(32, head.get("segment")!, "head.segment"),
      issuedAt: integer(64, head.get("issuedAt")!, "head.issuedAt"),
    },
    path: listOf(file.get("path")!, "path", 0, 32, (item, place) => bytes(32, item, place)),
    anchor: {
      chainId: integer(64, anchor.get("chainId")!, "anchor.chainId"),
      ledger: bytes(20, anchor.get("ledger")!, "anchor.ledger"),
      transaction: bytes(32, anchor.get("transaction")!, "anchor.transaction"),
    },
  };
}

/** The header's members, by the types of its EIP-712 string; `number` stands outside of it. */
function readHeader(kind: Kind, number: bigint, json: Json): Map<string, Value> {
  const members = hashing.membersOf(hashing.HEADER_TYPES[kind]).filter(({ name }) => name !== "number");
  const header = objectOf(json, "header", members.map(({ name }) => name).join(" "));
  const values = new Map<string, Value>([["number", number]]);
  for (const { type, name } of members) {
    const read = WRITTEN_AS_TEXT.has(name) ? readReference : readMember;
    values.set(name, read(type, header.get(name)!, `header.${name}`));
  }
  return values;
}

/** Numbers of other documents, which need not fit a JSON number. */
const WRITTEN_AS_TEXT: ReadonlySet<string> = new Set(["licence", "prescription"]);

function readReference(type: string, json: Json, place: string): Value {
  if (typeof json !== "string" || !/^(0|[1-9][0-9]{0,19})$/.test(json)) malformed(place, "not decimal digits");
  return readMember(type, BigInt(json), place);
}

function readMember(type: string, json: Json, place: string): Value {
  if (type.endsWith("[]")) {
    const inner = type.slice(0, -2);
    return listOf(json, place, 1, 5, (item, itsPlace) => readMember(inner, item, itsPlace));
  }
  if (type.startsWith("uint")) return integer(Number(type.slice(4)), json, place);
  if (type === "bool") return typeof json === "boolean" ? json : malformed(place, "not a boolean");
  return bytes(type === "address" ? 20 : 32, json, place);
}

function readFields(json: Json): Map<string, { salt: Hex; value: Json }> {
  if (!(json instanceof Map)) malformed("fields", "not an object");
  const fields = new Map<string, { salt: Hex; value: Json }>();
  for (const [name, opened] of json) {
    const field = objectOf(opened, `field ${name}`, "salt value");
    fields.set(name, { salt: bytes(32, field.get("salt")!, `salt of ${name}`), value: field.get("value")! });
  }
  return fields;
}

function malformed(place: string, reason: string): never {
  throw new EvidenceFault("format", `${place}: ${reason}`);
}

function objectOf(json: Json, place: string, keys: string): JsonObject {
  if (!(json instanceof Map)) malformed(place, "not an object");
  const wanted = keys.split(" ");
  for (const key of wanted) if (!json.has(key)) malformed(place, `${key} is missing`);
  for (const key of json.keys()) if (!wanted.includes(key)) malformed(place, `${key} is unknown`);
  return json;
}

type Read<T> = (item: Json, place: string) => T;

function listOf<T>(json: Json, place: string, least: number, most: number, read: Read<T>): T[] {
  if (!Array.isArray(json)) malformed(place, "not an array");
  if (json.length < least || json.length > most) malformed(place, `not ${least} to ${most} entries`);
  return json.map((item, i) => read(item, `${place}[${i}]`));
}

function integer(bits: number, json: Json, place: string): bigint {
  if (typeof json !== "bigint" || json < 0n || json >= 1n << BigInt(bits)) {
    malformed(place, `not an integer from 0 to below 2^${bits}`);
  }
  return json;
}

function bytes(length: number, json: Json, place: string): Hex {
  if (typeof json !== "string" || !/^0x[0-9a-f]*$/.test(json) || json.length !== 2 + 2 * length) {
    malformed(place, `not 0x and ${length} bytes in lower-case hexadecimal`);
  }
  return json;
}

function readNumber(json: Json, place: string): bigint {
  if (typeof json !== "string" || !/^[0-9]{8}-?[0-9]{10}$/.test(json) || json.startsWith("00000000")) {
    malformed(place, "not a number such as 46060126-0000000017");
  }
  return BigInt(json.replace("-", ""));
}

// Step fields.

function verifyFields({ names, digests, fields, header }: Evidence): void {
  const fail = (reason: string): never => {
    throw new EvidenceFault("fields", reason);
  };
  if (names.length !== digests.length) fail(`${names.length} names and ${digests.length} digests`);
  names.forEach((name, i) => {
    if (i > 0 && Buffer.compare(Buffer.from(names[i - 1]!), Buffer.from(name)) >= 0) {
      fail(`${name} is not in ascending order`);
    }
  });
  for (const [name, { salt, value }] of fields) {
    const place = names.indexOf(name);
    if (place < 0) fail(`${name} is not among the names`);
    if (formal(() => hashing.digestOf(salt, name, value)) !== digests[place]) {
      fail(`${name} is not the value that was sealed`);
    }
  }
  if (formal(() => hashing.bodyOf(names, digests)) !== header.get("body")) {
    fail("names and digests are not those of the header's body");
  }
}

/** A hash over canonical JSON; what has no such form is a fault of the format, found late. */
function formal(hash: () => Hex): Hex {
  try {
    return hash();
  } catch (error) {
    if (error instanceof NoCanonicalForm) throw new EvidenceFault("format", error.message);
    throw error;
  }
}

// Step header.

interface Rule {
  readonly name: string;
  /** Whether the name must be there, must not be there, or may be; by default it must. */
  readonly there?: (e: Evidence) => boolean | "either";
  readonly agrees: (value: Json, e: Evidence) => boolean;
}

const text18 = (member: string) => (value: Json, e: Evidence) =>
  value === e.header.get(member)!.toString().padStart(18, "0");
const same = (name: string, member: string = name): Rule => ({
  name,
  agrees: (value, e) => value === e.header.get(member),
});
const isRedLetter = (e: Evidence): boolean => e.names.includes("relatedInvoiceNumber");
const reversesAll = (e: Evidence): boolean => isRedLetter(e) && e.header.get("claimable") === 0n;
const isLinked = ({ header }: Evidence): boolean =>
  header.get("prescription") !== 0n || header.get("prescribed") !== 0n;
const numberDigits = (e: Evidence): string => e.number.toString().padStart(18, "0");

const RULES: Readonly<Record<Kind, readonly Rule[]>> = {
  Invoice: [
    { name: "EInvoiceCode", agrees: (value, e) => value === numberDigits(e).slice(0, 8) },
    { name: "EInvoiceNumber", agrees: (value, e) => value === numberDigits(e).slice(8) },
    { name: "CurrencyType", agrees: (value, e) => currencyOf(value) === e.header.get("currency") },
    {
      name: "ownPayAmount",
      there: (e) => (reversesAll(e) ? "either" : true),
      agrees: (value, e) => value === e.header.get("claimable") || reversesAll(e),
    },
    {
      name: "relatedInvoiceNumber",
      there: (e) => {
        const isOfNoUse = e.header.get("claimable") === 0n || e.header.get("onHold") === true;
        return isOfNoUse && !isLinked(e) ? "either" : false;
      },
      agrees: () => true,
    },
    { name: "hiRxno", there: isLinked, agrees: text18("prescription") },
    { ...same("prescribedAmount", "prescribed"), there: isLinked },
  ],
  Prescription: [
    { name: "hiRxno", agrees: text18("number") },
    { name: "authoredOn", agrees: (value, e) => secondOf(value) === e.header.get("authoredAt") },
    same("valiEndTime", "validUntil"),
    { name: "licence", agrees: (value, e) => value === String(e.header.get("licence")) },
    same("drugClass"),
    { name: "rxDetail", agrees: linesAgree },
    same("maxReptCnt", "repeats"),
    {
      name: "minInrvDays",
      agrees: (days, e) => typeof days === "bigint" && days * 86400n === e.header.get("interval"),
    },
  ],
  Licence: [
    { name: "licenceNumber", agrees: text18("number") },
    same("licenceType"),
    same("validFrom"),
    same("validUntil"),
  ],
  Record: [
    { name: "recordNumber", agrees: text18("number") },
    same("recordType"),
    { name: "amends", there: (e) => e.header.get("amends") !== 0n, agrees: text18("amends") },
  ],
};

function verifyHeader(e: Evidence): void {
  const fail = (reason: string): never => {
    throw new EvidenceFault("header", reason);
  };
  // Before all else: a currency that does not exist is a fault of the format.
  const currency = e.kind === "Invoice" ? e.fields.get("CurrencyType") : undefined;
  if (currency) currencyOf(currency.value);
  for (const { name, there = () => true, agrees } of RULES[e.kind]) {
    const wanted = there(e);
    if (wanted !== "either" && wanted !== e.names.includes(name)) {
      fail(wanted ? `no field ${name}` : `a field ${name}, which the header excludes`);
    }
    const opened = e.fields.get(name);
    if (opened && !agrees(opened.value, e)) fail(`${name} and the header disagree`);
  }
}

function currencyOf(letters: Json): bigint {
  const number = typeof letters === "string" ? CURRENCIES.get(letters) : undefined;
  if (number === undefined) throw new EvidenceFault("format", "the currency does not exist");
  return number;
}

/** Unix seconds of a time such as `2026-01-05T09:30:00+08:00`; 0 for all before 1970, null for none. */
function secondOf(text: Json): bigint | null {
  const form = /^(?!0000)(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,6})?(?:Z|([+-])(\d{2}):(\d{2}))?$/;
  const [, local, sign, hours, minutes] = (typeof text === "string" && form.exec(text)) || [];
  if (local === undefined || Number(hours ?? 0) > 23 || Number(minutes ?? 0) > 59) return null;
  const time = new Date(`${local}Z`);
  // A date that does not exist is taken for a later one, or for none.
  if (Number.isNaN(time.valueOf()) || time.toISOString() !== `${local}.000Z`) return null;
  const offset = (sign === "-" ? -60 : 60) * (60 * Number(hours ?? 0) + Number(minutes ?? 0));
  return BigInt(Math.max(0, time.valueOf() / 1000 - offset));
}

function linesAgree(lines: Json, { header }: Evidence): boolean {
  const quantities = header.get("quantities") as bigint[];
  if (!Array.isArray(lines) || lines.length !== quantities.length) return false;
  let marks = 0n;
  for (const [i, line] of lines.entries()) {
    if (!(line instanceof Map) || line.get("quantity") !== quantities[i]) return false;
    const isMarked = line.has("substitutable") ? line.get("substitutable") : false;
    if (typeof isMarked !== "boolean") return false;
    if (isMarked) marks |= 1n << BigInt(i);
  }
  return marks === header.get("substitutable");
}

// Step path.

function verifyPath({ kind, header, head, number, path }: Evidence): Hex {
  const leaf = hashing.leafOf(hashing.structHash(hashing.HEADER_TYPES[kind], header));
  const root = hashing.rootOfPath(leaf, number - head.first, head.count, path);
  if (root === null) throw new EvidenceFault("path", "not of the length for the number's place in its batch");
  return root;
}
