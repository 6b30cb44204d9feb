"""`benches/peers/run collection`: Maxfold's collection beside Qdrant Edge's."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from . import bench, collection_report, report, workers
from .bench import Result

ENGINES = ["maxfold", "edge"]


@dataclass
class Ingest:
    """An engine's rounds: seconds of each step, and what was on the disk after the last."""

    upsert: list[float] = field(default_factory=list)
    index: list[float] = field(default_factory=list)
    save: list[float] = field(default_factory=list)
    disk_bytes: int = 0

    @property
    def together(self) -> list[float]:
        return [sum(steps) for steps in zip(self.upsert, self.index, self.save)]


@dataclass
class Measured:
    """Both collections with a number of threads."""

    threads: int
    token_bytes: int
    dense_bytes: int
    ingests: dict[str, Ingest]
    #: Seconds of a request.
    searches: dict[str, Result]
    quality: list[dict]
    others: float

    def times(self, candidates: int, what: str = "search") -> float:
        """How many times Maxfold's time Edge's is."""
        edge, ours = (self.searches[f"{engine} {what} {candidates}"] for engine in ENGINES[::-1])
        return edge.median / ours.median


@dataclass
class Opens:
    """Seconds in which Maxfold's collection is opened."""

    threads: int
    points: int
    snapshot: list[float] = field(default_factory=list)
    rebuild: list[float] = field(default_factory=list)

    @property
    def part(self) -> float:
        return median(self.snapshot) / median(self.rebuild)


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/peers/run collection", description=__doc__)
    every = f"1,{cores}" if (cores := report.physical_cores()) > 1 else "1"
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--tokens", type=numbers, default=[60, 180], metavar="LEAST,MOST")
    parser.add_argument("--candidates", type=numbers, default=[100, 500, 1_000])
    parser.add_argument("--queries", type=int, default=100, help="that tell how good answers are")
    parser.add_argument("--rounds", type=int, default=11, help="of searches; default: 11")
    parser.add_argument("--ingests", type=int, default=3, help="rounds of ingest; default: 3")
    parser.add_argument("--threads", type=numbers, default=numbers(every), help=f"default: {every}")
    parser.add_argument("--open-points", type=int, default=100_000, help="none with 0")
    parser.add_argument("--opens", type=int, default=3, help="rounds of opening; default: 3")
    return parser.parse_args(given)


def whole(given: argparse.Namespace) -> bool:
    """Whether a run is worth a record: nothing is smaller than it should be."""
    usual = arguments([])
    names = ["points", "tokens", "candidates", "open_points", "threads"]
    return all(getattr(given, name) == getattr(usual, name) for name in names)


def main(arguments_given: list[str]) -> None:
    given = arguments(arguments_given)
    runs = [measure(given, threads) for threads in given.threads]
    opens = measure_opens(given, max(given.threads)) if given.open_points else None
    command = " ".join(["benches/peers/run collection", *arguments_given])
    facts = report.machine(command, given.rounds) | report.edge_versions()
    document = collection_report.document(runs, opens, facts)
    print(document)
    if not whole(given):
        print("Not recorded: a part, or fewer points.", file=sys.stderr)
        return
    records = workers.HERE.parent / "records"
    raw = {"facts": facts, "runs": [asdict(run) for run in runs]}
    raw["opens"] = asdict(opens) if opens else None
    path = report.keep(records / f"{facts['date']}-collection.md", document, raw)
    print(f"Recorded in {path.relative_to(records.parent.parent)}.", file=sys.stderr)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def points(worker: workers.Worker, count: int, tokens: list[int], threads: int, **more) -> dict:
    shape = {"points": count, "dense": 384, "tokens": tokens, "dim": 128, "query_tokens": 32}
    return worker.ask("collection", step="points", **shape, threads=threads, **more)


def measure(given: argparse.Namespace, threads: int) -> Measured:
    cores = workers.cores(threads)
    with tempfile.TemporaryDirectory() as folder, workers.rust(cores, {}) as worker:
        sizes = points(
            worker, given.points, given.tokens, threads, queries=given.queries, folder=folder
        )
        ingests = ingest(worker, given.ingests, threads)
        loaded = worker.ask("collection", step="searches", candidates=given.candidates)
        peers = [(Result(one["name"]), worker) for one in loaded["peers"]]
        others = bench.rounds(given.rounds, peers, f"collection, {threads}")
    for result, _ in peers:
        result.seconds = [seconds / loaded["requests"] for seconds in result.seconds]
        result.cpu_seconds = [seconds / loaded["requests"] for seconds in result.cpu_seconds]
    searches = {result.peer: result for result, _ in peers}
    found = {"searches": searches, "quality": loaded["quality"], "others": others}
    run = Measured(threads, **sizes, ingests=ingests, **found)
    times = ", ".join(f"{count}: {run.times(count):.2f}×" for count in given.candidates)
    tell(f"searches, {report.plural(threads)}: {times}")
    return run


def ingest(worker: workers.Worker, rounds: int, threads: int) -> dict[str, Ingest]:
    """Each engine once a round, in an order that changes; the last collections stay."""
    order = random.Random(f"ingest, {threads}")
    ingests = {engine: Ingest() for engine in ENGINES}
    for _ in range(rounds):
        for engine in order.sample(ENGINES, len(ENGINES)):
            bench.wait_for_quiet([worker])
            answer = worker.ask("collection", step="ingest", engine=engine)
            of = ingests[engine]
            for step in ("upsert", "index", "save"):
                getattr(of, step).append(answer[step])
            of.disk_bytes = answer["disk_bytes"]
            tell(f"ingest, {engine}, {report.plural(threads)}: {of.together[-1]:.2f} s")
    return ingests


def measure_opens(given: argparse.Namespace, threads: int) -> Opens:
    """Few tokens a point: they are not read when a collection is opened."""
    opens = Opens(threads, given.open_points)
    cores = workers.cores(threads)
    with tempfile.TemporaryDirectory() as folder, workers.rust(cores, {}) as worker:
        points(worker, given.open_points, [2, 2], threads, queries=1, folder=folder)
        worker.ask("collection", step="ingest", engine="maxfold")
        for _ in range(given.opens):
            for rebuild in (False, True):
                answer = worker.ask("collection", step="open", rebuild=rebuild)
                (opens.rebuild if rebuild else opens.snapshot).append(answer["seconds"])
            tell(f"open: {opens.snapshot[-1]:.2f} s, rebuilding {opens.rebuild[-1]:.2f} s")
    return opens
