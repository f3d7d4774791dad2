// The JavaScript client of Metorial, in the dialect that the argument names: pulsar or magnetar. The package has no
// upload; its newer source has one, which passes a form to the same manager as below.

import * as magnetar from "@metorial/generated/src/mt_2026_01_01_magnetar";
import * as pulsar from "@metorial/generated";
import { MetorialEndpointManager } from "@metorial/util-endpoint";
import { SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, assert, fetched, several, suite, text } from "./harness.mjs";

const dialect = process.argv[2];
const isOld = dialect === "pulsar";
const purpose = isOld ? "user_image" : "generic";
const check = suite("@metorial/generated", `, ${dialect}`);

function connect(key) {
  const version = isOld ? "2025-01-01-pulsar" : "2026-01-01-magnetar";
  const headers = () => ({ Authorization: `Bearer ${key}`, "Metorial-Version": version });
  const manager = new MetorialEndpointManager({}, process.env.METORIAL_API_HOST, headers, undefined, { enableDebugLogging: false });
  const Files = (isOld ? pulsar : magnetar).MetorialFilesEndpoint;
  const Links = isOld ? pulsar.MetorialLinksEndpoint : magnetar.MetorialFileLinksEndpoint;
  return { manager, files: new Files(manager), links: new Links(manager) };
}

const { manager, files, links } = connect(process.env.METORIAL_API_KEY);

function upload(content = "hello world", name = "hello.txt", why = purpose) {
  const body = new FormData();
  body.append("file", new File([content], name, { type: "text/plain" }));
  body.append("purpose", why);
  body.append("title", "Greeting");
  return manager.request("POST", { path: ["files"], body });
}

const link = (id, more = {}) => (isOld ? links.create(id, more) : links.create({ fileId: id, ...more }));
const is = (status, code) => (error) => error.response.status === status && error.code === code;

await check("create", async () => {
  const made = await upload();
  const { file_name, file_size, file_type, status, title } = made;
  assert.deepEqual([file_name, file_size, file_type, status, title], ["hello.txt", 11, "text/plain", "active", isOld ? null : "Greeting"]);
  assert.equal(made.purpose.identifier, purpose);
  await assert.rejects(upload("x", "x", "nonsense"), is(400, "bad_request"));
});

await check("unicode name", async () => assert.equal((await upload("x", UNICODE_NAME)).file_name, UNICODE_NAME));

await check("empty file", async () => {
  if (isOld) assert.equal((await upload("")).file_size, 0);
  else await assert.rejects(upload(""), is(400, "bad_request"));
});

await check("several MB", async () => {
  const { id } = await upload(SEVERAL_MB);
  assert.deepEqual(await fetched((await link(id)).url), [200, SEVERAL_MB]);
});

await check("list", async () => {
  const made = await several(5, upload);
  const newest = made.map((file) => file.id).reverse();
  const pages = [];
  let after;
  do {
    const page = await files.list({ limit: 2, order: "desc", after, ...(isOld ? {} : { purpose: [purpose] }) });
    pages.push(page.items.map((file) => file.id));
    after = page.pagination.hasMoreAfter && page.items.at(-1).id;
  } while (after);
  assert.ok(pages.length >= 3, `${pages.length} pages`);
  assert.deepEqual(pages.flat().slice(0, 5), newest);
});

await check("get", async () => {
  const { id } = await upload();
  const file = await files.get(id);
  assert.deepEqual([file.id, file.fileName, file.fileSize, file.status], [id, "hello.txt", 11, "active"]);
  assert.ok(file.createdAt instanceof Date);
});

await check("content", async () => assert.deepEqual(await text((await link((await upload()).id)).url), [200, "hello world"]));

await check("link", async () => {
  const { id } = await upload();
  const ending = await link(id, { expiresAt: new Date(Date.now() + 3_600_000) });
  const [gone, past] = [await link(id), await link(id, { expiresAt: new Date(0) })];
  const listed = await (isOld ? links.list(id) : links.list({ fileId: id }));
  assert.deepEqual(listed.items.map((one) => one.id), [ending.id, gone.id, past.id]);
  const found = await (isOld ? links.get(id, ending.id) : links.get(ending.id));
  assert.deepEqual([found.url, found.expiresAt], [ending.url, ending.expiresAt]);
  await (isOld ? links.delete(id, gone.id) : links.delete(gone.id));
  const statuses = [];
  for (const { url } of [ending, gone, past]) statuses.push((await text(url))[0]);
  assert.deepEqual(statuses, [200, 404, 400]);
});

if (isOld) {
  await check("update", async () => {
    const { id } = await upload();
    assert.equal((await files.update(id, { title: "New title" })).title, "New title");
    const { id: linkId } = await link(id);
    const expiresAt = new Date(Date.now() + 3_600_000);
    assert.deepEqual((await links.update(id, linkId, { expiresAt })).expiresAt, expiresAt);
  });
  await check("delete", async () => {
    // In this dialect, the server rejects every deletion.
    const { id } = await upload();
    await assert.rejects(files.delete(id), is(400, "bad_request"));
    assert.equal((await files.get(id)).status, "active");
  });
} else {
  await check("delete", async () => {
    const { id } = await upload();
    const { url } = await link(id);
    assert.equal((await files.delete(id)).status, "deleted");
    assert.deepEqual([(await files.get(id)).status, (await text(url))[0]], ["deleted", 404]);
  });
  await check("second delete", async () => {
    const { id } = await upload();
    await files.delete(id);
    await assert.rejects(files.delete(id), is(403, "forbidden"));
  });
}

await check("bad token", () => assert.rejects(connect(WRONG_TOKEN).files.list(), is(401, "unauthorized")));

await check("unknown id", () => assert.rejects(files.get("fil_unknown"), is(404, "not_found")));
