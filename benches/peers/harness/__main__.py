"""`benches/peers/run`: measures, prints the tables and keeps them."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys

from . import bench, certified, collection, report, workers
from .bench import EdgeMeasured, Measured, Plan
from .shapes import SHAPES

RECORDS = workers.HERE.parent / "records"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benches/peers/run",
        description=__doc__,
        epilog="`run collection`, `flow`, `certified` and `agree` compare collections, and have options of their own",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="SHAPE/PEER",
        help="parts of a shape's name, and a peer's name; either may be left out",
    )
    parser.add_argument("--rounds", type=int, default=11, help="default: 11; 3 with --quick")
    parser.add_argument("--threads", default="1,2", help="numbers of threads; default: 1,2")
    parser.add_argument(
        "--quick", action="store_true", help="a twentieth of the documents: does everything run?"
    )
    parser.add_argument(
        "--avx2",
        action="store_true",
        help="as on a machine without AVX-512, as far as libraries let themselves be told; no edge",
    )
    return parser.parse_args()


def progress(run: Measured | EdgeMeasured) -> None:
    if isinstance(run, EdgeMeasured):
        what, results = f"edge {run.datatype}", run.results
    else:
        what, results = run.shape.name, run.results
    times = ", ".join(f"{name} {report.milliseconds(one.median)}" for name, one in results.items())
    busy = f" ({run.others:.1f} cores busy with other work)" if run.others > 0.1 else ""
    print(f"{what}, {report.plural(run.threads)}: {times} ms{busy}", file=sys.stderr, flush=True)


def flow(given: list[str]) -> None:
    """On one core, and on as many as there are."""
    for threads in sorted({1, report.physical_cores()}):
        cores = workers.cores(threads)
        command = [*workers.RUST, "flow", "--threads", str(threads), *given]
        pin = lambda cores=cores: os.sched_setaffinity(0, cores)
        subprocess.run(command, preexec_fn=pin, check=True)


def main() -> None:
    if sys.argv[1:2] == ["agree"]:
        raise SystemExit(subprocess.run([*workers.RUST, *sys.argv[1:]]).returncode)
    if sys.argv[1:2] == ["flow"]:
        return flow(sys.argv[2:])
    if sys.argv[1:2] == ["certified"]:
        return certified.main(sys.argv[2:])
    if sys.argv[1:2] == ["collection"]:
        return collection.main(sys.argv[2:])
    given = arguments()
    threads = [int(count) for count in given.threads.split(",")]
    rounds = min(given.rounds, 3) if given.quick else given.rounds
    plan = Plan(rounds, threads, given.only, given.quick, given.avx2)
    runs: list[Measured] = []
    edges: list[EdgeMeasured] = []
    for run in bench.run(plan):
        progress(run)
        (edges if isinstance(run, EdgeMeasured) else runs).append(run)
    if not runs and not edges:
        names = ", ".join([*(shape.name for shape in SHAPES), "edge"])
        raise SystemExit(f"nothing is called {given.only!r}; there are {names}")
    facts = report.facts(plan, shlex.join(["benches/peers/run", *sys.argv[1:]]))
    print(report.document(runs, edges, facts))
    if given.quick or given.only:
        print("Not recorded: a part, or fewer documents.", file=sys.stderr)
    else:
        path = report.write(RECORDS, runs, edges, facts)
        print(f"Recorded in {path.relative_to(RECORDS.parent.parent)}.", file=sys.stderr)


if __name__ == "__main__":
    main()
