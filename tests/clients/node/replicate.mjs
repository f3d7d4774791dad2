// The JavaScript client of Replicate. It reads no variable for the base URL, and has no download.

import Replicate from "replicate";
import { QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, assert, several, suite } from "./harness.mjs";

const check = suite("replicate");
const baseUrl = process.env.REPLICATE_BASE_URL;
const client = new Replicate({ baseUrl });
const file = (content, name = "hello.txt", type = "text/plain") => new File([content], name, { type });
const create = (metadata) => client.files.create(file("Hello, world!"), metadata);
const notFound = (error) => error.response.status === 404 && /File not found/.test(error.message);

await check("create", async () => {
  const { name, size, content_type, metadata } = await create();
  assert.deepEqual({ name, size, content_type, metadata }, { name: "hello.txt", size: 13, content_type: "text/plain", metadata: {} });
  const buffer = await client.files.create(Buffer.from("abc"));
  assert.match(buffer.name, /^buffer_\d+$/);
});

await check("metadata", async () => {
  const metadata = { customer_reference_id: 123, tags: ["a", "ï"] };
  assert.deepEqual((await create(metadata)).metadata, metadata);
});

await check("unicode name", async () => {
  const made = await client.files.create(file("x", QUOTED_NAME, "application/zip"));
  assert.equal(made.name, QUOTED_NAME);
});

await check("empty file", async () => {
  const made = await client.files.create(file(""));
  assert.deepEqual([made.size, made.etag], [0, "d41d8cd98f00b204e9800998ecf8427e"]);
});

await check("several MB", async () => {
  const made = await client.files.create(file(SEVERAL_MB));
  const digest = await crypto.subtle.digest("SHA-256", SEVERAL_MB);
  assert.deepEqual([made.size, made.checksums.sha256], [SEVERAL_MB.length, Buffer.from(digest).toString("hex")]);
});

await check("list", async () => {
  const made = await several(5, create);
  const pages = [];
  for await (const page of client.paginate(client.files.list)) pages.push(page);
  assert.ok(pages.length >= 3, `${pages.length} pages`);
  const newest = made.map((one) => one.id).reverse();
  assert.deepEqual(pages.flat().map((one) => one.id).slice(0, 5), newest);
});

await check("get", async () => {
  const made = await create({ k: "v" });
  assert.deepEqual(await client.files.get(made.id), made);
});

await check("delete", async () => {
  const { id } = await create();
  assert.equal(await client.files.delete(id), true);
  await assert.rejects(client.files.get(id), notFound);
});

await check("second delete", async () => {
  const { id } = await create();
  await client.files.delete(id);
  await assert.rejects(client.files.delete(id), notFound);
});

await check("bad token", async () => {
  const stranger = new Replicate({ baseUrl, auth: WRONG_TOKEN });
  await assert.rejects(stranger.files.list(), (error) => error.response.status === 401 && /Unauthenticated/.test(error.message));
});

await check("unknown id", () => assert.rejects(client.files.get("unknown"), notFound));
