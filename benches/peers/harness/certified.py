"""`benches/peers/run certified`: the best 10 of all documents from int8, beside Qdrant Edge and LodeDB."""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from . import report, workers
from .python_peers import LodeIndex, elapsed
from .shapes import Matrices

LIMIT = 10


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/peers/run certified", description=__doc__)
    parser.add_argument(
        "--vectors",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="an embedded collection: docs.safetensors and queries.safetensors",
    )
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(given)


def main(given_arguments: list[str]) -> None:
    given = arguments(given_arguments)
    os.sched_setaffinity(0, workers.cores(given.threads))
    options = [f"--{name}={value}" for name, value in vars(given).items()]
    subprocess.run([*workers.RUST, "certified", *options], check=True)
    documents, queries = (
        Matrices.read(given.vectors / f"{name}.safetensors").widened()
        for name in ("docs", "queries")
    )
    count = min(given.queries, len(queries))
    queries = Matrices(queries.tokens[: queries.offsets[count]], queries.offsets[: count + 1])
    exact = [best(queries[item], documents) for item in range(count)]
    for storage in ("float16", "int8"):
        print(row(storage, queries, documents, exact, given.rounds))


def best(query: np.ndarray, documents: Matrices) -> set[int]:
    """The ten best of all documents, in f64: products in f32 only nearly say which they are."""
    similarities = documents.tokens @ query.T
    scores = np.maximum.reduceat(similarities, documents.offsets[:-1], axis=0).sum(axis=1)
    near = np.argsort(-scores, kind="stable")[: 4 * LIMIT]
    wide = query.astype(np.float64).T
    again = [(documents[item].astype(np.float64) @ wide).max(axis=0).sum() for item in near]
    return {int(near[at]) for at in np.argsort(-np.array(again), kind="stable")[:LIMIT]}


def row(
    storage: str, queries: Matrices, documents: Matrices, exact: list[set[int]], rounds: int
) -> str:
    index = LodeIndex(queries, documents, storage)
    found = [{int(hit.id) for hit in hits} for hits in index.hits(LIMIT)]
    missing = [len(right - got) for right, got in zip(exact, found)]
    times = [elapsed(each(index)) / len(queries) for _ in range(rounds)]
    wrong, points = sum(lost > 0 for lost in missing), sum(missing)
    return f"| LodeDB, {storage} | {report.milliseconds(median(times))} ms | {wrong} | {points} |"


def each(index: LodeIndex) -> Callable[[], None]:
    """One query after the other, as the others are asked."""

    def ask() -> None:
        for query in index.queries:
            index.index.search_many([query], k=LIMIT, normalize=False)

    return ask
