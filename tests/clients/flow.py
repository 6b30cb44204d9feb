"""What a program that uses qdrant-client does, against the server at the URL given: only the address is another.

    python flow.py http://127.0.0.1:6333 KEY

Expected rankings are computed here, by numpy in f64.
"""

import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

URL, KEY = sys.argv[1:]
DIM, COUNT = 16, 5_000
RANDOM = np.random.default_rng(7)


def unit(*shape):
    rows = RANDOM.standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def max_sim(query, document):
    return (query @ document.T).max(axis=1).sum()


DENSE = unit(COUNT, DIM)
TOKENS = [unit(RANDOM.integers(1, 9), DIM) for _ in range(COUNT)]
SPARSE = [np.sort(RANDOM.choice(500, 8, replace=False)) for _ in range(COUNT)]
GROUPS = [f"document {at % 700}" for at in range(COUNT)]


def points():
    for at in range(COUNT):
        yield models.PointStruct(
            id=at,
            vector={
                "dense": DENSE[at],
                "colbert": TOKENS[at].tolist(),
                "words": models.SparseVector(indices=SPARSE[at].tolist(), values=[1.0] * 8),
            },
            payload={"group": GROUPS[at], "year": 2000 + at % 25, "at": at},
        )


def best(scores, count):
    return sorted(scores, key=lambda at: (-scores[at], at))[:count]


def same(found, scores, count):
    """Hits are the best, in order, with their scores; those of nearly equal scores may change places."""
    ids = [point.id for point in found]
    expected = best(scores, count)
    assert len(ids) == len(set(ids)) == len(expected), (ids, expected)
    for point, at in zip(found, expected):
        assert abs(point.score - scores[at]) < 1e-5, (point, at, scores[at])
        assert abs(point.score - scores[point.id]) < 1e-5, point


