// Anthropic's JavaScript client.

import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, assert, several, suite } from "./harness.mjs";

const check = suite("@anthropic-ai/sdk");
const client = new Anthropic({ maxRetries: 0 });
const { files } = client;
const create = async (content = "hello", name = "hello.txt", more = {}) =>
  files.upload({ file: await toFile(Buffer.from(content), name, { type: "text/plain" }), ...more });
const bytes = async (id) => Buffer.from(await (await files.download(id)).arrayBuffer());
const code = (expected) => (error) => error.error.error.details.error_code === expected;

await check("create", async () => {
  const { type, filename, mime_type, size_bytes, downloadable } = await create();
  assert.deepEqual([type, filename, mime_type, size_bytes, downloadable], ["file", "hello.txt", "text/plain", 5, false]);
  const { expires_at } = await create("x", "x.txt", { expires_in_seconds: 3600 });
  assert.ok(Math.abs(new Date(expires_at) - Date.now() - 3_600_000) < 60_000, expires_at);
  await assert.rejects(create("x", "x.txt", { expires_in_seconds: 60 }), Anthropic.BadRequestError);
  await assert.rejects(create("x", "a:b.txt"), Anthropic.BadRequestError);
});

await check("unicode name", async () => {
  assert.equal((await create("x", UNICODE_NAME)).filename, UNICODE_NAME);
  await assert.rejects(create("x", 'a "quoted" name'), Anthropic.BadRequestError);
});

await check("empty file", async () => assert.equal((await create("")).size_bytes, 0));

await check("several MB", async () => {
  assert.deepEqual(await bytes((await create(SEVERAL_MB, "made-by-tool.bin")).id), SEVERAL_MB);
});

await check("list", async () => {
  const ids = (await several(5, create)).map((file) => file.id);
  const pages = [];
  for await (const page of (await files.list({ limit: 2 })).iterPages()) pages.push(page.data.map((file) => file.id));
  assert.ok(pages.length > 2 && pages.every((page) => page.length <= 2), `${pages}`);
  assert.deepEqual(pages.flat().slice(0, 5), ids.toReversed());
  assert.equal(new Set(pages.flat()).size, pages.flat().length);
  await assert.rejects(async () => files.list({ limit: 1001 }), Anthropic.BadRequestError);
});

await check("filter", async () => {
  const ids = (await several(2, create)).map((file) => file.id);
  const found = await files.list({ ids: [...ids, ids[0], "file_unknown"] });
  assert.deepEqual(found.data.map((file) => file.id), ids.toReversed());
  await assert.rejects(async () => files.list({ ids, limit: 1 }), Anthropic.BadRequestError);
});

await check("get", async () => {
  const made = await create();
  assert.deepEqual(await files.retrieveMetadata(made.id), made);
});

await check("content", async () => {
  assert.equal((await bytes((await create("hello", "made.txt")).id)).toString(), "hello");
  await assert.rejects(async () => files.download((await create()).id), code("file_not_downloadable"));
});

await check("delete", async () => {
  const { id } = await create();
  const gone = await files.delete(id);
  assert.deepEqual([gone.id, gone.type], [id, "file_deleted"]);
});

await check("second delete", async () => {
  const { id } = await create();
  await files.delete(id);
  await assert.rejects(async () => files.delete(id), Anthropic.NotFoundError);
});

await check("bad token", async () => {
  const stranger = new Anthropic({ apiKey: WRONG_TOKEN });
  await assert.rejects(async () => stranger.files.list(), Anthropic.AuthenticationError);
});

await check("unknown id", async () => {
  await assert.rejects(async () => files.retrieveMetadata("file_unknown"), Anthropic.NotFoundError);
  await assert.rejects(async () => files.retrieveMetadata("a/../b ?x"), Anthropic.NotFoundError);
});
