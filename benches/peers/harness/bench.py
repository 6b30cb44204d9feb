"""Rounds: every shape, every number of threads, every peer once a round."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from . import shapes, workers
from .shapes import Matrices, Shape

#: What a turn fills with calls, in seconds, after an untimed one.
TURN = 0.03
#: Between turns. Threads of the last peer may spin for much longer (OpenBLAS's for a tenth of a
#: second), and would take a core from the next: a turn begins after a pause in which no worker ran.
PAUSE = 0.03
#: Documents compared with the f64 reference.
SAMPLE = 16


@dataclass
class Result:
    """One peer's times for a shape and a number of threads, and how right it is."""

    peer: str
    variant: str = ""
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    flops: float | None = None
    error: float | None = None
    beside_ours: float | None = None
    peak_bytes: int | None = None

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def cores(self) -> float:
        return sum(self.cpu_seconds) / sum(self.seconds)


@dataclass
class Measured:
    """A shape with a number of threads."""

    shape: Shape
    threads: int
    operations: float
    results: dict[str, Result]
    failures: dict[str, str]
    others: float


@dataclass
class EdgeMeasured:
    """Qdrant Edge with a datatype and a number of threads."""

    datatype: str
    threads: int
    comparison: dict
    results: dict[str, Result]
    others: float

    @property
    def reranks(self) -> list[float]:
        """Round by round, prefetch and rerank less prefetch alone."""
        both, alone = self.results["edge rerank"].seconds, self.results["edge prefetch"].seconds
        return [one - other for one, other in zip(both, alone)]


@dataclass
class Plan:
    """What to run."""

    rounds: int
    threads: list[int]
    only: str
    quick: bool
    #: As on a machine without AVX-512.
    avx2: bool

    def wants(self, shape: str) -> bool:
        return self.only.partition("/")[0] in shape

    @property
    def peers(self) -> list[str]:
        """The peers wanted; none for all."""
        peer = self.only.partition("/")[2]
        return [peer] if peer else []

    @property
    def settings(self) -> dict[str, str]:
        return workers.AVX2 if self.avx2 else {}

    def sized(self, shape: Shape) -> Shape:
        return shape.quick() if self.quick else shape


def run(plan: Plan) -> Iterator[Measured | EdgeMeasured]:
    for shape in shapes.SHAPES:
        if plan.wants(shape.name):
            yield from run_shape(plan, plan.sized(shape))
    if plan.wants("edge") and plan.peers in ([], ["qdrant-edge"]) and not plan.avx2:
        yield from run_edge(plan, plan.sized(shapes.EDGE))


def run_shape(plan: Plan, shape: Shape) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory() as folder:
        files = shapes.write(shape, Path(folder))
        for threads in plan.threads:
            cores = workers.cores(threads)
            with ExitStack() as ends:
                peers, failures = load(plan, files, cores, ends)
                check(shape, files, peers)
                others = rounds(plan.rounds, peers, f"{shape.name}, {threads}")
            results = {result.peer: result for result, _ in peers}
            operations = shapes.operations(shape, files)
            yield Measured(shape, threads, operations, results, failures, others)


Peers = list[tuple[Result, workers.Worker]]


def load(
    plan: Plan, files: shapes.Files, cores: list[int], ends: ExitStack
) -> tuple[Peers, dict[str, str]]:
    """Makes the peers ready, one worker after another: each tries its peers' variants alone.

    A Python peer has a worker to itself, so that one that crashes takes no other with it.
    """
    peers, failures = [], {}
    paths = {"documents": str(files.documents), "queries": str(files.queries)}
    python = [[peer] for peer in workers.PYTHON_PEERS if plan.peers in ([], [peer])]
    starts = [(workers.rust, plan.peers), *((workers.python, peer) for peer in python)]
    for start, only in starts:
        worker = ends.enter_context(start(cores, plan.settings))
        try:
            loaded = worker.ask("load", **paths, threads=len(cores), only=only)
        except workers.Failure as failure:
            if start is workers.rust:
                raise
            failures[only[0]] = str(failure)
            continue
        found = [one for one in loaded["peers"] if not (plan.avx2 and "avx512" in one["name"])]
        peers += [(Result(one["name"], one["variant"]), worker) for one in found]
    return peers, failures


def check(shape: Shape, files: shapes.Files, peers: Peers) -> None:
    """Every peer's scores beside an f64 reference, and beside ours; relative to query tokens."""
    queries, documents = Matrices.read(files.queries), Matrices.read(files.documents)
    sample = np.unique(np.linspace(0, len(documents) - 1, SAMPLE).astype(int))
    reference = shapes.reference(queries, documents, sample)
    ours = None
    for result, worker in peers:
        if result.peer.startswith("fma "):
            continue
        answer = worker.ask("score", peer=result.peer)
        scores = np.array(answer["scores"]).reshape(len(queries), len(documents))
        ours = scores if ours is None else ours
        result.peak_bytes = answer["peak_bytes"]
        result.error = float(abs(scores[:, sample] - reference).max()) / shape.query_tokens
        result.beside_ours = float(abs(scores - ours).max()) / shape.query_tokens


def rounds(count: int, peers: Peers, seed: str) -> float:
    """Every peer once a round, in an order that changes, and differs from shape to shape.

    What comes back is how many cores were busy with other work meanwhile: above a tenth or so, times
    of more threads than the rest of the machine has cores mean little.
    """
    order = random.Random(seed)
    processes = list({id(worker): worker for _, worker in peers}.values())

    def of_others() -> float:
        return workers.busy_seconds() - sum(worker.cpu_seconds for worker in processes)

    start, others = time.monotonic(), of_others()
    for _ in range(count):
        for result, worker in order.sample(peers, len(peers)):
            wait_for_quiet(processes)
            answer = worker.ask("time", peer=result.peer, at_least=TURN)
            result.seconds.append(answer["seconds"])
            result.cpu_seconds.append(answer["cpu_seconds"])
            result.flops = answer.get("flops")
    return max(0.0, (of_others() - others) / (time.monotonic() - start))


def wait_for_quiet(processes: list[workers.Worker]) -> None:
    """Returns after a pause in which no worker used a tick of CPU time."""
    used = None
    while used != (used := sum(worker.cpu_seconds for worker in processes)):
        time.sleep(PAUSE)


def run_edge(plan: Plan, shape: Shape) -> Iterator[EdgeMeasured]:
    with tempfile.TemporaryDirectory() as folder:
        files = shapes.write(shape, Path(folder))
        for threads in plan.threads:
            for datatype in ("float32", "float16"):
                yield edge(plan, files, threads, datatype)


def edge(plan: Plan, files: shapes.Files, threads: int, datatype: str) -> EdgeMeasured:
    paths = {"documents": str(files.documents), "queries": str(files.queries)}
    cores = workers.cores(threads)
    with tempfile.TemporaryDirectory() as folder, workers.rust(cores, {}) as worker:
        collection = {"threads": threads, "datatype": datatype, "folder": folder}
        loaded = worker.ask("edge", **paths, **collection)
        peers = [(Result(one["name"], one["variant"]), worker) for one in loaded["peers"]]
        others = rounds(plan.rounds, peers, f"{datatype}, {threads}")
    results = {result.peer: result for result, _ in peers}
    return EdgeMeasured(datatype, threads, loaded["comparison"], results, others)