def fill(client):
    client.create_collection(
        "pages",
        vectors_config={
            "dense": models.VectorParams(size=DIM, distance=models.Distance.COSINE),
            "colbert": models.VectorParams(
                size=DIM,
                distance=models.Distance.COSINE,
                multivector_config=models.MultiVectorConfig(
                    comparator=models.MultiVectorComparator.MAX_SIM
                ),
                hnsw_config=models.HnswConfigDiff(m=0),
            ),
        },
        sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    client.create_payload_index("pages", "year", models.PayloadSchemaType.INTEGER)
    client.upload_points("pages", points(), batch_size=500, wait=True)
    assert client.count("pages").count == COUNT
    for _ in range(600):
        if client.get_collection("pages").status == models.CollectionStatus.GREEN:
            return
        time.sleep(0.1)
    raise AssertionError("the graphs were never built")


def recall_and_rerank(client):
    query, tokens = unit(DIM), unit(5, DIM)
    found = client.query_points(
        "pages",
        prefetch=models.Prefetch(
            query=query, using="dense", limit=100, params=models.SearchParams(exact=True)
        ),
        query=tokens,
        using="colbert",
        limit=10,
        with_payload=True,
    ).points
    candidates = best(dict(enumerate(DENSE @ query)), 100)
    same(found, {at: max_sim(tokens, TOKENS[at]) for at in candidates}, 10)
    assert all(point.payload["at"] == point.id for point in found)


def filtered(client):
    tokens = unit(3, DIM)
    year = models.FieldCondition(key="year", range=models.Range(gte=2020, lt=2022))
    found = client.query_points(
        "pages",
        query=tokens,
        using="colbert",
        query_filter=models.Filter(must=[year]),
        limit=20,
        with_vectors=["dense"],
    ).points
    allowed = [at for at in range(COUNT) if at % 25 in (20, 21)]
    same(found, {at: max_sim(tokens, TOKENS[at]) for at in allowed}, 20)
    for point in found:
        assert np.allclose(point.vector["dense"], DENSE[point.id], atol=1e-6)


def idf(words):
    holders = {word: [at for at in range(COUNT) if word in SPARSE[at]] for word in words}
    scores = {}
    for word, points in holders.items():
        weight = np.log((COUNT - len(points) + 0.5) / (len(points) + 0.5) + 1)
        for at in points:
            scores[at] = scores.get(at, 0.0) + weight
    return scores


def hybrid(client):
    query, words = unit(DIM), [3, 77, 400]
    sparse = models.SparseVector(indices=words, values=[1.0] * 3)
    found = client.query_points(
        "pages",
        prefetch=[
            models.Prefetch(
                query=query, using="dense", limit=50, params=models.SearchParams(exact=True)
            ),
            models.Prefetch(query=sparse, using="words", limit=50),
        ],
        query=models.FusionQuery(fusion=models.Fusion.RRF),
        limit=10,
    ).points
    rankings = [best(dict(enumerate(DENSE @ query)), 50), best(idf(words), 50)]
    scores = {}
    for ranking in rankings:
        for place, at in enumerate(ranking):
            scores[at] = scores.get(at, 0.0) + 1 / (place + 2)
    same(found, scores, 10)


def groups(client):
    tokens = unit(4, DIM)
    answer = client.query_points_groups(
        "pages", query=tokens, using="colbert", group_by="group", limit=5, group_size=2
    )
    scores = {at: max_sim(tokens, TOKENS[at]) for at in range(COUNT)}
    by_group = {}
    for at in best(scores, COUNT):
        by_group.setdefault(GROUPS[at], []).append(at)
    for group, (name, members) in zip(answer.groups, by_group.items()):
        assert group.id == name and [hit.id for hit in group.hits] == members[:2], (group, name)
    assert len(answer.groups) == 5


def scrolled(client):
    seen, offset = [], None
    while True:
        page, offset = client.scroll("pages", limit=999, offset=offset, with_payload=["at"])
        seen += [record.payload["at"] for record in page]
        if offset is None:
            break
    assert seen == list(range(COUNT))
    page, _ = client.scroll("pages", limit=3, order_by=models.OrderBy(key="at", direction="desc"))
    assert [record.id for record in page] == [COUNT - 1, COUNT - 2, COUNT - 3]


def changed(client):
    new = str(uuid.uuid4())
    client.upsert("pages", [models.PointStruct(id=new, vector={"dense": DENSE[0]}, payload={"a": 1})])
    client.set_payload("pages", {"b": {"c": 2}}, points=[new])
    client.set_payload("pages", {"d": 3}, points=[new], key="b")
    [record] = client.retrieve("pages", [new], with_vectors=True)
    assert record.payload == {"a": 1, "b": {"c": 2, "d": 3}}, record
    assert np.allclose(record.vector["dense"], DENSE[0], atol=1e-6)
    client.delete_vectors("pages", vectors=["dense"], points=[new])
    assert client.retrieve("pages", [new], with_vectors=True)[0].vector == {}
    result = client.delete("pages", points_selector=[new])
    assert result.status == models.UpdateStatus.COMPLETED
    assert client.retrieve("pages", [new]) == []


def snapshots(client):
    made = client.create_snapshot("pages")
    assert [it.name for it in client.list_snapshots("pages")] == [made.name]
    client.delete("pages", points_selector=models.Filter())
    assert client.count("pages").count == 0
    headers = {"api-key": KEY}
    import httpx

    path = f"{URL}/collections/pages/snapshots/{made.name}"
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "snapshot"
        file.write_bytes(httpx.get(path, headers=headers, timeout=60).content)
        with file.open("rb") as snapshot:
            upload = f"{URL}/collections/pages/snapshots/upload"
            answer = httpx.post(upload, headers=headers, files={"snapshot": snapshot}, timeout=60)
        answer.raise_for_status()
    assert client.count("pages").count == COUNT
    assert client.delete_snapshot("pages", made.name)


def wrong(client):
    for key in [None, "other"]:
        stranger = QdrantClient(URL, api_key=key, check_compatibility=False)
        try:
            stranger.get_collections()
        except UnexpectedResponse as refused:
            assert refused.status_code == 401, refused
        else:
            raise AssertionError("a wrong key was let in")
    for call, status in [
        (lambda: client.get_collection("none"), 404),
        (lambda: client.create_collection("pages"), 409),
        (lambda: client.query_points("pages", query=[1.0], using="dense"), 400),
        (lambda: client.query_points("pages", query=unit(DIM), using="none"), 400),
    ]:
        try:
            call()
        except UnexpectedResponse as refused:
            assert refused.status_code == status, refused
        else:
            raise AssertionError(f"expected status {status}")


def main():
    client = QdrantClient(URL, api_key=KEY, timeout=60)
    fill(client)
    for step in [recall_and_rerank, filtered, hybrid, groups, scrolled, changed, snapshots, wrong]:
        start = time.perf_counter()
        step(client)
        print(f"{step.__name__}: {time.perf_counter() - start:.2f} s", flush=True)
    client.delete_collection("pages")
    assert not client.collection_exists("pages")


main()
