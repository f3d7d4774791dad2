// The JavaScript client of Mistral, which reads no variable for the URL.

import { Mistral } from "@mistralai/mistralai";
import { QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, assert, fetched, several, suite, text } from "./harness.mjs";

const check = suite("@mistralai/mistralai");
const serverURL = process.env.MISTRAL_SERVER_URL;
const client = new Mistral({ apiKey: process.env.MISTRAL_API_KEY, serverURL });
const UNKNOWN = "00000000-0000-4000-8000-000000000000";
const create = (content = "hello world", fileName = "hello.txt", more = {}) =>
  client.files.upload({ file: new File([content], fileName), ...more });
const bytes = async (id) => Buffer.from(await new Response(await client.files.download({ fileId: id })).arrayBuffer());
const status = (expected) => (error) => error.statusCode === expected;

await check("create", async () => {
  const file = await create("hello world", "hello.jsonl", { purpose: "batch", expiry: 48, visibility: "user" });
  assert.deepEqual([file.filename, file.sizeBytes, file.purpose, file.visibility], ["hello.jsonl", 11, "batch", "user"]);
  assert.equal(file.expiresAt, file.createdAt + 48 * 3600);
  await assert.rejects(create("x", "a.zip", { purpose: "ocr" }), status(422));
});

await check("unicode name", async () => assert.equal((await create("x", QUOTED_NAME)).filename, QUOTED_NAME));

await check("empty file", async () => {
  const { id, sizeBytes } = await create("");
  assert.deepEqual([sizeBytes, (await bytes(id)).length], [0, 0]);
});

await check("several MB", async () => assert.deepEqual(await bytes((await create(SEVERAL_MB)).id), SEVERAL_MB));

await check("list", async () => {
  const ids = (await several(5, () => create())).map((file) => file.id);
  const pages = [];
  for (let page = 0; page < 3; page++) pages.push(await client.files.list({ page, pageSize: 2 }));
  assert.deepEqual(pages.flatMap((page) => page.data).map((file) => file.id).slice(0, 5), ids.toReversed());
  const all = await client.files.list({});
  assert.equal(all.total, all.data.length);
});

await check("filter", async () => {
  const { id, mimetype } = await create("{}", "Only.jsonl", { purpose: "fine-tune" });
  const words = { sampleType: ["instruct"], source: ["upload"], purpose: "fine-tune", mimetypes: [mimetype] };
  assert.deepEqual((await client.files.list({ ...words, search: "only" })).data.map((file) => file.id), [id]);
  assert.deepEqual((await client.files.list({ ...words, search: "nothing" })).data, []);
});

await check("get", async () => {
  const made = await create();
  const { deleted, ...found } = await client.files.retrieve({ fileId: made.id });
  assert.deepEqual([deleted, found], [false, made]);
});

await check("content", async () => assert.equal((await bytes((await create()).id)).toString(), "hello world"));

await check("link", async () => {
  const { id } = await create();
  const { url } = await client.files.getSignedUrl({ fileId: id, expiry: 2 });
  assert.deepEqual(await text(url), [200, "hello world"]);
  // The storage rejects the token, which clients must not forward.
  assert.equal((await fetched(url, { authorization: "Bearer right-token" }))[0], 403);
  await assert.rejects(client.files.getSignedUrl({ fileId: id, expiry: 169 }), status(422));
});

await check("delete", async () => {
  const { id } = await create();
  assert.equal((await client.files.delete({ fileId: id })).deleted, true);
});

await check("second delete", async () => {
  const { id } = await create();
  await client.files.delete({ fileId: id });
  await assert.rejects(client.files.delete({ fileId: id }), status(404));
});

await check("bad token", async () => {
  const stranger = new Mistral({ apiKey: WRONG_TOKEN, serverURL });
  await assert.rejects(stranger.files.list({}), status(401));
});

await check("unknown id", () => assert.rejects(client.files.retrieve({ fileId: UNKNOWN }), status(404)));
