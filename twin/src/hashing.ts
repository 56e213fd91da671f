/** Every hash of docs/protocol.md, sections 4 to 8. */

import { keccak_256, shake256 } from "@noble/hashes/sha3";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils";
import { canonical, type Json } from "./json.js";

/** Bytes are lower-case text with 0x outside of this file; so are addresses. */
export type Hex = string;
export type Value = bigint | boolean | Hex | Value[];
export type Kind = "Invoice" | "Prescription" | "Licence" | "Record";

export const HEADER_TYPES: Readonly<Record<Kind, string>> = {
  Invoice:
    "InvoiceHeader(uint64 number,address patient,uint64 claimable,uint16 currency,bool onHold,uint64 prescription,uint64 prescribed,bytes32 body)",
  Prescription:
    "PrescriptionHeader(uint64 number,address patient,uint40 authoredAt,uint40 validUntil,uint64 licence,uint16 drugClass,uint16[] quantities,uint8 substitutable,uint8 repeats,uint32 interval,bool onHold,bytes32 body)",
  Licence:
    "LicenceHeader(uint64 number,address holder,uint16 licenceType,uint40 validFrom,uint40 validUntil,bytes32 body)",
  Record: "RecordHeader(uint64 number,address patient,uint64 amends,uint8 recordType,bytes32 body)",
};

const LEAF = 0x00;
const NODE = 0x01;
const HEAD = 0x02;
const FIELD = 0x03;
const BODY = 0x04;

type Part = number | string | Uint8Array;

/** keccak256 of joined parts: a number is one byte, text is hexadecimal. */
export function keccak(...parts: Part[]): Hex {
  return toHex(keccak_256(joined(parts)));
}

function joined(parts: Part[]): Uint8Array {
  return concatBytes(
    ...parts.map((part) => {
      if (typeof part === "number") return Uint8Array.of(part);
      return typeof part === "string" ? toBytes(part) : part;
    }),
  );
}

export function toBytes(hex: Hex): Uint8Array {
  return hexToBytes(hex.slice(2));
}

export function toHex(bytes: Uint8Array): Hex {
  return `0x${bytesToHex(bytes)}`;
}

export function text(value: string): Uint8Array {
  return utf8ToBytes(value);
}

/** An unsigned integer of `bits` as big-endian bytes. */
export function uint(value: bigint, bits: number): Uint8Array {
  return hexToBytes(value.toString(16).padStart(bits / 4, "0"));
}

// Section 4: fields and body.

export function saltsOf(secret: Hex, count: number): Hex[] {
  const all = shake256(joined([secret, text("salts")]), { dkLen: 32 * count });
  return Array.from({ length: count }, (_, i) => toHex(all.slice(32 * i, 32 * i + 32)));
}

export function digestOf(salt: Hex, name: string, value: Json): Hex {
  return keccak(FIELD, salt, text(canonical([name, value])));
}

export function bodyOf(names: string[], digests: Hex[]): Hex {
  return keccak(BODY, keccak(text(canonical(names))), ...digests);
}

export function checkCodeOf(secret: Hex): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const first = BigInt(keccak(secret, text("check code")).slice(0, 10)) >> 2n;
  return Array.from({ length: 6 }, (_, i) => letters[Number((first >> BigInt(25 - 5 * i)) & 31n)]).join("");
}

// Sections 5 and 8: typed structs.

export interface Member {
  readonly type: string;
  readonly name: string;
}

/** The members of a type string such as `Name(uint64 number,bool onHold)`. */
export function membersOf(type: string): Member[] {
  const inside = type.slice(type.indexOf("(") + 1, -1);
  return inside.split(",").map((member) => {
    const [kind, name] = member.split(" ");
    return { type: kind!, name: name! };
  });
}

export function structHash(type: string, values: ReadonlyMap<string, Value>): Hex {
  return keccak(keccak(text(type)), ...membersOf(type).map(({ name }) => word(values.get(name)!)));
}

function word(value: Value): Uint8Array {
  if (typeof value === "bigint") return uint(value, 256);
  if (typeof value === "boolean") return uint(value ? 1n : 0n, 256);
  if (typeof value === "string") return uint(BigInt(value), 256);
  return toBytes(keccak(...value.map(word)));
}

export function domainSeparator(chainId: bigint, contract: Hex): Hex {
  const domain = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
  const [name, version] = [keccak(text("medledger")), keccak(text("1"))];
  return keccak(keccak(text(domain)), name, version, word(chainId), word(contract));
}

export function messageDigest(separator: Hex, struct: Hex): Hex {
  return keccak(0x19, 0x01, separator, struct);
}

// Sections 6 and 7: batches.

export interface Head {
  readonly first: bigint;
  readonly count: bigint;
  readonly segment: bigint;
  readonly issuedAt: bigint;
}

export function leafOf(struct: Hex): Hex {
  return keccak(LEAF, struct);
}

function node(left: Hex, right: Hex): Hex {
  return keccak(NODE, left, right);
}

export function rootOf(leaves: Hex[]): Hex {
  if (leaves.length === 1) return leaves[0]!;
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return node(rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
}

/** The root that a path leads to, or null where the path has not the length of its place. */
export function rootOfPath(leaf: Hex, index: bigint, count: bigint, path: Hex[]): Hex | null {
  if (index < 0n || index >= count) return null;
  let [position, last, hash] = [index, count - 1n, leaf];
  for (const sibling of path) {
    if (last === 0n) return null;
    if (position % 2n === 1n || position === last) {
      hash = node(sibling, hash);
      while (position % 2n === 0n && position !== 0n) [position, last] = [position / 2n, last / 2n];
    } else {
      hash = node(hash, sibling);
    }
    [position, last] = [position / 2n, last / 2n];
  }
  return last === 0n ? hash : null;
}

/** The root that a shared path leads to from leaves in order of index; null where it does not fit. */
export function rootOfSharedPath(leaves: (readonly [bigint, Hex])[], count: bigint, path: Hex[]): Hex | null {
  if (leaves.length === 0 || leaves.some(([index]) => index >= count)) return null;
  const rest = [...path];
  let [known, width] = [[...leaves], count];
  while (width > 1n) {
    const above: (readonly [bigint, Hex])[] = [];
    for (let [leaf, ...others] = known; leaf; [leaf, ...others] = others) {
      const [index, hash] = leaf;
      const isLast = index + 1n === width;
      if (index % 2n === 0n && others[0]?.[0] === index + 1n) {
        above.push([index / 2n, node(hash, others.shift()![1])]);
      } else if (index % 2n === 0n && isLast) {
        above.push([index / 2n, hash]);
      } else {
        const next = rest.shift();
        if (next === undefined) return null;
        above.push([index / 2n, index % 2n === 1n ? node(next, hash) : node(hash, next)]);
      }
    }
    [known, width] = [above, (width + 1n) / 2n];
  }
  return rest.length === 0 ? known[0]![1] : null;
}

export function headHash(root: Hex, head: Head): Hex {
  const { first, count, segment, issuedAt } = head;
  return keccak(HEAD, root, uint(first, 64), uint(count, 32), uint(segment, 32), uint(issuedAt, 64));
}
