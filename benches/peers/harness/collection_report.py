"""The tables of `benches/peers/run collection`."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from .report import Table, facts_text, markdown, span

if TYPE_CHECKING:
    from .collection import Measured, Opens

NAMES = {"maxfold": "Maxfold", "edge": "Qdrant Edge"}

NOTES = """\
A time is the median of the rounds, with the least and the most; in every round every search has one
turn, in changing order: an untimed call, then calls until 30 ms have passed, of which the mean counts. A
call asks the same eight requests, one after the other; the time is that of one. "×" is how many times
Maxfold's median Edge's is, in the same run. "Of the nearest" is the part of the candidates that an exact
search by the dense vector would find; "of the top 10", the part of the ten best of all points by MaxSim.
See `benches/peers/README.md`.
"""


def searches_table(runs: list[Measured]) -> Table:
    table = [
        ["threads", "candidates", "Maxfold, ms", "Qdrant Edge, ms", "×"]
        + ["prefetch: Maxfold, ms", "Qdrant Edge, ms", "×"]
    ]
    for run in runs:
        for quality in run.quality:
            count = quality["candidates"]
            cells = []
            for what in ("search", "prefetch"):
                times = [run.searches[f"{engine} {what} {count}"].seconds for engine in NAMES]
                cells += [*map(span, times), f"{run.times(count, what):.2f}×"]
            table.append([str(run.threads), f"{count:,}", *cells])
    return table


def quality_table(runs: list[Measured]) -> Table:
    table = [
        ["threads", "candidates", "of the nearest: Maxfold", "Qdrant Edge"]
        + ["of the top 10: Maxfold", "Qdrant Edge", "largest difference", "Maxfold's prefetch"]
    ]
    for run in runs:
        for quality in run.quality:
            shares = [quality[engine][of] for of in ("prefetch", "top") for engine in NAMES]
            cells = [f"{share:.4f}" for share in shares]
            row = [str(run.threads), f"{quality['candidates']:,}", *cells]
            table.append([*row, f"{quality['error']:.1e}", quality["plan"]])
    return table


def ingest_table(runs: list[Measured]) -> Table:
    table = [["threads", "", "upsert, s", "graph, s", "save, s", "together, s", "×"]]
    for run in runs:
        ours = median(run.ingests["maxfold"].together)
        for engine, of in run.ingests.items():
            steps = [f"{median(step):.2f}" for step in (of.upsert, of.index, of.save)]
            together = f"{median(of.together):.2f}"
            spread = f"{together} ({min(of.together):.2f}–{max(of.together):.2f})"
            times = f"{median(of.together) / ours:.2f}×"
            table.append([str(run.threads), NAMES[engine], *steps, spread, times])
    return table


def disk_table(runs: list[Measured]) -> Table:
    table = [["threads", "", "on disk, MB", "of the f16 token values", "of all values"]]
    for run in runs:
        tokens, everything = run.token_bytes, run.token_bytes + run.dense_bytes
        raw = ["raw values", f"{everything / 1e6:.1f}", f"{everything / tokens:.3f}", "1.000"]
        table.append([str(run.threads), *raw])
        for engine, of in run.ingests.items():
            parts = [f"{of.disk_bytes / one:.3f}" for one in (tokens, everything)]
            table.append([str(run.threads), NAMES[engine], f"{of.disk_bytes / 1e6:.1f}", *parts])
    return table


def open_table(opens: Opens) -> Table:
    cells = [str(opens.threads), f"{opens.points:,}"]
    times = [span(opens.snapshot), span(opens.rebuild), f"{opens.part:.3f}"]
    head = ["threads", "points", "from its snapshot, ms", "rebuilding, ms", "part"]
    return [head, [*cells, *times]]


def document(runs: list[Measured], opens: Opens | None, facts: dict) -> str:
    others = max(run.others for run in runs)
    busy = {"cores busy with other work during searches, at most": f"{others:.2f}"}
    parts = ["# Maxfold's collection beside Qdrant Edge's", facts_text(facts | busy), NOTES]
    sections = [
        ("Recall and rerank", searches_table),
        ("How good the answers are", quality_table),
        ("Ingest", ingest_table),
        ("Size", disk_table),
    ]
    for title, make in sections:
        parts += [f"## {title}", markdown(make(runs))]
    if opens:
        parts += ["## Opening Maxfold's collection", markdown(open_table(opens))]
    return "\n\n".join(part.strip() for part in parts) + "\n"
