/** Computes anew what tests/vectors/hashing.json holds, so that a test can compare (section 14). */

import * as hashing from "./hashing.js";
import type { Hex, Kind, Value } from "./hashing.js";
import type { Json, JsonObject } from "./json.js";

/** The type strings of section 8. */
const MESSAGES = [
  "ClaimAuthorisation(uint64 number,uint32 payer,uint64 amount,uint32 sequence,uint64 deadline,uint32 afterPayer,bool fixedBenefit,address payee)",
  "ClaimWithdrawal(uint64 number,uint32 payer,uint16 reason,uint32 sequence,uint64 deadline)",
  "PayerWaiver(uint64 number,uint32 payer,uint32 sequence,uint64 deadline)",
  "PaymentConfirmation(uint64 number,uint32 payer,bytes32 payment,uint64 deadline)",
  "BillPayment(uint64 number,uint64 amount,bytes32 payment,uint64 deadline)",
  "AcceptAuthorisation(uint64 number,uint32 pharmacy,uint16 sequence,uint64 deadline)",
  "DeliveryConfirmation(uint64 number,uint16 sequence,uint16[5] quantities,uint64 deadline)",
  "AccessGrant(uint64 number,uint32 institution,uint8 purpose,uint32 sequence,uint64 until)",
  "AccessRevocation(uint64 number,uint32 institution,uint8 purpose,uint32 sequence)",
  "BatchEndorsement(uint32 segment,uint64 first,uint32 count,bytes32 root,uint64 deadline)",
  "OperatorConsent(uint32 institution,uint64 deadline)",
];

/** The vectors with every hash replaced by the twin's. Signatures and seeds are left out. */
export function recomputed(vectors: Json): JsonObject {
  const file = vectors as Map<string, JsonObject[]>;
  const leaves = file.get("leaves") as unknown as Hex[];
  return new Map<string, Json>([
    ["headers", file.get("headers")!.map(header)],
    ["trees", file.get("trees")!.map((entry) => tree(entry, leaves))],
    ["sharedPaths", file.get("sharedPaths")!.map((entry) => sharedPath(entry, leaves))],
    ["heads", file.get("heads")!.map(head)],
    ["messages", file.get("messages")!.map(message)],
    ["acts", file.get("acts")!.map(message)],
    ["documents", file.get("documents")!.map(document)],
  ]);
}

function header(entry: JsonObject): Json {
  const type = hashing.HEADER_TYPES[entry.get("kind") as Kind];
  const struct = hashing.structHash(type, values(type, entry.get("header") as JsonObject));
  return object({ structHash: struct, leaf: hashing.leafOf(struct) });
}

function tree(entry: JsonObject, leaves: Hex[]): Json {
  const count = entry.get("count") as bigint;
  const paths = entry.get("paths") as JsonObject[];
  return object({
    root: hashing.rootOf(leaves.slice(0, Number(count))),
    roots: paths.map((path) => {
      const index = path.get("index") as bigint;
      return hashing.rootOfPath(leaves[Number(index)]!, index, count, path.get("path") as Hex[]);
    }),
  });
}

function sharedPath(entry: JsonObject, leaves: Hex[]): Json {
  const known = (entry.get("indexes") as bigint[]).map((index) => [index, leaves[Number(index)]!] as const);
  return object({ root: hashing.rootOfSharedPath(known, entry.get("count") as bigint, entry.get("path") as Hex[]) });
}

function head(entry: JsonObject): Json {
  const [first, count, segment, issuedAt] = ["first", "count", "segment", "issuedAt"].map((key) =>
    BigInt(entry.get(key) as string),
  ) as [bigint, bigint, bigint, bigint];
  return object({ hash: hashing.headHash(entry.get("root") as Hex, { first, count, segment, issuedAt }) });
}

function message(entry: JsonObject): Json {
  const type = MESSAGES.find((candidate) => candidate.startsWith(`${entry.get("type") as string}(`))!;
  const domainSeparator = hashing.domainSeparator(BigInt(entry.get("chainId") as string), entry.get("contract") as Hex);
  const structHash = hashing.structHash(type, values(type, entry.get("message") as JsonObject));
  return object({ domainSeparator, structHash, digest: hashing.messageDigest(domainSeparator, structHash) });
}

function document(entry: JsonObject): Json {
  const fields = entry.get("fields") as JsonObject;
  const names = [...fields.keys()].sort();
  const salts = hashing.saltsOf(entry.get("secret") as Hex, names.length);
  const digests = names.map((name, i) => hashing.digestOf(salts[i]!, name, fields.get(name)!));
  const type = hashing.HEADER_TYPES[entry.get("kind") as Kind];
  const struct = hashing.structHash(type, values(type, entry.get("header") as JsonObject));
  return object({
    checkCode: hashing.checkCodeOf(entry.get("secret") as Hex),
    salts,
    digests,
    body: hashing.bodyOf(names, digests),
    structHash: struct,
    leaf: hashing.leafOf(struct),
  });
}

/** The members of a typed struct, as the vectors write them: large integers as text. */
function values(type: string, json: JsonObject): Map<string, Value> {
  return new Map(hashing.membersOf(type).map(({ type: kind, name }) => [name, value(kind, json.get(name)!)]));
}

function value(type: string, json: Json): Value {
  if (Array.isArray(json)) return json.map((item) => value("uint", item));
  return type.startsWith("uint") ? BigInt(json as string) : (json as Value);
}

function object(members: Record<string, Json>): Json {
  return new Map(Object.entries(members));
}
