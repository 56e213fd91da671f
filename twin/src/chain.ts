/** A node, asked by `eth_*` alone, and the deployment that a manifest pins. */

import * as hashing from "./hashing.js";
import type { Hex, Kind } from "./hashing.js";
import { ChainEvent, EVENTS, typeOf, words, type Log } from "./events.js";
import { MalformedJson, parse, type Json } from "./json.js";

/** The chain cannot be used: no node, another chain, other contracts, an unknown event. */
export class ChainFault extends Error {}
/** The manifest is not one. */
export class ManifestFault extends Error {}

interface RpcLog extends Log {
  readonly blockNumber: Hex;
  readonly logIndex: Hex;
}
interface Block {
  readonly hash: Hex;
  readonly timestamp: Hex;
}
type Topics = readonly (Hex | null)[];
type Request = readonly [method: string, ...params: unknown[]];

export const LEDGERS: Readonly<Record<Kind, string>> = {
  Invoice: "Invoices",
  Prescription: "Prescriptions",
  Licence: "Licences",
  Record: "Records",
};

const MOST_REQUESTS = 200;
const MOST_BLOCKS = 5000;
const SECONDS_TO_ANSWER = 30;

export class Node {
  private readonly url: string;
  private readonly times = new Map<number, bigint>();

  constructor(url: string) {
    this.url = url;
  }

  async one<T>(...request: Request): Promise<T> {
    return (await this.all<T>([request]))[0]!;
  }

  /** The results of several requests, in their order. */
  async all<T>(requests: readonly Request[]): Promise<T[]> {
    const results: T[] = [];
    for (let i = 0; i < requests.length; i += MOST_REQUESTS) {
      results.push(...(await this.post<T>(requests.slice(i, i + MOST_REQUESTS))));
    }
    return results;
  }

  private async post<T>(requests: readonly Request[]): Promise<T[]> {
    const body = requests.map(([method, ...params], id) => ({ jsonrpc: "2.0", id, method, params }));
    type Answer = { id: number; result?: T; error?: { message: string } };
    let answers: Answer[];
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(SECONDS_TO_ANSWER * 1000),
      });
      answers = (await response.json()) as Answer[];
    } catch (error) {
      throw new ChainFault(`no answer from ${this.url}: ${(error as Error).message}`);
    }
    if (!Array.isArray(answers)) throw new ChainFault("the node does not answer several requests at once");
    return requests.map(([method], id) => {
      const answer = answers.find((candidate) => candidate.id === id);
      if (answer?.result === undefined || answer.result === null) {
        throw new ChainFault(`${method}: ${answer?.error?.message ?? "no result"}`);
      }
      return answer.result;
    });
  }

  async latest(): Promise<number> {
    return Number(await this.one<Hex>("eth_blockNumber"));
  }

  async timesOf(blocks: readonly number[]): Promise<ReadonlyMap<number, bigint>> {
    const missing = [...new Set(blocks)].filter((block) => !this.times.has(block));
    const found = await this.all<Block>(missing.map((block) => ["eth_getBlockByNumber", quantity(block), false]));
    missing.forEach((block, i) => this.times.set(block, BigInt(found[i]!.timestamp)));
    return this.times;
  }

  /** The words that a view answers, as of the latest block. */
  async view(contract: Hex, signature: string, ...args: bigint[]): Promise<bigint[]> {
    const selector = hashing.keccak(hashing.text(signature)).slice(0, 10);
    const data = selector + args.map((value) => value.toString(16).padStart(64, "0")).join("");
    return words(await this.one<Hex>("eth_call", { to: contract, data }, "latest"));
  }

  async logs(filter: object, first: number, last: number): Promise<RpcLog[]> {
    const found: RpcLog[] = [];
    for (let from = first, size = MOST_BLOCKS; from <= last; ) {
      const to = Math.min(from + size - 1, last);
      const range = { ...filter, fromBlock: quantity(from), toBlock: quantity(to) };
      try {
        found.push(...(await this.one<RpcLog[]>("eth_getLogs", range)));
        from = to + 1;
      } catch (error) {
        // Nodes limit ranges, each in its own words: ask for less until one block is too much.
        if (size === 1) throw error;
        size = Math.ceil(size / 2);
      }
    }
    return found;
  }
}

