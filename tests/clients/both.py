"""Everything that qdrant-client asks for by gRPC, beside the same by REST: the answers are equal.

    python both.py http://127.0.0.1:6333 KEY GRPC_PORT

Vectors come back bit for bit as the f32 that they were sent as. What the answers are is flow.py's affair.
"""

import sys
import time
from datetime import datetime, timezone

import grpc
import httpx
import numpy as np
from pydantic import BaseModel
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

URL, KEY, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
DIM, COUNT = 8, 300
RANDOM = np.random.default_rng(11)
NAMES = ["pages", "others", "plain"]


def plain(value):
    """As nothing but dicts, lists and words; numbers as f32, which both ways agree on."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_none=True))
    if isinstance(value, dict):
        # Messages can't tell no payload from an empty one; the client itself adds the other to what REST says.
        same = [("payload", {}), ("wal_retain_closed", 1)]
        return {key: plain(it) for key, it in value.items() if (key, it) not in same}
    if isinstance(value, (list, tuple)):
        return [plain(it) for it in value]
    if isinstance(value, float) and not value.is_integer():
        return float(np.float32(value))
    return value


class Both:
    """Asks by REST and by gRPC, and wants one answer. A change is made by gRPC alone."""

    def __init__(self):
        self.rest = QdrantClient(URL, api_key=KEY, timeout=60)
        self.grpc = QdrantClient(URL, api_key=KEY, timeout=60, prefer_grpc=True, grpc_port=PORT)
        self.asked = 0

    def info(self, name):
        """What is shown of a collection, once that stays."""
        for _ in range(600):
            if self.rest.get_collection(name).status == models.CollectionStatus.GREEN:
                return self.get_collection(name)
            time.sleep(0.1)
        raise AssertionError("the graphs were never built")

    def __getattr__(self, name):
        def ask(*args, **options):
            by_rest = getattr(self.rest, name)(*args, **options)
            by_grpc = getattr(self.grpc, name)(*args, **options)
            assert plain(by_rest) == plain(by_grpc), (name, plain(by_rest), plain(by_grpc))
            self.asked += 1
            return by_grpc

        return ask


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


DENSE = floats(COUNT, DIM)
TOKENS = [floats(RANDOM.integers(1, 6), DIM) for _ in range(COUNT)]
WORDS = [np.sort(RANDOM.choice(50, 4, replace=False)) for _ in range(COUNT)]
UUID = "550e8400-e29b-41d4-a716-446655440000"


def sparse(at):
    return models.SparseVector(indices=WORDS[at].tolist(), values=[1.0, 0.5, 0.25, 2.0])


def payload(at):
    return {
        "at": at, "half": at / 2, "group": f"group {at % 7}", "even": at % 2 == 0, "none": None,
        "nested": {"list": [at, "word", {"deep": [0.1]}], "big": 2**53 + at}, "empty": {}, "no": [],
        "place": {"lon": at % 90, "lat": at % 45}, "text": f"the {at % 5} quick foxes",
        "day": f"2026-11-{1 + at % 28:02}T00:00:00Z", "items": [{"n": at % 3}, {"n": 7}],
    }


def config():
    hnsw = models.HnswConfigDiff(m=0)
    return {
        "dense": models.VectorParams(
            size=DIM, distance=models.Distance.DOT, on_disk=True,
            hnsw_config=models.HnswConfigDiff(m=8, ef_construct=50),
            quantization_config=models.ScalarQuantization(
                scalar=models.ScalarQuantizationConfig(type="int8", quantile=0.5, always_ram=True)
            ),
        ),
        "colbert": models.VectorParams(
            size=DIM, distance=models.Distance.COSINE, hnsw_config=hnsw,
            multivector_config=models.MultiVectorConfig(comparator="max_sim"),
        ),
    }


def collections(both):
    options = {
        "vectors_config": config(),
        "sparse_vectors_config": {
            "words": models.SparseVectorParams(
                modifier=models.Modifier.IDF, index=models.SparseIndexParams(on_disk=True)
            )
        },
        "optimizers_config": models.OptimizersConfigDiff(
            indexing_threshold=100, max_optimization_threads=models.MaxOptimizationThreadsSetting.AUTO
        ),
        "wal_config": models.WalConfigDiff(wal_capacity_mb=16),
        "hnsw_config": models.HnswConfigDiff(m=16, full_scan_threshold=1000, payload_m=8),
        "quantization_config": models.BinaryQuantization(
            binary=models.BinaryQuantizationConfig(encoding="two_bits", query_encoding="scalar4bits")
        ),
        "metadata": {"made": "by a test", "n": 1, "f": 0.5, "list": [1, None]},
        "on_disk_payload": True,
        "shard_number": 1,
        "strict_mode_config": models.StrictModeConfig(enabled=False, max_query_limit=7),
    }
    # One by each way: they are shown the same.
    both.grpc.create_collection("pages", **options)
    both.rest.create_collection("twin", **options)
    info = [plain(both.info(name)) for name in ["pages", "twin"]]
    assert info[0]["config"] == info[1]["config"], info
    both.rest.delete_collection("twin")
    both.grpc.create_collection("others", vectors_config=config())
    both.grpc.create_collection(
        "plain", vectors_config=models.VectorParams(size=2, distance=models.Distance.EUCLID)
    )
    assert sorted(it.name for it in both.get_collections().collections) == sorted(NAMES)
    assert both.collection_exists("pages") and not both.collection_exists("none")
    for client in [both.grpc, both.rest]:
        assert client.update_collection(
            "pages",
            vectors_config={"dense": models.VectorParamsDiff(hnsw_config=models.HnswConfigDiff(m=12))},
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=200),
            quantization_config=models.Disabled.DISABLED,
            metadata={"made": None, "more": {"a": 1}},
        )
        both.info("pages")
    assert not both.delete_collection("none")
    both.info("plain")


def fill(both):
    points = [
        models.PointStruct(
            id=at,
            vector={"dense": DENSE[at].tolist(), "colbert": TOKENS[at].tolist(), "words": sparse(at)},
            payload=payload(at),
        )
        for at in range(COUNT)
    ]
    assert both.grpc.upsert("pages", points[:100]).status == models.UpdateStatus.COMPLETED
    both.grpc.upsert(
        "pages",
        models.Batch(
            ids=list(range(100, 110)),
            vectors={
                "dense": DENSE[100:110].tolist(),
                "colbert": [TOKENS[at].tolist() for at in range(100, 110)],
                "words": [sparse(at) for at in range(100, 110)],
            },
            payloads=[payload(at) for at in range(100, 110)],
        ),
    )
    both.grpc.upload_points("pages", points[110:], batch_size=64, wait=True)
    both.grpc.upsert("plain", [models.PointStruct(id=UUID, vector=[0.1, 0.2])])
    both.grpc.upsert("plain", [models.PointStruct(id=2**63 + 7, vector=[3, 4], payload={"a": 1})])
    both.grpc.upsert("others", [models.PointStruct(id=3, vector={"dense": [1.0] * DIM}, payload={"x": 1})])
    assert both.count("pages").count == COUNT
    kinds = [
        ("at", models.IntegerIndexParams(type="integer", lookup=True, range=True)),
        ("half", models.PayloadSchemaType.FLOAT),
        ("group", models.KeywordIndexParams(type="keyword", is_tenant=True, on_disk=False)),
        ("even", models.BoolIndexParams(type="bool")),
        ("place", models.PayloadSchemaType.GEO),
        ("day", models.DatetimeIndexParams(type="datetime", is_principal=True)),
        ("text", models.TextIndexParams(
            type="text", tokenizer="word", lowercase=True, min_token_len=2, phrase_matching=True,
            stopwords=models.StopwordsSet(languages=["english"], custom=["fox"]),
            stemmer=models.SnowballParams(type="snowball", language="english"),
        )),
        ("id", models.UuidIndexParams(type="uuid")),
    ]
    for field, schema in kinds:
        both.grpc.create_payload_index("pages", field, schema)
    info = both.info("pages")
    assert len(info.payload_schema) == len(kinds), info.payload_schema
    both.grpc.delete_payload_index("pages", "id")
    assert "id" not in both.info("pages").payload_schema


def read(both):
    for at in [0, 57, 105, 299]:
        [record] = both.retrieve("pages", [at], with_vectors=True)
        assert record.payload == payload(at), record
        # Cosine is compared, and so shown, with rows of length 1.
        rows = np.array(record.vector["colbert"])
        assert np.allclose(rows, TOKENS[at] / np.linalg.norm(TOKENS[at], axis=1, keepdims=True), atol=1e-6)
        assert np.array_equal(np.array(record.vector["dense"], dtype=np.float32), DENSE[at])
        assert record.vector["words"] == sparse(at)
    both.retrieve("pages", [1, 999, 2], with_payload=["at", "nested.list[].deep"], with_vectors=["dense"])
    both.retrieve("pages", [1], with_payload=models.PayloadSelectorExclude(exclude=["nested"]))
    records = both.retrieve("plain", [UUID, 2**63 + 7], with_vectors=True)
    assert [it.vector for it in records] == [np.float32([0.1, 0.2]).tolist(), [3.0, 4.0]]
    offset = None
    for _ in range(4):
        _, offset = both.scroll("pages", limit=90, offset=offset, with_payload=["at"])
    assert offset is None
    for order in [
        models.OrderBy(key="at", direction="desc", start_from=200),
        models.OrderBy(key="half"),
        models.OrderBy(key="day", start_from=datetime(2026, 11, 20, tzinfo=timezone.utc)),
    ]:
        both.scroll("pages", limit=7, order_by=order)


def condition(key, **test):
    return models.FieldCondition(key=key, **test)


def filters():
    lon_lat = [models.GeoPoint(lon=lon, lat=lat) for lon, lat in [(0, 0), (0, 20), (20, 20), (20, 0), (0, 0)]]
    fields = [
        condition("group", match=models.MatchValue(value="group 3")),
        condition("at", match=models.MatchValue(value=7)),
        condition("even", match=models.MatchValue(value=True)),
        condition("group", match=models.MatchAny(any=["group 1", "group 2"])),
        condition("at", match=models.MatchAny(any=[1, 2, 3])),
        condition("group", match=models.MatchExcept(**{"except": ["group 1"]})),
        condition("at", match=models.MatchExcept(**{"except": list(range(1, 300))})),
        condition("text", match=models.MatchText(text="quick foxes")),
        condition("text", match=models.MatchTextAny(text_any="slow foxes")),
        condition("text", match=models.MatchPhrase(phrase="quick foxes")),
        condition("at", range=models.Range(gt=10, lte=20.5)),
        condition("day", range=models.DatetimeRange(
            gte=datetime(2026, 11, 3, tzinfo=timezone.utc), lt=datetime(2026, 11, 5, tzinfo=timezone.utc)
        )),
        condition("place", geo_radius=models.GeoRadius(center=lon_lat[0], radius=1_000_000.5)),
        condition("place", geo_bounding_box=models.GeoBoundingBox(top_left=lon_lat[1], bottom_right=lon_lat[3])),
        condition("place", geo_polygon=models.GeoPolygon(
            exterior=models.GeoLineString(points=lon_lat),
            interiors=[models.GeoLineString(points=[
                models.GeoPoint(lon=it.lon / 2, lat=it.lat / 2) for it in lon_lat
            ])],
        )),
        condition("items", values_count=models.ValuesCount(gte=2)),
        models.IsEmptyCondition(is_empty=models.PayloadField(key="no")),
        models.IsNullCondition(is_null=models.PayloadField(key="none")),
        models.HasIdCondition(has_id=[1, 5, UUID]),
        models.HasVectorCondition(has_vector="words"),
        models.NestedCondition(nested=models.Nested(
            key="items", filter=models.Filter(must=[condition("n", match=models.MatchValue(value=2))])
        )),
    ]
    yield models.Filter()
    for field in fields:
        yield models.Filter(must=[field])
        yield models.Filter(must_not=[field], should=[fields[0], models.Filter(must=[fields[3]])])
    yield models.Filter(min_should=models.MinShould(conditions=fields[:4], min_count=2))


def filtered(both):
    counts = set()
    for given in filters():
        counts.add(both.count("pages", count_filter=given, exact=True).count)
        both.scroll("pages", scroll_filter=given, limit=20, with_payload=False)
    assert len(counts) > 15, counts


def queries():
    dense, tokens, words = floats(DIM).tolist(), floats(3, DIM).tolist(), sparse(1)
    exact = models.SearchParams(exact=True)
    recall = models.Prefetch(query=dense, using="dense", limit=50, params=exact)
    lexical = models.Prefetch(query=words, using="words", limit=40, score_threshold=0.1)
    yield {"query": dense, "using": "dense", "search_params": models.SearchParams(
        hnsw_ef=64, exact=True, indexed_only=False, acorn=models.AcornSearchParams(enable=True),
        quantization=models.QuantizationSearchParams(ignore=True, oversampling=2.0),
    )}
    yield {"query": tokens, "using": "colbert", "with_vectors": True, "with_payload": True}
    yield {"query": tokens, "using": "colbert", "prefetch": recall, "limit": 7, "offset": 2}
    yield {"query": words, "using": "words", "score_threshold": 0.5}
    yield {"query": words, "using": "words", "search_params": models.SearchParams(
        idf=models.IdfCorpusParams(corpus=models.Filter(must=[condition("even", match=models.MatchValue(value=True))]))
    )}
    yield {"query": 7, "using": "dense", "search_params": exact}
    yield {"query": models.FusionQuery(fusion=models.Fusion.RRF), "prefetch": [recall, lexical]}
    yield {"query": models.FusionQuery(fusion=models.Fusion.DBSF), "prefetch": [recall, lexical]}
    yield {"query": models.RrfQuery(rrf=models.Rrf(k=60, weights=[0.3, 1.7])), "prefetch": [recall, lexical]}
    nested = models.Prefetch(
        prefetch=[recall, lexical], query=models.FusionQuery(fusion="rrf"), limit=30,
        filter=models.Filter(must=[condition("at", range=models.Range(lt=250))]),
    )
    yield {"query": tokens, "using": "colbert", "prefetch": nested}
    yield {"query": models.OrderByQuery(order_by=models.OrderBy(key="at", direction="desc"))}
    yield {"query": models.RecommendQuery(recommend=models.RecommendInput(
        positive=[1, dense], negative=[5], strategy="best_score"
    )), "using": "dense"}
    yield {"query": models.RecommendQuery(recommend=models.RecommendInput(positive=[1])), "using": "colbert"}
    pair = models.ContextPair(positive=3, negative=dense)
    yield {"query": models.DiscoverQuery(discover=models.DiscoverInput(target=9, context=[pair])), "using": "dense"}
    yield {"query": models.ContextQuery(context=[pair, models.ContextPair(positive=8, negative=2)]), "using": "dense"}
    yield {"query": models.NearestQuery(nearest=dense, mmr=models.Mmr(diversity=0.3, candidates_limit=40)),
           "using": "dense"}
    yield {"query": models.RelevanceFeedbackQuery(relevance_feedback=models.RelevanceFeedbackInput(
        target=dense, strategy=models.NaiveFeedbackStrategy(
            naive=models.NaiveFeedbackStrategyParams(a=0.5, b=1.0, c=0.25)),
        feedback=[models.FeedbackItem(example=1, score=0.9), models.FeedbackItem(example=2, score=0.1)],
    )), "using": "dense"}
    yield {"query": formula(), "prefetch": [recall, lexical]}
    yield {"query": dense, "using": "dense", "lookup_from": None, "limit": 3, "with_payload": ["at"]}
    yield {"query": 3, "using": "dense", "lookup_from": models.LookupLocation(collection="others", vector="dense"),
           "search_params": exact}
    yield {"limit": 5}


def formula():
    place = models.GeoPoint(lon=1.5, lat=2.5)
    return models.FormulaQuery(
        formula=models.SumExpression(sum=[
            "$score[0]", 0.1, models.MultExpression(mult=["$score[1]", 2.5, "missing"]),
            models.MultExpression(mult=[0.7, condition("group", match=models.MatchAny(any=["group 1"]))]),
            models.DivExpression(div=models.DivParams(left="at", right="half", by_zero_default=0.3)),
            models.NegExpression(neg=models.AbsExpression(abs="half")),
            models.SqrtExpression(sqrt="at"),
            models.PowExpression(pow=models.PowParams(base=1.01, exponent="half")),
            models.ExpExpression(exp=-1.5), models.MaxExpression(max=["at", 3.5]),
            models.Log10Expression(log10=3.3), models.LnExpression(ln=2.0),
            models.GaussDecayExpression(gauss_decay=models.DecayParamsExpression(
                x="at", target=100, scale=33.3, midpoint=0.4)),
            models.ExpDecayExpression(exp_decay=models.DecayParamsExpression(
                x=models.GeoDistance(geo_distance=models.GeoDistanceParams(origin=place, to="place")), scale=1e6)),
            models.LinDecayExpression(lin_decay=models.DecayParamsExpression(
                x=models.DatetimeKeyExpression(datetime_key="day"),
                target=models.DatetimeExpression(datetime="2026-11-10T00:00:00Z"), scale=86400)),
        ]),
        defaults={"missing": 1.25},
    )


def asked(both):
    for query in queries():
        found = both.query_points("pages", **{"limit": 10} | query).points
        assert found, query
    requests = [
        models.QueryRequest(query=floats(DIM).tolist(), using="dense", limit=4, with_payload=True),
        models.QueryRequest(query=floats(2, DIM).tolist(), using="colbert", limit=3, filter=models.Filter(
            must=[condition("even", match=models.MatchValue(value=False))])),
    ]
    both.query_batch_points("pages", requests)
    both.query_points("plain", query=[0.5, 0.5], with_vectors=True)
    groups = {"query": floats(2, DIM).tolist(), "using": "colbert", "limit": 4, "group_size": 3}
    both.query_points_groups("pages", group_by="group", **groups)
    lookup = models.WithLookup(collection="others", with_payload=True, with_vectors=["dense"])
    both.query_points_groups("pages", group_by="at", with_lookup=lookup, **groups)
    for key in ["group", "even", "at"]:
        assert both.facet("pages", key, limit=5, exact=True).hits
    matrix = {"sample": COUNT, "limit": 3, "using": "dense"}
    few = models.Filter(must=[condition("at", range=models.Range(lt=12))])
    both.search_matrix_pairs("pages", query_filter=few, **matrix)
    both.search_matrix_offsets("pages", query_filter=few, **matrix)


def changed(both):
    change = both.grpc

    def now():
        return both.retrieve("others", [1, 2, 3], with_vectors=True)

    one = [1.0] + [0.0] * (DIM - 1)
    change.upsert("others", [models.PointStruct(id=at, vector={"dense": one}, payload={"a": at}) for at in [1, 2]])
    change.upsert("others", [models.PointStruct(id=1, vector={}, payload={})],
                  update_filter=models.Filter(must=[condition("a", match=models.MatchValue(value=7))]))
    change.upsert("others", [models.PointStruct(id=2, vector={}, payload={})], update_mode=models.UpdateMode.INSERT_ONLY)
    assert [it.payload for it in now()] == [{"a": 1}, {"a": 2}, {"x": 1}]
    change.set_payload("others", {"b": {"c": 1}}, points=[1])
    change.set_payload("others", {"d": 0.1}, points=models.Filter(must=[models.HasIdCondition(has_id=[1])]), key="b")
    change.overwrite_payload("others", {"new": [1, None]}, points=[2])
    assert [it.payload for it in now()][:2] == [{"a": 1, "b": {"c": 1, "d": 0.1}}, {"new": [1, None]}]
    change.delete_payload("others", ["a"], points=[1])
    change.clear_payload("others", points_selector=models.PointIdsList(points=[2]))
    assert [it.payload for it in now()][:2] == [{"b": {"c": 1, "d": 0.1}}, {}]
    change.update_vectors("others", [models.PointVectors(id=1, vector={"colbert": TOKENS[0].tolist()})])
    change.delete_vectors("others", vectors=["dense"], points=[2])
    assert [sorted(it.vector) for it in now()][:2] == [["colbert", "dense"], []]
    results = change.batch_update_points("others", [
        models.UpsertOperation(upsert=models.PointsList(points=[models.PointStruct(id=4, vector={"dense": one})])),
        models.SetPayloadOperation(set_payload=models.SetPayload(payload={"e": 1}, points=[4])),
        models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(payload={"f": 2}, points=[1])),
        models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["none"], points=[1])),
        models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=[3])),
        models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(
            points=[models.PointVectors(id=4, vector={"colbert": TOKENS[1].tolist()})])),
        models.DeleteVectorsOperation(delete_vectors=models.DeleteVectors(vector=["colbert"], points=[1])),
        models.DeleteOperation(delete=models.PointIdsList(points=[2])),
    ])
    assert len(results) == 8 and {it.status for it in results} == {models.UpdateStatus.COMPLETED}
    assert [it.id for it in both.scroll("others", with_vectors=True)[0]] == [1, 3, 4]
    change.delete("others", points_selector=models.Filter(must=[condition("e", match=models.MatchValue(value=1))]))
    assert both.count("others").count == 2


def names(both):
    both.grpc.update_collection_aliases([models.CreateAliasOperation(
        create_alias=models.CreateAlias(collection_name="pages", alias_name="leaves"))])
    both.grpc.update_collection_aliases([models.RenameAliasOperation(
        rename_alias=models.RenameAlias(old_alias_name="leaves", new_alias_name="sheets"))])
    assert len(both.get_aliases().aliases) == len(both.get_collection_aliases("pages").aliases) == 1
    assert both.count("sheets").count == COUNT
    both.grpc.update_collection_aliases([models.DeleteAliasOperation(
        delete_alias=models.DeleteAlias(alias_name="sheets"))])
    assert both.get_aliases().aliases == []


def snapshots(both):
    made = both.grpc.create_snapshot("plain")
    listed = both.grpc.list_snapshots("plain")
    assert [(it.name, it.size, it.checksum) for it in listed] == [(made.name, made.size, made.checksum)]
    assert [it.name for it in both.rest.list_snapshots("plain")] == [made.name]
    assert both.grpc.delete_snapshot("plain", made.name) and both.list_snapshots("plain") == []
    made = both.grpc.create_full_snapshot()
    assert [it.name for it in both.grpc.list_full_snapshots()] == [made.name]
    assert both.grpc.delete_full_snapshot(made.name) and both.list_full_snapshots() == []


def refused(both):
    def code(call):
        try:
            call()
        except grpc.RpcError as fault:
            return fault.code(), fault.details()
        raise AssertionError("it was let in")

    def status(call):
        try:
            call()
        except UnexpectedResponse as fault:
            return fault.status_code
        raise AssertionError("it was let in")

    Code = grpc.StatusCode
    for call, expected, rest in [
        (lambda it: it.get_collection("none"), Code.NOT_FOUND, 404),
        (lambda it: it.create_collection("pages"), Code.ALREADY_EXISTS, 409),
        (lambda it: it.query_points("pages", query=[1.0], using="dense"), Code.INVALID_ARGUMENT, 400),
        (lambda it: it.query_points("pages", query=[1.0] * DIM, using="none"), Code.INVALID_ARGUMENT, 400),
        (lambda it: it.query_points("pages", query=[1.0] * DIM, using="dense", limit=0), Code.INVALID_ARGUMENT, 422),
        (lambda it: it.set_payload("pages", {}, points=[10**9]), Code.NOT_FOUND, 404),
        (lambda it: it.query_points("pages", query=[[1.0] * DIM, [2.0]], using="colbert"), Code.INVALID_ARGUMENT, 422),
        (lambda it: it.query_points("pages", query=1, using="dense", shard_key_selector="a"), Code.INVALID_ARGUMENT, 400),
    ]:
        assert code(lambda: call(both.grpc))[0] == expected
        assert status(lambda: call(both.rest)) == rest
    for key in [None, "other"]:
        stranger = QdrantClient(URL, api_key=key, prefer_grpc=True, grpc_port=PORT, check_compatibility=False)
        assert code(stranger.get_collections)[0] == Code.UNAUTHENTICATED


def main():
    both = Both()
    for step in [collections, fill, read, filtered, asked, changed, names, snapshots, refused]:
        step(both)
        print(step.__name__, flush=True)
    for name in NAMES:
        assert both.grpc.delete_collection(name)
    assert both.asked > 150, both.asked
    # They did go that way.
    metrics = httpx.get(f"{URL}/metrics", headers={"api-key": KEY}).text
    assert 'grpc_responses_total{endpoint="/qdrant.Points/Query",status="0"}' in metrics


main()
