"""The worker for maxsim-cpu, numpy and LodeDB; it speaks the Rust worker's protocol."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lodedb
import maxsim_cpu
import numpy as np
from threadpoolctl import threadpool_info

from .shapes import Matrices

Call = Callable[[], np.ndarray]


#: What maxsim-cpu's matrix multiplication takes at most, a product of its three sizes, of which one
#: is a block of 64 document tokens. Beyond, it falls back to a BLAS that its wheel doesn't have, and
#: crashes.
MAXSIM_CPU_LIMIT = 64**3
MAXSIM_CPU_BLOCK = 64


def maxsim_cpu_variants(queries: Matrices, documents: Matrices) -> dict[str, Call]:
    """`maxsim_scores` for documents of one length, `maxsim_scores_variable` for any.

    A query too long for it goes in parts, whose scores add up.
    """
    dim = documents.tokens.shape[1]
    tokens = max(1, MAXSIM_CPU_LIMIT // (MAXSIM_CPU_BLOCK * dim))
    each_query = [in_parts(queries[item], tokens) for item in range(len(queries))]
    each_document = [documents[item] for item in range(len(documents))]

    def scores(score: Callable, collection: object) -> Call:
        def of(parts: list[np.ndarray]) -> np.ndarray:
            return sum(score(part, collection) for part in parts)

        return lambda: np.concatenate([of(parts) for parts in each_query])

    variants = {"maxsim_scores_variable": scores(maxsim_cpu.maxsim_scores_variable, each_document)}
    if uniform(documents):
        cube = documents.tokens.reshape(len(documents), -1, documents.tokens.shape[1])
        variants["maxsim_scores"] = scores(maxsim_cpu.maxsim_scores, cube)
    if tokens >= int(queries.lengths.max()):
        return variants
    return {f"{name}, {tokens} query tokens at a time": call for name, call in variants.items()}


def numpy_variants(queries: Matrices, documents: Matrices) -> dict[str, Call]:
    """Matrix product, maximum, sum; over one document, some or all at a time."""
    tokens, count = documents.tokens, len(documents)
    query = queries.tokens.T.copy()
    query_starts = queries.offsets[:-1]

    def summed(maxima: np.ndarray) -> np.ndarray:
        return np.add.reduceat(maxima, query_starts, axis=1).T.ravel()

    def one_by_one() -> np.ndarray:
        maxima = np.empty((count, query.shape[1]), np.float32)
        for item in range(count):
            (documents[item] @ query).max(axis=0, out=maxima[item])
        return summed(maxima)

    def blocks(of_tokens: int, maxima_of: Callable[[int, int], np.ndarray]) -> Call:
        starts = block_starts(documents, of_tokens)

        def call() -> np.ndarray:
            maxima = [maxima_of(first, last) for first, last in zip(starts, starts[1:])]
            return summed(np.concatenate(maxima))

        return call

    def reduced(first: int, last: int) -> np.ndarray:
        offsets = documents.offsets[first : last + 1]
        similarities = tokens[offsets[0] : offsets[-1]] @ query
        return np.maximum.reduceat(similarities, offsets[:-1] - offsets[0], axis=0)

    def reshaped(first: int, last: int) -> np.ndarray:
        offsets = documents.offsets[first : last + 1]
        similarities = tokens[offsets[0] : offsets[-1]] @ query
        return similarities.reshape(last - first, -1, query.shape[1]).max(axis=1)

    variants = {"a loop over documents": one_by_one}
    for size in (512, 4_096, len(tokens)):
        what = "all documents" if size == len(tokens) else f"blocks of {size} tokens"
        variants[f"{what}, reduceat"] = blocks(size, reduced)
        if uniform(documents):
            variants[f"{what}, max"] = blocks(size, reshaped)
    if uniform(documents):
        cube = tokens.reshape(count, -1, tokens.shape[1])
        variants["einsum"] = lambda: summed(
            np.einsum("nkd,dq->nkq", cube, query, optimize=True).max(axis=1)
        )
    return variants


class LodeIndex:
    """All documents in an index of LodeDB, whose search compares each of them.

    Called, it gives every score; what is timed is the search for the best ten, as it makes an object of each hit.
    """

    def __init__(self, queries: Matrices, documents: Matrices, storage: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="maxfold-peers-")
        dim = documents.tokens.shape[1]
        self.index = lodedb.LodeLateInteractionIndex(self.folder.name, dim=dim, storage=storage)
        self.count = len(documents)
        self.queries = [queries[item] for item in range(len(queries))]
        matrices = [{"id": str(item), "patches": documents[item]} for item in range(self.count)]
        self.index.add_documents(matrices, normalize=False)

    def hits(self, k: int) -> list[list]:
        return self.index.search_many(self.queries, k=k, normalize=False)

    def __call__(self) -> np.ndarray:
        scores = np.full((len(self.queries), self.count), np.nan)
        for row, hits in zip(scores, self.hits(self.count)):
            row[[int(hit.id) for hit in hits]] = [hit.score for hit in hits]
        return scores.ravel()

    def timed(self) -> None:
        self.hits(10)


def lodedb_variants(queries: Matrices, documents: Matrices) -> dict[str, Call]:
    """A search of all documents, in each format that keeps what it is given."""
    if documents.tokens.shape[1] % 8:
        return {}
    kinds = ["float32", "float16"]
    return {f"search, {kind}": LodeIndex(queries, documents, kind) for kind in kinds}


def lodedb_int8_variants(queries: Matrices, documents: Matrices) -> dict[str, Call]:
    if documents.tokens.shape[1] % 8:
        return {}
    return {"search, int8": LodeIndex(queries, documents, "int8")}


def in_parts(query: np.ndarray, tokens: int) -> list[np.ndarray]:
    return [query[start : start + tokens] for start in range(0, len(query), tokens)]


def uniform(documents: Matrices) -> bool:
    return bool((documents.lengths == documents.lengths[0]).all())


def block_starts(documents: Matrices, of_tokens: int) -> list[int]:
    """Where to cut so that blocks have about so many tokens, and at least one document."""
    starts = [0]
    for item in range(1, len(documents)):
        if documents.offsets[item + 1] - documents.offsets[starts[-1]] > of_tokens:
            starts.append(item)
    return [*starts, len(documents)]


def fastest(variants: dict[str, Call]) -> tuple[str, Call]:
    """The variant with the least time of five calls after an untimed one."""

    def trial(call: Call) -> float:
        call()
        return min(elapsed(call) for _ in range(5))

    return min(variants.items(), key=lambda variant: trial(timed(variant[1])))


def timed(call: Call) -> Call:
    """What is timed of a variant."""
    return getattr(call, "timed", call)


def elapsed(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


VARIANTS = {
    "maxsim-cpu": maxsim_cpu_variants,
    "numpy": numpy_variants,
    "lodedb": lodedb_variants,
    "lodedb-int8": lodedb_int8_variants,
}


class Worker:
    """What was loaded, ready to be scored and timed."""

    def __init__(self) -> None:
        self.peers: dict[str, tuple[str, Call]] = {}

    def answer(self, request: dict) -> dict:
        return getattr(self, request.pop("do"))(**request)

    def describe(self) -> dict:
        np.ones((2, 2)) @ np.ones((2, 2))
        blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
        kinds = [
            f"{one['internal_api']} {one['version']}, {one['architecture']} kernels" for one in blas
        ]
        return {"openblas": "; ".join(kinds)}

    def load(self, documents: str, queries: str, threads: int, only: list[str]) -> dict:
        query, document = Matrices.read(queries).widened(), Matrices.read(documents).widened()
        for name, variants in VARIANTS.items():
            made = variants(query, document) if not only or name in only else {}
            if made:
                self.peers[name] = fastest(made)
        peers = [{"name": name, "variant": variant} for name, (variant, _) in self.peers.items()]
        return {"peers": peers}

    def score(self, peer: str) -> dict:
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmRSS:")
        scores = self.peers[peer][1]()
        return {"scores": scores.tolist(), "peak_bytes": max(0, status("VmHWM:") - before)}

    def time(self, peer: str, at_least: float) -> dict:
        call = timed(self.peers[peer][1])
        call()
        start, cpu_start, calls = time.perf_counter(), time.process_time(), 0
        while calls == 0 or time.perf_counter() - start < at_least:
            call()
            calls += 1
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        return {"seconds": seconds / calls, "cpu_seconds": cpu_seconds / calls, "calls": calls}


def status(name: str) -> int:
    """A line of the process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def main() -> None:
    worker = Worker()
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # whatever a peer raises is its answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
