/** Strict JSON, and its canonical form (docs/protocol.md, section 3). */

/** A number with a fraction or an exponent: it can be read, and has no place in any format. */
export class Fraction {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
export type Json = null | boolean | bigint | string | Fraction | Json[] | JsonObject;
export type JsonObject = Map<string, Json>;

export class MalformedJson extends Error {}
/** A value that is no part of the restricted RFC 8785. */
export class NoCanonicalForm extends Error {}

const MOST_BYTES = 8388608;
const MOST_CANONICAL_BYTES = 1048576;
const MOST_DEPTH = 64;
const LARGEST_INTEGER = 9007199254740991n;
// No place of any format takes an integer of more digits than 2^64 has.
const MOST_DIGITS = 20;

/** The value of a strict JSON text. */
export function parse(bytes: Uint8Array): Json {
  if (bytes.length > MOST_BYTES) throw new MalformedJson(`more than ${MOST_BYTES} bytes`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new MalformedJson("not UTF-8");
  }
  return new Parser(text).document();
}

/** The canonical JSON of a value, as text. */
export function canonical(value: Json): string {
  const text = canonicalOfAnySize(value);
  if (Buffer.byteLength(text) > MOST_CANONICAL_BYTES) {
    throw new NoCanonicalForm(`more than ${MOST_CANONICAL_BYTES} bytes`);
  }
  return text;
}

export function canonicalOfAnySize(value: Json): string {
  return written(value, 0);
}

function written(value: Json, depth: number): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "bigint") {
    if (value > LARGEST_INTEGER || value < -LARGEST_INTEGER) {
      throw new NoCanonicalForm(`integer ${value} is too large`);
    }
    return String(value);
  }
  if (typeof value === "string") return JSON.stringify(sound(value, NoCanonicalForm));
  if (value instanceof Fraction) throw new NoCanonicalForm(`${value.text} is no integer`);
  if (depth === MOST_DEPTH) throw new NoCanonicalForm(`nested deeper than ${MOST_DEPTH}`);
  if (Array.isArray(value)) return `[${value.map((item) => written(item, depth + 1)).join(",")}]`;
  const names = [...value.keys()].sort();
  const strange = names.find((name) => !/^[\0-\x7f]*$/.test(name));
  if (strange !== undefined) throw new NoCanonicalForm(`key ${strange} is not ASCII`);
  const pairs = names.map((name) => `${written(name, 0)}:${written(value.get(name)!, depth + 1)}`);
  return `{${pairs.join(",")}}`;
}

/** The text, unless it has an unpaired surrogate or is not in normal form C. */
function sound(text: string, Fault: new (reason: string) => Error): string {
  if (/\p{Surrogate}/u.test(text)) throw new Fault("unpaired surrogate");
  if (text.normalize("NFC") !== text) throw new Fault("not in Unicode normal form C");
  return text;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const WORDS: ReadonlyMap<string, Json> = new Map<string, Json>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

class Parser {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  document(): Json {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) this.fail("text after the value");
    return value;
  }

  private value(depth: number): Json {
    this.space();
    const first = this.text[this.at];
    if (first === "{" || first === "[") {
      if (depth === MOST_DEPTH) this.fail(`nested deeper than ${MOST_DEPTH}`);
      this.at += 1;
      return first === "{" ? this.object(depth + 1) : this.array(depth + 1);
    }
    if (first === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  private object(depth: number): JsonObject {
    const members: JsonObject = new Map();
    for (let more = !this.took("}"); more; more = this.goesOn("}")) {
      this.space();
      const name = this.string();
      if (members.has(name)) this.fail(`key ${name} twice`);
      if (!this.took(":")) this.fail("no colon after a key");
      members.set(name, this.value(depth));
    }
    return members;
  }

  private array(depth: number): Json[] {
    const items: Json[] = [];
    for (let more = !this.took("]"); more; more = this.goesOn("]")) items.push(this.value(depth));
    return items;
  }

  private string(): string {
    const from = this.at;
    if (this.text[from] !== '"') this.fail("no string");
    let end = from + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === "\\" ? 2 : 1;
    this.at = Math.min(end + 1, this.text.length);
    try {
      // One string alone: the native reader adds nothing to RFC 8259.
      return sound(JSON.parse(this.text.slice(from, this.at)) as string, MalformedJson);
    } catch (error) {
      return this.fail(error instanceof MalformedJson ? error.message : "no string");
    }
  }

  private number(): Json {
    const [text, fraction, exponent] = this.match(NUMBER, "no value");
    if (fraction !== undefined || exponent !== undefined) return new Fraction(text);
    if (text.length > MOST_DIGITS + 1) this.fail("an integer of too many digits");
    return BigInt(text);
  }

  private match(pattern: RegExp, fault: string): RegExpExecArray {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text) ?? this.fail(fault);
    this.at += found[0].length;
    return found;
  }

  private space(): void {
    this.match(SPACE, "");
  }

  private took(sign: string): boolean {
    this.space();
    if (this.text[this.at] !== sign) return false;
    this.at += 1;
    return true;
  }

  /** Whether a comma follows; else `end` must. */
  private goesOn(end: string): boolean {
    if (this.took(",")) return true;
    if (!this.took(end)) this.fail(`neither a comma nor ${end}`);
    return false;
  }

  private fail(reason: string): never {
    throw new MalformedJson(`${reason}, at character ${this.at}`);
  }
}
