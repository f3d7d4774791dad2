// Runs the cases of one client and prints `client | case | result` for each.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const WRONG_TOKEN = "wrong-token";
export const UNICODE_NAME = "naïve résumé 日本.txt";
export const QUOTED_NAME = 'naïve "q" 日本.bin';
export const SEVERAL_MB = Buffer.alloc(5 << 20, Uint8Array.from({ length: 256 }, (_, i) => i));

/** Returns the function that runs a case of an installed client. */
export function suite(name, remark = "") {
  const about = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
  const client = `npm ${name} ${about.version}${remark}`;
  return async (title, run) => {
    let result = "ok";
    try {
      await run();
    } catch (error) {
      console.error(`${client}, ${title}:`, error);
      result = "FAIL";
    }
    console.log(`${client} | ${title} | ${result}`);
  };
}

/** The status and body of a GET request sent without the client. */
export async function fetched(url, headers = {}) {
  const answer = await fetch(url, { headers });
  return [answer.status, Buffer.from(await answer.arrayBuffer())];
}

/** Like `fetched`, with the body as text. */
export async function text(url, headers) {
  const [status, body] = await fetched(url, headers);
  return [status, body.toString()];
}

/** The results of `count` sequential calls of `make`. */
export async function several(count, make) {
  const made = [];
  while (made.length < count) made.push(await make());
  return made;
}

export { assert };
