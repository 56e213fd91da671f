/** The steps of verification that need a chain: anchor, issuer, status (section 12). */

import { LEDGERS, type Deployment } from "./chain.js";
import { topicsOf, type ChainEvent } from "./events.js";
import { EvidenceFault, type Evidence } from "./evidence.js";
import * as hashing from "./hashing.js";
import type { Hex, Kind } from "./hashing.js";

/** What a node is asked about, and up to when. */
export interface Witness {
  readonly deployment: Deployment;
  readonly lastBlock: number;
  readonly time: bigint;
}

/** Verifies the last three steps; returns the institution that issued the document. */
export async function verifyOnChain(evidence: Evidence, headHash: Hex, witness: Witness): Promise<bigint> {
  await verifyAnchor(evidence, headHash, witness.deployment);
  const issuer = await verifyIssuer(evidence, witness.deployment);
  await verifyStatus(evidence, witness);
  return issuer;
}

async function verifyAnchor({ kind, anchor, head }: Evidence, headHash: Hex, deployment: Deployment): Promise<void> {
  const fail = (reason: string): never => {
    throw new EvidenceFault("anchor", reason);
  };
  if (anchor.chainId !== deployment.chainId) fail("the evidence is of another chain");
  const ledger = deployment.address(LEDGERS[kind]);
  if (anchor.ledger !== ledger) fail("the evidence is of another ledger");
  const [held] = await deployment.node.view(ledger, "headHashOf(uint64)", head.first);
  if (held === 0n || held !== BigInt(headHash)) fail("the ledger does not hold this batch");
}

const ISSUER_FIELDS: Readonly<Partial<Record<Kind, string>>> = {
  Invoice: "InvoicingParty",
  Licence: "issuingAuthority",
  Record: "hospital",
};

async function verifyIssuer({ kind, head, fields }: Evidence, deployment: Deployment): Promise<bigint> {
  const ledger = deployment.address(LEDGERS[kind]);
  const [issuer] = await deployment.node.view(ledger, "segmentOf(uint32)", head.segment);
  const institutions = deployment.address("Institutions");
  const institution = await deployment.node.view(institutions, "institutionOf(uint32)", issuer!);
  const party = fields.get(ISSUER_FIELDS[kind] ?? "")?.value;
  const name = party instanceof Map ? party.get("name") : undefined;
  if (typeof name === "string" && BigInt(hashing.keccak(hashing.text(name))) !== institution.at(-1)) {
    throw new EvidenceFault("issuer", `institution ${issuer} issued it, which has another name`);
  }
  return issuer!;
}

async function verifyStatus({ kind, number, header, head }: Evidence, witness: Witness): Promise<void> {
  const { deployment, lastBlock, time } = witness;
  const fail = (reason: string): never => {
    throw new EvidenceFault("status", reason);
  };
  if (head.issuedAt > time) fail("it was issued later");
  const topic: Hex = `0x${number.toString(16).padStart(64, "0")}`;
  const ledger = LEDGERS[kind];
  const all = await deployment.events([ledger], lastBlock, [null, topic]);
  const events = all.filter((event) => event.time <= time);
  const last = (...names: string[]): ChainEvent | undefined => events.findLast(({ name }) => names.includes(name));

  for (const end of ["InvoiceReversed", "PrescriptionCancelled", "LicenceRevoked", "RecordAmended"]) {
    if (last(end)) fail(end);
  }
  if (last("LicenceSuspended", "SuspensionLifted")?.name === "LicenceSuspended") fail("it is suspended");
  if (kind === "Licence") {
    const until = last("LicenceRenewed")?.uint("validUntil") ?? (header.get("validUntil") as bigint);
    if (time < (header.get("validFrom") as bigint) || time > until) fail("it is not valid at this time");
  }
  if (last("InvoiceExchanged", "PaperVoided")?.name === "InvoiceExchanged") fail("it is on paper");
  const hold = last("DocumentHeld", "DocumentReleased")?.name;
  if (hold === "DocumentHeld") fail("it is on hold");
  if (hold === undefined && header.get("onHold") && !(await isPartialRedLetter())) fail("it was born on hold");

  async function isPartialRedLetter(): Promise<boolean> {
    if (kind !== "Invoice") return false;
    const signature = topicsOf(ledger)["InvoicePartlyReversed"]!;
    const reversals = await deployment.events([ledger], lastBlock, [signature, null, topic]);
    return reversals.some((event) => event.time <= time);
  }
}
