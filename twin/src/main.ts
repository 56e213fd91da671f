/**
 * The twin's command line.
 *
 *     node main.js verify EVIDENCE... [--rpc URL --manifest FILE] [--at TIME]
 *     node main.js state --rpc URL --manifest FILE
 *     node main.js vectors FILE
 *     node main.js tables
 *     node main.js lines
 *
 * Exit codes: 0 done, 1 unexpected, 2 wrong command line, 5 evidence does not hold, 6 the chain
 * cannot be used, 7 a file or the manifest is missing or wrong.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ChainFault, Deployment, ManifestFault, Node } from "./chain.js";
import { CURRENCIES } from "./currencies.js";
import { EVENTS, topicsOf } from "./events.js";
import { EvidenceFault, numberText, verifyOffline } from "./evidence.js";
import { parse } from "./json.js";
import { stateOf } from "./rebuild.js";
import { recomputed } from "./vectors.js";
import { verifyOnChain, type Witness } from "./verify.js";

class UsageFault extends Error {}
type Answer = Record<string, unknown> & { holds: boolean };
const OFFLINE = ["format", "fields", "header", "path"];

async function main(args: string[]): Promise<number> {
  const { positionals, values } = options(args);
  const [command, ...files] = positionals;
  if (command === "verify" && files.length > 0) return verify(files, values);
  if (command === "state" && files.length === 0) return state(values);
  if (command === "vectors" && files.length === 1) return vectors(files[0]!);
  if (command === "tables" && files.length === 0) return tables();
  if (command === "lines" && files.length === 0) return lines();
  throw new UsageFault("expected verify EVIDENCE..., state, vectors FILE, tables or lines");
}

function options(args: string[]) {
  try {
    const text = { type: "string" } as const;
    return parseArgs({ args, allowPositionals: true, options: { rpc: text, manifest: text, at: text } });
  } catch (error) {
    throw new UsageFault((error as Error).message);
  }
}
type Options = ReturnType<typeof options>["values"];

async function verify(files: string[], given: Options): Promise<number> {
  if (given.at !== undefined && !/^[0-9]{1,15}$/.test(given.at)) throw new UsageFault("--at takes Unix seconds");
  const witness = given.rpc || given.manifest || given.at ? await connect(given) : undefined;
  const answers: Answer[] = [];
  for (const file of files) answers.push({ file, ...(await verdict(readFile(file), witness)) });
  print({ files: answers });
  return answers.every(({ holds }) => holds) ? 0 : 5;
}

async function connect(given: Options): Promise<Witness> {
  if (!given.rpc || !given.manifest) throw new UsageFault("--rpc URL and --manifest FILE belong together");
  const deployment = await Deployment.connect(new Node(given.rpc), readFile(given.manifest));
  const lastBlock = await deployment.node.latest();
  const time = given.at ? BigInt(given.at) : (await deployment.node.timesOf([lastBlock])).get(lastBlock)!;
  return { deployment, lastBlock, time };
}

async function verdict(file: Uint8Array, witness?: Witness): Promise<Answer> {
  try {
    const { evidence, headHash } = verifyOffline(file);
    const found = { holds: true, number: numberText(evidence.number), kind: evidence.kind, headHash };
    if (!witness) return { ...found, steps: OFFLINE };
    const issuer = await verifyOnChain(evidence, headHash, witness);
    return { ...found, steps: [...OFFLINE, "anchor", "issuer", "status"], institution: Number(issuer) };
  } catch (fault) {
    if (!(fault instanceof EvidenceFault)) throw fault;
    return { holds: false, step: fault.step, error: fault.error, reason: fault.message };
  }
}

async function state(given: Options): Promise<number> {
  const { deployment, lastBlock } = await connect(given);
  process.stdout.write(`${await stateOf(deployment, lastBlock)}\n`);
  return 0;
}

function vectors(file: string): number {
  print(recomputed(parse(readFile(file))));
  return 0;
}

/** What was copied from elsewhere, so that a test can compare: events by topic, and currencies. */
function tables(): number {
  const events = Object.keys(EVENTS).map((contract) => [contract, topicsOf(contract)]);
  const currencies = [...CURRENCIES].map(([letters, number]) => [letters, Number(number)]);
  print({ events: Object.fromEntries(events), currencies: Object.fromEntries(currencies) });
  return 0;
}

/** Answers each line of standard input, an evidence file in base64, with its offline verdict. */
async function lines(): Promise<number> {
  for await (const line of createInterface({ input: process.stdin })) {
    print(await verdict(Buffer.from(line, "base64")));
  }
  return 0;
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ManifestFault((error as Error).message);
  }
}

function print(answer: unknown): void {
  const plain = (_: string, value: unknown) => (value instanceof Map ? Object.fromEntries(value) : value);
  process.stdout.write(`${JSON.stringify(answer, plain)}\n`);
}

function codeOf(fault: unknown): number {
  if (fault instanceof UsageFault) return 2;
  if (fault instanceof ChainFault) return 6;
  return fault instanceof ManifestFault ? 7 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (fault) {
  process.exitCode = codeOf(fault);
  process.stderr.write(`twin: ${process.exitCode === 1 ? (fault as Error).stack : (fault as Error).message}\n`);
}
