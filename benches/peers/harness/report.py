"""The tables, and the record of a run."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

from . import shapes, workers
from .bench import EdgeMeasured, Measured, Plan, Result

PEERS = ["maxsim-cpu", "lateweave", "numpy", "numkong", "lodedb", "lodedb-int8"]
#: NumKong picks each maximum by 8-bit dot products; LodeDB scores from int8.
APPROXIMATE_BY_DESIGN = {"numkong", "lodedb-int8"}
#: Beyond this error, relative to query tokens, a peer counts as approximate.
EXACT = 1e-3

Table = list[list[str]]


def ours(measured: Measured) -> Result:
    """Maxfold with the instructions it chooses itself: the first that its worker names."""
    return next(one for name, one in measured.results.items() if name.startswith("maxfold "))


def approximate(result: Result) -> bool:
    return result.peer in APPROXIMATE_BY_DESIGN or (result.error or 0.0) > EXACT


def peers(measured: Measured) -> list[Result]:
    return [measured.results[name] for name in PEERS if name in measured.results]


def gflops(measured: Measured, result: Result) -> float:
    return (result.flops or measured.operations) / result.median / 1e9


def core_rate(measured: Measured) -> Result | None:
    """The fastest loop of FMAs."""
    loops = [one for name, one in measured.results.items() if name.startswith("fma ")]
    return max(loops, key=lambda one: gflops(measured, one), default=None)


def own_rate(measured: Measured, result: Result) -> Result | None:
    """The loop of FMAs with the same instructions."""
    return measured.results.get(result.peer.replace("maxfold ", "fma "))


def of_rate(measured: Measured, result: Result, rate: Result | None) -> str:
    return f"{gflops(measured, result) / gflops(measured, rate):.2f}" if rate else "–"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def span(seconds: list[float]) -> str:
    least, most = milliseconds(min(seconds)), milliseconds(max(seconds))
    return f"{milliseconds(median(seconds))} ({least}–{most})"


def beside(result: Result, ours: Result) -> str:
    """A peer's median and how many times ours it is, with a mark if it approximates."""
    mark = "≈ " if approximate(result) else ""
    return f"{mark}{milliseconds(result.median)}, {result.median / ours.median:.2f}×"


def main_table(runs: list[Measured]) -> Table:
    names = [name for name in PEERS if any(name in {**run.results, **run.failures} for run in runs)]
    table = [["shape", "Maxfold, ms", "GFLOP/s", "of the core", *names, "best exact"]]
    for run in runs:
        mine, others = ours(run), {one.peer: one for one in peers(run)}
        exact = [one for one in others.values() if not approximate(one)]
        best = min(exact, key=lambda one: one.median, default=None)
        absent = {name: "fails" if name in run.failures else "" for name in names}
        cells = [beside(others[name], mine) if name in others else absent[name] for name in names]
        least = f"{best.peer}, {best.median / mine.median:.2f}×" if best else ""
        rate = of_rate(run, mine, core_rate(run))
        figures = [span(mine.seconds), f"{gflops(run, mine):.0f}", rate]
        table.append([run.shape.title, *figures, *cells, least])
    return table


def spread_table(runs: list[Measured]) -> Table:
    """Every peer's median, least and most, and how it was called."""
    table = [["shape", "threads", "peer", "ms", "cores busy", "called as"]]
    for run in runs:
        for one in peers(run):
            row = [run.shape.title, str(run.threads), one.peer, span(one.seconds)]
            table.append([*row, f"{one.cores:.1f}", one.variant])
    return table


def instruction_table(runs: list[Measured]) -> Table:
    table = [
        ["shape", "threads", "instructions", "ms", "GFLOP/s", "of their FMA rate", "of the core"]
        + ["cores busy"]
    ]
    for run in runs:
        for name, one in run.results.items():
            if name.startswith("maxfold "):
                rates = [of_rate(run, one, own_rate(run, one)), of_rate(run, one, core_rate(run))]
                row = [run.shape.title, str(run.threads), name.removeprefix("maxfold ")]
                figures = [span(one.seconds), f"{gflops(run, one):.0f}", *rates, f"{one.cores:.1f}"]
                table.append([*row, *figures])
    return table


