// The xAI provider of the AI SDK, which has no listing.

import { createXai } from "@ai-sdk/xai";
import { SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, assert, suite } from "./harness.mjs";

const check = suite("@ai-sdk/xai");
const connect = (more) => createXai({ baseURL: process.env.XAI_BASE_URL, ...more }).files();
const files = connect();

const upload = (content, filename = "hello.txt", xai = {}) =>
  files.uploadFile({ data: { type: "data", data: Buffer.from(content) }, mediaType: "text/plain", filename, providerOptions: { xai } });
const reference = async (content) => (await upload(content)).providerReference;
const bytes = async (file) => Buffer.from(await new Response((await files.downloadFile({ file })).content).arrayBuffer());
const is = (status, said) => (error) => error.statusCode === status && said.test(error.message);
const notFound = is(404, /not found/);

await check("create", async () => {
  const made = await upload("hello", "hello.txt", { expiresAfter: 86_400, teamId: "team_1" });
  assert.match(made.providerReference.xai, /^file_/);
  assert.deepEqual([made.filename, made.byteSize], ["hello.txt", 5]);
  assert.equal(made.expiresAt - made.createdAt, 86_400_000);
  const stream = new Blob(["streamed"]).stream();
  const streamed = await files.uploadFile({ data: { type: "stream", stream }, mediaType: "text/plain", filename: "s.txt" });
  assert.equal(streamed.byteSize, 8);
});

await check("unicode name", async () => assert.equal((await upload("x", UNICODE_NAME)).filename, UNICODE_NAME));

await check("empty file", async () => assert.equal((await bytes(await reference(""))).length, 0));

await check("several MB", async () => assert.deepEqual(await bytes(await reference(SEVERAL_MB)), SEVERAL_MB));

await check("get", async () => {
  const made = await upload("hello");
  const found = await files.getFileMetadata({ file: made.providerReference });
  assert.deepEqual([found.filename, found.byteSize, found.createdAt], ["hello.txt", 5, made.createdAt]);
});

await check("content", async () => assert.equal((await bytes(await reference("hello"))).toString(), "hello"));

await check("delete", async () => {
  const file = await reference("hello");
  assert.deepEqual((await files.deleteFile({ file })).deleted, true);
  await assert.rejects(files.getFileMetadata({ file }), notFound);
});

await check("second delete", async () => {
  const file = await reference("hello");
  await files.deleteFile({ file });
  await assert.rejects(files.deleteFile({ file }), notFound);
});

await check("bad token", async () => {
  // xAI responds to an invalid key with 400, not 401.
  const file = await reference("hello");
  await assert.rejects(connect({ apiKey: WRONG_TOKEN }).getFileMetadata({ file }), is(400, /: Incorrect API key provided: /));
});

await check("unknown id", () => assert.rejects(files.getFileMetadata({ file: { xai: "file_unknown" } }), notFound));