export class Deployment {
  readonly node: Node;
  private readonly block: number;
  private readonly addresses: ReadonlyMap<string, Hex>;
  private readonly names: ReadonlyMap<Hex, string>;
  readonly chainId: bigint;

  private constructor(node: Node, chainId: bigint, block: number, addresses: ReadonlyMap<string, Hex>) {
    this.node = node;
    this.chainId = chainId;
    this.block = block;
    this.addresses = addresses;
    this.names = new Map([...addresses].map(([name, address]) => [address, name]));
  }

  /** The manifest's deployment, once the node has shown its chain, its genesis and its code. */
  static async connect(node: Node, manifest: Uint8Array): Promise<Deployment> {
    const file = readManifest(manifest);
    const chainId = BigInt(await node.one<Hex>("eth_chainId"));
    const genesis = await node.one<Block>("eth_getBlockByNumber", "0x0", false);
    if (chainId !== file.get("chainId") || genesis.hash !== textOf(file, "genesisHash")) {
      throw new ChainFault("WrongChain: the node is of another chain than the manifest");
    }
    const addresses = new Map<string, Hex>();
    for (const [name, contract] of asObject(file.get("contracts"))) {
      const address = textOf(asObject(contract), "address");
      const code = await node.one<Hex>("eth_getCode", address, "latest");
      if (hashing.keccak(code) !== textOf(asObject(contract), "codeHash")) {
        throw new ChainFault(`ContractMissing: other code than ${name}'s at ${address}`);
      }
      addresses.set(name, address);
    }
    return new Deployment(node, chainId, Number(file.get("block")), addresses);
  }

  address(contract: string): Hex {
    return this.addresses.get(contract) ?? missing(contract);
  }

  /** All events of these contracts up to a block, in order; of an event with one of these topics alone. */
  async events(contracts: readonly string[], last: number, topics: Topics = []): Promise<ChainEvent[]> {
    const address = contracts.map((name) => this.address(name));
    const logs = await this.node.logs({ address, topics }, this.block, last);
    const times = await this.node.timesOf(logs.map((log) => Number(log.blockNumber)));
    logs.sort((a, b) => Number(a.blockNumber) - Number(b.blockNumber) || Number(a.logIndex) - Number(b.logIndex));
    return logs.map((log) => {
      const contract = this.names.get(log.address.toLowerCase())!;
      const type = typeOf(contract, log.topics[0]);
      if (!type) throw new ChainFault(`${contract} emitted an event that is not known: ${log.topics[0]}`);
      return new ChainEvent(contract, type, log, times.get(Number(log.blockNumber))!);
    });
  }

  /** The contracts of this deployment whose events are known. */
  contracts(): string[] {
    return [...this.addresses.keys()].filter((name) => Object.hasOwn(EVENTS, name));
  }
}

function missing(contract: string): never {
  throw new ManifestFault(`the manifest has no ${contract}`);
}

function readManifest(bytes: Uint8Array): ReadonlyMap<string, Json> {
  try {
    const file = asObject(parse(bytes));
    if (file.get("format") === "medledger-deployment-1") return file;
  } catch (error) {
    if (!(error instanceof MalformedJson)) throw error;
  }
  throw new ManifestFault("the manifest is no medledger-deployment-1");
}

function asObject(json: Json | undefined): ReadonlyMap<string, Json> {
  if (!(json instanceof Map)) throw new ManifestFault("the manifest is not of its form");
  return json;
}

function textOf(object: ReadonlyMap<string, Json>, key: string): Hex {
  const text = object.get(key);
  if (typeof text !== "string") throw new ManifestFault(`the manifest has no text under ${key}`);
  return text.toLowerCase();
}

function quantity(value: number): Hex {
  return `0x${value.toString(16)}`;
}