def rate_table(runs: list[Measured]) -> Table:
    """FMA loops, over all shapes of a number of threads."""
    table = [["instructions", "threads", "GFLOP/s, median of the shapes' medians"]]
    loops = sorted({name for run in runs for name in run.results if name.startswith("fma ")})
    for threads in sorted({run.threads for run in runs}):
        for name in loops:
            rates = [gflops(run, run.results[name]) for run in runs if run.threads == threads]
            spread = f"{median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"
            table.append([name.removeprefix("fma "), str(threads), spread])
    return table


def error_table(runs: list[Measured]) -> Table:
    """The largest over shapes and threads."""
    names = list(dict.fromkeys(name for run in runs for name in run.results if "fma " not in name))
    table = [
        ["peer", "error beside f64", "difference from Maxfold", "peak memory beside inputs, MiB"]
    ]
    for name in names:
        found = [run.results[name] for run in runs if name in run.results]
        errors = [max(getattr(one, what) for one in found) for what in ("error", "beside_ours")]
        peak = max(one.peak_bytes for one in found) / 2**20
        mark = " (approximate)" if any(approximate(one) for one in found) else ""
        table.append([name + mark, *(f"{error:.1e}" for error in errors), f"{peak:.1f}"])
    return table


def scaling_table(runs: list[Measured]) -> Table:
    """Two threads or more beside one."""
    table = [["shape", "threads", "Maxfold", *PEERS]]
    single = {run.shape: run for run in runs if run.threads == 1}
    for run in runs:
        one = single.get(run.shape)
        if run.threads == 1 or one is None:
            continue
        times = [ours(one).median / ours(run).median]
        times += [
            one.results[name].median / run.results[name].median if name in run.results else None
            for name in PEERS
        ]
        cells = ["" if times is None else f"{times:.2f}×" for times in times]
        table.append([run.shape.title, str(run.threads), *cells])
    return table


def queries_table(runs: list[Measured]) -> Table:
    """Many queries beside one over the same documents."""
    table = [["threads", "peer", "one query, ms", "16 queries, ms", "times"]]
    for many in (run for run in runs if run.shape.queries > 1):
        one = next(
            (
                run
                for run in runs
                if run.threads == many.threads and is_one_of(run.shape, many.shape)
            ),
            None,
        )
        if one is None:
            continue
        pairs = [("Maxfold", ours(one), ours(many))]
        pairs += [
            (of.peer, one.results[of.peer], of) for of in peers(many) if of.peer in one.results
        ]
        for name, single, all_of_them in pairs:
            medians = [milliseconds(single.median), milliseconds(all_of_them.median)]
            times = f"{all_of_them.median / single.median:.1f}"
            table.append([str(many.threads), name, *medians, times])
    return table


def is_one_of(one: shapes.Shape, many: shapes.Shape) -> bool:
    sizes = ("query_tokens", "document_tokens", "dim", "documents")
    return one.queries == 1 and all(getattr(one, size) == getattr(many, size) for size in sizes)


def edge_title(runs: list[EdgeMeasured]) -> str:
    counts = runs[0].comparison if runs else {"candidates": 0, "points": 0}
    return f"Qdrant Edge: {counts['candidates']:,} candidates of {counts['points']:,} points"


def edge_table(runs: list[EdgeMeasured]) -> Table:
    table = [
        ["token vectors", "threads", "prefetch, ms", "prefetch and rerank, ms", "cores busy"]
        + [
            "rerank, ms",
            "Maxfold, ms",
            "times",
            "same top 10",
            "largest difference",
            "segments, indexed vectors",
        ]
    ]
    for run in runs:
        of = {name: result.seconds for name, result in run.results.items()}
        rerank, mine = run.reranks, of["maxfold"]
        cores = f"{run.results['edge rerank'].cores:.1f}"
        cells = [
            span(of["edge prefetch"]),
            span(of["edge rerank"]),
            cores,
            span(rerank),
            span(mine),
        ]
        times = f"{median(rerank) / median(mine):.2f}×"
        same = "yes" if run.comparison["same_top"] else "no"
        error = f"{run.comparison['error']:.1e}"
        stored = f"{run.comparison['segments']}, {run.comparison['indexed_vectors']:,}"
        table.append([run.datatype, str(run.threads), *cells, times, same, error, stored])
    return table


def markdown(table: Table) -> str:
    head, *rows = table
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


