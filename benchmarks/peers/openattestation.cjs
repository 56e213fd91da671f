// How fast OpenAttestation seals and verifies the bills of a file, in one process, in memory.
//
//     node openattestation.cjs BILLS.ndjson BATCH
//
// Prints one JSON object: bills a second of wrapDocuments, of verifySignature on objects, and of
// verifySignature on JSON text. Some bills are done once beforehand, for the just-in-time compiler.
"use strict";

const fs = require("node:fs");
const { performance } = require("node:perf_hooks");
const { verifySignature, wrapDocuments } = require("@govtechsg/open-attestation");

const WARM_UP = 300;

// Its schema 2.0 takes no document without an issuer.
const ISSUER = {
  name: "澄迈县人民医院",
  documentStore: "0x1111111111111111111111111111111111111111",
  identityProof: { type: "DNS-TXT", location: "hospital.example" },
};

function read(file) {
  const lines = fs.readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line) => ({ issuers: [ISSUER], ...JSON.parse(line) }));
}

function batches(items, size) {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}

function requireValid(wrapped) {
  if (!verifySignature(wrapped)) throw new Error("a wrapped bill does not verify");
}

function requireTamperingIsSeen(wrapped) {
  const tampered = structuredClone(wrapped);
  tampered.data.TotalAmount += "0";
  if (verifySignature(tampered)) throw new Error("a tampered bill verifies");
}

// Items a second, with what `action` made of each batch.
function timed(groups, action) {
  const count = groups.reduce((total, group) => total + group.length, 0);
  const started = performance.now();
  const made = groups.map(action);
  return [(count / (performance.now() - started)) * 1000, made];
}

function measure(groups) {
  const [wrap, wrapped] = timed(groups, (group) => wrapDocuments(group));
  const texts = wrapped.map((group) => group.map((document) => JSON.stringify(document)));
  const [verify] = timed(wrapped, (group) => group.forEach(requireValid));
  const [verifyJson] = timed(texts, (group) =>
    group.forEach((text) => requireValid(JSON.parse(text))),
  );
  requireTamperingIsSeen(wrapped[0][0]);
  return { wrap, verify, verify_json: verifyJson };
}

const [file, size] = process.argv.slice(2);
const bills = read(file);
measure(batches(bills.slice(0, WARM_UP), Number(size)));
console.log(JSON.stringify(measure(batches(bills, Number(size)))));
