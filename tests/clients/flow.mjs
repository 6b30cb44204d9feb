// What a program that uses @qdrant/js-client-rest does, against the server at the URL given.
//
//     node flow.mjs http://127.0.0.1:6333 KEY
//
// Expected scores are computed here.

import assert from "node:assert/strict";
import { QdrantClient } from "@qdrant/js-client-rest";

const [url, apiKey] = process.argv.slice(2);
const client = new QdrantClient({ url, apiKey, checkCompatibility: true });

const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);
const maxSim = (query, document) =>
  query.reduce((sum, q) => sum + Math.max(...document.map((d) => dot(q, d))), 0);
const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-5, `${a} is not ${b}`);

const documents = Array.from({ length: 50 }, (_, at) => ({
  id: at,
  dense: [Math.cos(at), Math.sin(at)],
  tokens: Array.from({ length: 1 + (at % 3) }, (_, row) => [at / 50, row / 3, 0.25]),
}));

await client.createCollection("notes", {
  vectors: {
    dense: { size: 2, distance: "Dot" },
    tokens: {
      size: 3, distance: "Dot", multivector_config: { comparator: "max_sim" }, hnsw_config: { m: 0 },
    },
  },
});
const points = documents.map(({ id, dense, tokens }) => ({
  id, vector: { dense, tokens }, payload: { odd: id % 2 === 1, author: `a${id % 5}` },
}));
assert.equal((await client.upsert("notes", { wait: true, points })).status, "completed");
assert.equal((await client.count("notes")).count, 50);

const query = [[1, 0, 0.5], [0, 1, 0]];
const candidates = [...documents].sort((a, b) => b.dense[0] - a.dense[0]).slice(0, 20);
const expected = candidates
  .map(({ id, tokens }) => ({ id, score: maxSim(query, tokens) }))
  .sort((a, b) => b.score - a.score || a.id - b.id)
  .slice(0, 5);
const found = await client.query("notes", {
  prefetch: { query: [1, 0], using: "dense", limit: 20, params: { exact: true } },
  query, using: "tokens", limit: 5, with_payload: true,
});
assert.deepEqual(found.points.map((it) => it.id), expected.map((it) => it.id));
found.points.forEach((it, at) => close(it.score, expected[at].score));

// The call of older clients.
const older = await client.search("notes", {
  vector: { name: "dense", vector: [1, 0] }, limit: 3,
  filter: { must: [{ key: "odd", match: { value: true } }] },
});
const odd = documents.filter((it) => it.id % 2).sort((a, b) => b.dense[0] - a.dense[0]).slice(0, 3);
assert.deepEqual(older.map((it) => it.id), odd.map((it) => it.id));

const groups = await client.queryGroups("notes", {
  query: [1, 0], using: "dense", group_by: "author", limit: 2, group_size: 1,
});
const nearest = [...documents].sort((a, b) => b.dense[0] - a.dense[0]);
assert.equal(groups.groups[0].hits[0].id, nearest[0].id);
assert.equal(groups.groups[0].id, `a${nearest[0].id % 5}`);

const page = await client.scroll("notes", { limit: 10, offset: 45 });
assert.deepEqual(page.points.map((it) => it.id), [45, 46, 47, 48, 49]);
assert.equal(page.next_page_offset, null);

await assert.rejects(client.getCollection("none"), (error) => error.status === 404);
const stranger = new QdrantClient({ url, apiKey: "other", checkCompatibility: false });
await assert.rejects(stranger.getCollections(), (error) => error.status === 401);

await client.deleteCollection("notes");
assert.deepEqual((await client.getCollections()).collections, []);
