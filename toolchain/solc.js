#!/usr/bin/env node
// The Solidity compiler's command line, as far as py-solc-x and ape-solidity use it, over the
// WebAssembly build of the compiler that npm installs beside this file:
//
//     solc.js --version
//     solc.js --standard-json [--base-path DIR] [--include-path DIR]... [--allow-paths A,B] < input.json
//
// Imports are read only from the base path, the include paths and the allowed paths; symbolic
// links that lead out of them are refused. Everything else the native compiler offers is refused.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const USAGE = "expected --version, or --standard-json with --base-path, --include-path, --allow-paths";

/** Writes all of `text`: one write to a pipe stops where the pipe is full. */
function writeAll(descriptor, text) {
  let rest = Buffer.from(text, "utf8");
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(descriptor, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

/** Stops with `message` in the words that py-solc-x recognises for a bad option. */
function fail(message) {
  writeAll(2, `${message}\n`);
  process.exit(1);
}

/** Takes the command line apart; an option's value follows it or an equals sign. */
function parse(words) {
  const options = { version: false, standardJson: false, basePath: null, includePaths: [], allowPaths: [] };
  const queue = words.flatMap((word) => {
    const match = /^(--[a-z-]+)=(.*)$/s.exec(word);
    return match ? [match[1], match[2]] : [word];
  });
  const value = (name) => queue.shift() ?? fail(`option '${name}' needs a value`);

  while (queue.length > 0) {
    const word = queue.shift();
    if (word === "--version") options.version = true;
    else if (word === "--standard-json") options.standardJson = true;
    else if (word === "--base-path") options.basePath = value(word);
    else if (word === "--include-path") options.includePaths.push(value(word));
    else if (word === "--allow-paths") options.allowPaths.push(...value(word).split(",").filter(Boolean));
    else if (word !== "-") fail(`unrecognised option '${word}': ${USAGE}`);
  }
  return options;
}

/** The path with its symbolic links resolved, or null where there is no such file. */
function realPath(file) {
  try {
    return fs.realpathSync(file);
  } catch {
    return null;
  }
}

/** An import callback that reads below the search roots and the allowed paths, nowhere else. */
function importer(options) {
  const roots = [options.basePath ?? process.cwd(), ...options.includePaths];
  const allowed = [...roots, ...options.allowPaths].map(realPath).filter((root) => root !== null);
  const isAllowed = (file) => allowed.some((root) => file === root || file.startsWith(root + path.sep));

  return (name) => {
    const wanted = name.replace(/^file:\/\//, "");
    const found = roots.map((root) => realPath(path.resolve(root, wanted))).find((file) => file !== null);
    if (found === undefined) return { error: `File not found. Searched the following locations: ${roots.join(", ")}.` };
    if (!isAllowed(found)) return { error: "File outside of allowed directories." };
    try {
      return { contents: fs.readFileSync(found, "utf8") };
    } catch (error) {
      return { error: error.message };
    }
  };
}

const options = parse(process.argv.slice(2));
if (!options.version && !options.standardJson) fail(USAGE);

let solc;
try {
  solc = require("solc");
} catch (error) {
  if (error.code !== "MODULE_NOT_FOUND") throw error;
  fail('the compiler is not installed: run "make setup"');
}
// Emscripten turns an uncaught error into a dump of the whole compiler: let Node report it.
process.removeAllListeners("uncaughtException");

if (options.version) {
  writeAll(1, `solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  writeAll(1, solc.compile(fs.readFileSync(0, "utf8"), { import: importer(options) }));
}
