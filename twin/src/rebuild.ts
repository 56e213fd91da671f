/** The state of a deployment, rebuilt from its events alone. */

import type { Deployment } from "./chain.js";
import { canonicalOfAnySize, type Json } from "./json.js";
import { RULES } from "./rules.js";
import { State, Status, type Claim } from "./state.js";

/** The state after a block, as canonical JSON in which every integer is text. */
export async function stateOf(deployment: Deployment, lastBlock: number): Promise<string> {
  const contracts = deployment.contracts();
  const state = new State(contracts);
  for (const event of await deployment.events(contracts, lastBlock)) RULES[event.name]!(state, event);
  const time = (await deployment.node.timesOf([lastBlock])).get(lastBlock)!;
  const { terms, ...shown } = state;
  return canonicalOfAnySize(plain({ ...shown, usage: usageOf(state, time), block: BigInt(lastBlock), time }));
}

/** What is locked and reimbursed of each bill at a time; fixed benefits take nothing of it. */
function usageOf(state: State, time: bigint): Map<bigint, { locked: bigint; reimbursed: bigint }> {
  const usage = new Map<bigint, { locked: bigint; reimbursed: bigint }>();
  for (const [number, claims] of state.claims) {
    const counted = [...claims.values()].filter(({ fixedBenefit }) => !fixedBenefit);
    const sum = (which: (claim: Claim) => boolean) =>
      counted.filter(which).reduce((total, { amount }) => total + amount, 0n);
    usage.set(number, {
      locked: sum(({ status, until }) => status === Status.Locked && time <= until),
      reimbursed: sum(({ status }) => status >= Status.Settled),
    });
  }
  return usage;
}

function plain(value: unknown): Json {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [String(key), plain(item)]));
  if (typeof value === "object" && value !== null) return plain(new Map(Object.entries(value)));
  return value as boolean | string;
}
