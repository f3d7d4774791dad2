// The JavaScript client of LlamaCloud.

import LlamaCloud, { toFile } from "@llamaindex/llama-cloud";
import { QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, assert, fetched, several, suite, text } from "./harness.mjs";

const check = suite("@llamaindex/llama-cloud");
const client = new LlamaCloud();
const UNKNOWN = "00000000-0000-4000-8000-000000000000";
const create = async (content = "hello world", name = "hello.txt", more = {}) =>
  client.files.create({ file: await toFile(Buffer.from(content), name), purpose: "user_data", ...more });
const all = async (query) => {
  const found = [];
  for await (const file of client.files.list(query)) found.push(file.id);
  return found;
};
const notFound = LlamaCloud.NotFoundError;

await check("create", async () => {
  const { name, file_type, purpose, expires_at } = await create();
  assert.deepEqual([name, file_type, purpose, expires_at], ["hello.txt", "txt", "user_data", null]);
  await assert.rejects(create("x", "x", { purpose: "nonsense" }), LlamaCloud.UnprocessableEntityError);
});

await check("metadata", async () => {
  // The only metadata that a caller can set.
  const { id } = await create("x", "x.txt", { external_file_id: "ext-1" });
  assert.deepEqual(await all({ external_file_id: "ext-1" }), [id]);
});

await check("unicode name", async () => assert.equal((await create("x", QUOTED_NAME)).name, QUOTED_NAME));

await check("empty file", () => assert.rejects(create(""), LlamaCloud.BadRequestError));

await check("several MB", async () => {
  const { url } = await client.files.content((await create(SEVERAL_MB)).id);
  assert.deepEqual(await fetched(url), [200, SEVERAL_MB]);
});

await check("list", async () => {
  const ids = (await several(5, create)).map((file) => file.id);
  assert.deepEqual((await all({ page_size: 2 })).slice(0, 5), ids.toReversed());
  // A list sent as repeated keys, over three pages.
  const pages = [];
  const first = await client.files.list({ page_size: 2, file_ids: ids, order_by: "id", expand: ["download_url"] });
  for await (const page of first.iterPages()) pages.push(page.items);
  assert.deepEqual(pages.map((page) => page.length), [2, 2, 1]);
  assert.deepEqual(pages.flat().map((file) => file.id), ids.toSorted());
  assert.deepEqual(await text(pages[0][0].download_url.url), [200, "hello world"]);
});

await check("filter", async () => {
  const { id } = await create("x", "only.txt");
  const found = await client.files.query({ filter: { file_name: "only.txt" }, order_by: "name desc", page_size: 5 });
  assert.deepEqual(found.items.map((file) => file.id), [id]);
});

await check("get", async () => {
  const made = await create();
  assert.deepEqual(await client.files.retrieve(made.id), made);
});

await check("content", async () => {
  const { url, form_fields } = await client.files.content((await create()).id);
  assert.deepEqual([await text(url), form_fields], [[200, "hello world"], null]);
  // The storage rejects the token, which clients must not forward.
  assert.equal((await text(url, { authorization: "Bearer any" }))[0], 400);
});

await check("link", async () => {
  const before = Date.now();
  const { url, expires_at } = await client.files.content((await create()).id, { expires_at_seconds: 600 });
  assert.deepEqual(await text(url), [200, "hello world"]);
  assert.ok(Math.abs(new Date(expires_at) - before - 600_000) < 60_000, expires_at);
});

await check("delete", async () => {
  const { id } = await create();
  await client.files.delete(id);
  await assert.rejects(client.files.retrieve(id), notFound);
});

await check("second delete", async () => {
  const { id } = await create();
  await client.files.delete(id);
  await assert.rejects(client.files.delete(id), notFound);
});

await check("bad token", async () => {
  const stranger = new LlamaCloud({ apiKey: WRONG_TOKEN });
  await assert.rejects(() => stranger.files.list(), LlamaCloud.AuthenticationError);
});

await check("unknown id", () => assert.rejects(client.files.content(UNKNOWN), notFound));
