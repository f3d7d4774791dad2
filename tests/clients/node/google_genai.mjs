// Google's JavaScript client for Gemini. It sends nothing for an empty file, and fails. It treats a file with a URI as
// a video, whose URI must begin with https://, so downloads use the name.

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GoogleGenAI } from "@google/genai";
import { QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, assert, several, suite } from "./harness.mjs";

const check = suite("@google/genai");
const httpOptions = { baseUrl: process.env.GOOGLE_GEMINI_BASE_URL };
const client = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY, httpOptions });
const { files } = client;
const create = (content = "Hello, world!", config = {}) =>
  files.upload({ file: new Blob([content]), config: { mimeType: "text/plain", ...config } });
const fails = (status, text) => (error) => error.status === status && error.message.includes(text);
const missing = fails(403, "may not exist");
// Whether the server reports uploaded files as generated.
const isGenerated = "GENERATED" in process.env;
const digest = (content) => createHash("sha256").update(content).digest("hex");

await check("create", async () => {
  const file = await create("Hello, world!", { displayName: "hello.txt" });
  const { displayName, sizeBytes, mimeType, state, source } = file;
  assert.deepEqual([displayName, sizeBytes, mimeType, state, source], ["hello.txt", "13", "text/plain", "ACTIVE", isGenerated ? "GENERATED" : "UPLOADED"]);
  assert.equal(Buffer.from(file.sha256Hash, "base64").toString(), digest("Hello, world!"));
  const path = join(mkdtempSync(join(tmpdir(), "files-")), "path.txt");
  writeFileSync(path, "x");
  assert.equal((await files.upload({ file: path })).displayName, "path.txt");
  assert.equal((await create("x", { name: "my-js-id" })).name, "files/my-js-id");
  await assert.rejects(create("x", { name: "my-js-id" }), fails(409, "ALREADY_EXISTS"));
});

await check("unicode name", async () => {
  assert.equal((await create("x", { displayName: QUOTED_NAME })).displayName, QUOTED_NAME);
});

await check("several MB", async () => {
  const content = Buffer.concat([SEVERAL_MB, SEVERAL_MB, SEVERAL_MB, SEVERAL_MB]);
  const file = await create(content);
  assert.deepEqual([file.sizeBytes, Buffer.from(file.sha256Hash, "base64").toString()], [`${content.length}`, digest(content)]);
});

await check("list", async () => {
  const newest = (await several(5, () => create())).map((file) => file.name).reverse();
  const listed = [];
  for await (const file of await files.list({ config: { pageSize: 2 } })) listed.push(file.name);
  assert.deepEqual(listed.slice(0, 5), newest);
});

await check("get", async () => {
  const file = await create();
  assert.deepEqual((await files.get({ name: file.name })).uri, file.uri);
  assert.deepEqual((await files.get({ name: file.name.replace("files/", "") })).uri, file.uri);
});

await check("content", async () => {
  const { name: file } = await create();
  const downloadPath = join(mkdtempSync(join(tmpdir(), "files-")), "content");
  if (isGenerated) {
    await files.download({ file, downloadPath });
    assert.equal(readFileSync(downloadPath, "utf8"), "Hello, world!");
    return;
  }
  await assert.rejects(files.download({ file, downloadPath }), fails(400, "INVALID_ARGUMENT"));
});

await check("delete", async () => {
  const { name } = await create();
  await files.delete({ name });
  await assert.rejects(files.get({ name }), missing);
});

await check("second delete", async () => {
  const { name } = await create();
  await files.delete({ name });
  await assert.rejects(files.delete({ name }), missing);
  await assert.rejects(files.delete({ name: `batch-${"0".repeat(36)}` }), fails(400, "40 characters"));
});

await check("bad token", async () => {
  const stranger = new GoogleGenAI({ apiKey: WRONG_TOKEN, httpOptions });
  await assert.rejects(stranger.files.list(), fails(400, "API key not valid"));
});

await check("unknown id", () => assert.rejects(files.get({ name: "unknown" }), missing));

await check("own bugs", () => assert.rejects(create("")));
