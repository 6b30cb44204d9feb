"""ColBERT points a second into a server, by REST and by gRPC, with qdrant-client's upload_points.

    maxfold serve --data DIR --listen 127.0.0.1:6333 --grpc-port 6334 --backend cpu
    python benches/ingest.py http://127.0.0.1:6333 6334

Medians of rounds in which the two take turns; each round fills a collection of its own.
"""

import statistics
import sys
import time

import numpy as np
from qdrant_client import QdrantClient, models

URL, PORT = sys.argv[1], int(sys.argv[2])
POINTS, TOKENS, DIM, BATCH, ROUNDS = 1_000, 180, 128, 64, 5


def vectors():
    rows = np.random.default_rng(5).standard_normal((POINTS, TOKENS, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return [matrix.tolist() for matrix in rows]


def fill(client, matrices):
    config = models.VectorParams(
        size=DIM,
        distance=models.Distance.DOT,
        hnsw_config=models.HnswConfigDiff(m=0),
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
    )
    client.create_collection("ingest", vectors_config={"colbert": config})
    points = (
        models.PointStruct(id=at, vector={"colbert": matrix}) for at, matrix in enumerate(matrices)
    )
    start = time.perf_counter()
    client.upload_points("ingest", points, batch_size=BATCH, wait=True)
    seconds = time.perf_counter() - start
    assert client.count("ingest").count == POINTS
    client.delete_collection("ingest")
    return POINTS / seconds


def main():
    clients = {
        "REST": QdrantClient(URL, timeout=120),
        "gRPC": QdrantClient(URL, timeout=120, prefer_grpc=True, grpc_port=PORT),
    }
    matrices, rates = vectors(), {name: [] for name in clients}
    for _ in range(ROUNDS):
        for name, client in clients.items():
            rates[name].append(fill(client, matrices))
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.0f} points/s ({min(found):.0f} to {max(found):.0f})")


main()
