// OpenAI's client for Node, which sends the file before the other fields.

import OpenAI, { AzureOpenAI, toFile } from "openai";
import { SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, assert, several, suite } from "./harness.mjs";

const check = suite("openai");
const client = new OpenAI();

const create = async (content = "hello", name = "hello.jsonl", more = {}) =>
  client.files.create({ file: await toFile(Buffer.from(content), name), purpose: "batch", ...more });
const bytes = async (id) => Buffer.from(await (await client.files.content(id)).arrayBuffer());
const is = (status, said) => (error) => error.status === status && said.test(error.message);
const notFound = is(404, /No such File object: /);

await check("create", async () => {
  const made = await create();
  assert.deepEqual([made.object, made.filename, made.bytes, made.status], ["file", "hello.jsonl", 5, "processed"]);
  const brief = await create("x", "x.jsonl", { expires_after: { anchor: "created_at", seconds: 86_400 } });
  assert.equal(brief.expires_at - brief.created_at, 86_400);
  await assert.rejects(create("x", "x", { purpose: "none" }), is(400, /'none' is not one of/));
  // The class for Azure rejects a base URL together with an endpoint.
  delete process.env.OPENAI_BASE_URL;
  const azure = new AzureOpenAI({ apiVersion: "2024-10-21" });
  const file = await azure.files.create({ file: await toFile(Buffer.from("{}"), "a.jsonl"), purpose: "batch" });
  assert.deepEqual((await azure.files.list()).data.map((found) => found.id), [file.id]);
});

await check("unicode name", async () => assert.equal((await create("x", UNICODE_NAME)).filename, UNICODE_NAME));

await check("empty file", async () => assert.equal((await bytes((await create("")).id)).length, 0));

await check("several MB", async () => assert.deepEqual(await bytes((await create(SEVERAL_MB)).id), SEVERAL_MB));

await check("parts", async () => {
  const about = { bytes: 2, filename: "a.txt", mime_type: "text/plain", purpose: "batch" };
  const upload = await client.uploads.create(about);
  const part = async (content) => (await client.uploads.parts.create(upload.id, { data: await toFile(Buffer.from(content), "part") })).id;
  const [first, last] = [await part("b"), await part("a")];
  await assert.rejects(client.uploads.complete(upload.id, { part_ids: [last] }), is(400, /The parts have 1 bytes/));
  const done = await client.uploads.complete(upload.id, { part_ids: [last, first] });
  assert.equal((await bytes(done.file.id)).toString(), "ab");
  await assert.rejects(client.uploads.cancel(upload.id), is(400, /is completed/));
  assert.equal((await client.uploads.cancel((await client.uploads.create(about)).id)).status, "cancelled");
});

await check("list", async () => {
  const newest = (await several(5, () => create())).map((file) => file.id).reverse();
  const listed = [];
  for await (const file of client.files.list({ limit: 2 })) listed.push(file.id);
  assert.deepEqual(listed.slice(0, 5), newest);
  assert.equal(new Set(listed).size, listed.length);
});

await check("filter", async () => {
  const made = await create("x", "a.png", { purpose: "vision" });
  assert.deepEqual((await client.files.list({ purpose: "vision" })).data.map((file) => file.id), [made.id]);
});

await check("get", async () => {
  const made = await create();
  assert.deepEqual(await client.files.retrieve(made.id), made);
});

await check("content", async () => {
  assert.equal((await bytes((await create()).id)).toString(), "hello");
  const refused = await create("x", "x.txt", { purpose: "user_data" });
  await assert.rejects(bytes(refused.id), is(400, /Not allowed to download files of purpose: user_data/));
});

await check("delete", async () => {
  const made = await create();
  assert.deepEqual(await client.files.delete(made.id), { id: made.id, object: "file", deleted: true });
});

await check("second delete", async () => {
  const made = await create();
  await client.files.delete(made.id);
  await assert.rejects(client.files.delete(made.id), notFound);
});

await check("bad token", async () => {
  const wrong = new OpenAI({ apiKey: WRONG_TOKEN, baseURL: client.baseURL });
  await assert.rejects(wrong.files.list(), is(401, /Incorrect API key provided/));
});

await check("unknown id", () => assert.rejects(client.files.retrieve("file-unknown"), notFound));

await check("vector stores", async () => {
  const { id } = await client.vectorStores.create({ name: "n" });
  const made = await create("x", "a.md", { purpose: "assistants" });
  const attached = await client.vectorStores.files.createAndPoll(id, { file_id: made.id }, { pollIntervalMs: 10 });
  assert.deepEqual([attached.id, attached.status, attached.usage_bytes], [made.id, "completed", 1]);
  const second = await create("x", "b.xyz", { purpose: "assistants" });
  const batch = await client.vectorStores.fileBatches.createAndPoll(id, { file_ids: [second.id] }, { pollIntervalMs: 10 });
  assert.deepEqual([batch.file_counts.failed, batch.file_counts.total], [1, 1]);
  const listed = [];
  for await (const file of client.vectorStores.files.list(id, { limit: 1 })) listed.push(file.id);
  assert.deepEqual(listed, [second.id, made.id]);
  const gone = await client.vectorStores.files.delete(made.id, { vector_store_id: id });
  assert.deepEqual(gone, { id: made.id, object: "vector_store.file.deleted", deleted: true });
  await assert.rejects(client.vectorStores.files.retrieve(made.id, { vector_store_id: id }), is(404, /No file found with id/));
});