NOTES = """\
A time is the median of the rounds, with the least and the most; in every round every peer has one
turn, in changing order: an untimed call, then calls until 30 ms have passed, of which the mean
counts. "×" is how many times Maxfold's median a peer's is, in the same run. "Of the core" is the
fraction of the fastest loop of independent FMAs on as many cores. ≈ marks a peer that approximates.
Errors are relative to the number of query tokens. A worker is pinned to as many cores as it has
threads. See `benches/peers/README.md` for how each peer is called.
"""


def document(runs: list[Measured], edges: list[EdgeMeasured], facts: dict) -> str:
    others = max((run.others for run in [*runs, *edges]), default=0.0)
    busy = {"cores busy with other work meanwhile, at most": f"{others:.2f}"}
    parts = ["# Maxfold beside its peers", facts_text(facts | busy), NOTES]
    for threads in sorted({run.threads for run in runs}):
        of = [run for run in runs if run.threads == threads]
        parts += [f"## {plural(threads)}", markdown(main_table(of))]
    sections: list[tuple[str, Callable, list]] = [
        (edge_title(edges), edge_table, edges),
        ("Many queries over the same documents", queries_table, runs),
        ("What threads bring", scaling_table, runs),
        ("The FMA rate", rate_table, runs),
        ("Maxfold, each instruction set", instruction_table, runs),
        ("Right, and in how much memory", error_table, runs),
        ("Peers, with spread", spread_table, runs),
    ]
    for title, make, of in sections:
        table = make(of) if of else []
        if len(table) > 1:
            parts += [f"## {title}", markdown(table)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def plural(threads: int) -> str:
    return "One thread" if threads == 1 else f"{threads} threads"


def facts_text(facts: dict) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def facts(plan: Plan, command: str) -> dict:
    """Date, machine, versions and command."""
    return machine(command, plan.rounds) | versions(plan.settings)


def machine(command: str, rounds: int) -> dict:
    """All but the versions of peers."""
    processor = workers.processor()
    relevant = [
        flag for flag in processor["flags"] if flag.startswith(("avx", "fma", "f16c", "amx"))
    ]
    return {
        "date": datetime.date.today().isoformat(),
        "command": f"`{command}`",
        "rounds": rounds,
        "processor": f"{processor['model']}, {physical_cores()} cores",
        "flags": " ".join(relevant),
        "system": f"{system()}, Linux {platform.release()}",
        "maxfold": revision(),
    }


def physical_cores() -> int:
    count = 1
    while True:
        try:
            workers.cores(count + 1)
        except SystemExit:
            return count
        count += 1


def system() -> str:
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, cwd=workers.HERE, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def locked() -> dict[str, str]:
    """The crates, and their versions."""
    lock = tomllib.loads((workers.HERE / "Cargo.lock").read_text())
    return {package["name"]: package["version"] for package in lock["package"]}


def compilers() -> str:
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True)
    return f"{rustc.stdout.strip()}; Python {sys.version.split()[0]}"


def edge_versions() -> dict:
    return {"qdrant-edge": locked()["qdrant-edge"], "compilers": compilers()}


def versions(settings: dict[str, str]) -> dict:
    of = locked()
    core = workers.cores(1)
    with workers.rust(core, settings) as rust, workers.python(core, settings) as python:
        linked, numpy = rust.ask("describe")["openblas"], python.ask("describe")["openblas"]
    return {
        "maxsim-cpu": version("maxsim-cpu"),
        "numpy": f"{version('numpy')} ({numpy})",
        "lodedb": version("lodedb"),
        "lateweave": f"{of['lateweave']} ({linked})",
        "numkong": of["numkong"],
        **edge_versions(),
    }


def write(folder: Path, runs: list[Measured], edges: list[EdgeMeasured], facts: dict) -> Path:
    """The tables, and everything measured for machines."""
    kind = "peers-avx2" if "--avx2" in facts["command"] else "peers"
    raw = {"facts": facts, "shapes": [asdict(run) for run in runs]}
    raw["edge"] = [asdict(run) for run in edges]
    return keep(folder / f"{facts['date']}-{kind}.md", document(runs, edges, facts), raw)


def keep(path: Path, document: str, raw: dict) -> Path:
    """A record: a document, and JSON beside it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(document)
    path.with_suffix(".json").write_text(json.dumps(raw, indent=1) + "\n")
    return path
