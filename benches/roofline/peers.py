"""What late-interaction-kernels and flash-maxsim need for the data that `roofline --export` wrote.

Kernel time is that of CUDA events, a call is timed until its ten best are in the host's memory. Each
peer is called in every way that takes such data; the fastest counts. At the end, each shape has a line with
Maxfold's times beside the better peer's.
"""

import importlib
import importlib.metadata
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

LIMIT = 10
WARM_UP = 10
REPEATS = 200
LONG_ENOUGH = 1.0  # Seconds, of a measurement.
PATIENCE = 20.0  # Seconds, of the first call, which compiles.


def shapes(folder):
    """Queries [queries, query tokens, dim] and documents [queries, candidates, tokens, dim], or, where
    queries share them, [candidates, tokens, dim]."""
    for path in sorted(folder.glob("*.shape"), key=lambda path: path.stat().st_mtime_ns):
        queries, candidates, query_tokens, tokens, dim, shared = map(int, path.read_text().split())
        q = np.fromfile(path.with_suffix(".queries"), np.float16)
        d = np.fromfile(path.with_suffix(".docs"), np.float16)
        q = torch.from_numpy(q.reshape(queries, query_tokens, dim)).cuda()
        own = [] if shared else [queries]
        d = torch.from_numpy(d.reshape(*own, candidates, tokens, dim)).cuda()
        yield path, q, d


def documents_of(d, at):
    """The documents of a query."""
    return d[at] if d.dim() == 4 else d


def late_interaction_kernels():
    """Ways to score: names, and functions of (queries, documents) that return [queries, candidates]."""
    maxsim = importlib.import_module("late_interaction_kernels").maxsim

    def one_by_one(q, d):
        return torch.cat([maxsim(q[at : at + 1], documents_of(d, at)) for at in range(len(q))])

    return {"maxsim, all queries": maxsim, "maxsim, a query at a time": one_by_one}


def flash_maxsim():
    module = importlib.import_module("flash_maxsim")

    def one_by_one(q, d):
        return torch.stack([module.flash_maxsim(q[at], documents_of(d, at)) for at in range(len(q))])

    def packed(q, d):
        candidates, tokens, dim = d.shape[-3:]
        ends = torch.arange(candidates + 1, device="cuda", dtype=torch.int32) * tokens
        flat = d.reshape(-1, candidates * tokens, dim)
        flat = flat.expand(len(q), -1, -1)
        scores = [module.flash_maxsim(q[at], flat[at], doc_lengths=ends) for at in range(len(q))]
        return torch.stack(scores)

    def split(q, d):
        return torch.stack(
            [module.flash_maxsim(q[at], documents_of(d, at), splitk=True) for at in range(len(q))]
        )

    def batched(q, d):
        return module.flash_maxsim_batched(q, d, shared_docs=d.dim() == 3)

    return {
        "flash_maxsim": one_by_one,
        "flash_maxsim, split-K": split,
        "flash_maxsim, packed": packed,
        "flash_maxsim_batched": batched,
    }


def best(score, q, d):
    """The ten best of each query, in the host's memory."""
    scores, ids = score(q, d).float().topk(min(LIMIT, d.shape[-3]))
    return torch.stack([scores, ids.float()]).cpu()


def reference(q, d):
    """Scores in f32 of f16 inputs, some documents at a time."""
    def row(one, docs):
        parts = docs.split(64)
        return torch.cat([torch.matmul(part.float(), one.float().T).amax(1).sum(1) for part in parts])

    return torch.stack([row(q[at], documents_of(d, at)) for at in range(len(q))])


def measure(score, q, d):
    """Medians of kernel time and of a call, and the call's 95th percentile, in milliseconds."""
    begin = time.perf_counter()
    for _ in range(WARM_UP):
        best(score, q, d)
        if time.perf_counter() - begin > LONG_ENOUGH:
            break
    kernels, calls = [], []
    begin = time.perf_counter()
    while len(calls) < REPEATS and (len(calls) < 3 or time.perf_counter() - begin < LONG_ENOUGH):
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        events[0].record()
        score(q, d)
        events[1].record()
        torch.cuda.synchronize()
        kernels.append(events[0].elapsed_time(events[1]))
        start = time.perf_counter()
        best(score, q, d)
        calls.append((time.perf_counter() - start) * 1e3)
    calls.sort()
    return statistics.median(kernels), statistics.median(calls), calls[int(len(calls) * 0.95)]


def graph_of(score, q, d):
    """The kernel alone, without what Python needs to launch it: a CUDA graph of it, in milliseconds."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        score(q, d)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        score(q, d)
    times = []
    for _ in range(WARM_UP):
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        events[0].record()
        graph.replay()
        events[1].record()
        torch.cuda.synchronize()
        times.append(events[0].elapsed_time(events[1]))
    return statistics.median(times)


def row(name, way, score, q, d, expected):
    """Measures and prints a way; returns milliseconds of its kernels and of a call."""
    try:
        with torch.inference_mode():
            begin = time.perf_counter()
            error = (score(q, d).float() - expected).abs().max().item() / q.shape[1]
            if time.perf_counter() - begin > PATIENCE:
                raise TimeoutError(f"the first call took {time.perf_counter() - begin:.0f} s")
            kernel, p50, p95 = measure(score, q, d)
            try:
                alone = graph_of(score, q, d)
                graph = f"{alone:.4f}"
            except Exception as failure:
                alone, graph = kernel, f"none ({type(failure).__name__})"
        print(f"| {name}: {way} | {kernel:.4f} | {graph} | {p50:.4f} | {p95:.4f} | {error:.1e} |")
        return min(kernel, alone), p50
    except Exception as failure:  # A way that a version doesn't have, or that runs out of memory.
        print(f"| {name}: {way} | {type(failure).__name__}: {str(failure).splitlines()[:1]} | | | | |")
        return None


def installed():
    """Ways of each peer that is there."""
    peers = {}
    for package, ways in [
        ("late-interaction-kernels", late_interaction_kernels),
        ("flash-maxsim", flash_maxsim),
    ]:
        try:
            peers[f"{package} {importlib.metadata.version(package)}"] = ways()
        except Exception as failure:
            print(f"\n{package}: not there ({failure})")
    return peers


def summary(lines):
    print("\n| shape | our kernel, ms | best peer's | our call p50 | best peer's |")
    print("|---|---|---|---|---|")
    for path, times in lines:
        ours = path.with_suffix(".ours")
        kernel, call = ours.read_text().split() if ours.exists() else ("refused", "refused")
        theirs = [f"{min(column):.4f}" for column in zip(*times)] or ["none", "none"]
        print(f"| {path.stem} | {kernel} | {theirs[0]} | {call} | {theirs[1]} |")


def main():
    if not torch.cuda.is_available():
        sys.exit(print("\npeers: a CUDA device not there"))
    peers = installed()
    lines = []
    for path, q, d in shapes(Path(sys.argv[1])):
        print(f"\n{path.stem}, peers\n")
        print("| peer: called as | GPU, ms | GPU, CUDA graph | call p50 | p95 | error / query tokens |")
        print("|---|---|---|---|---|---|")
        expected = reference(q, d)
        ways = [(name, way, score) for name, all in peers.items() for way, score in all.items()]
        rows = [row(name, way, score, q, d, expected) for name, way, score in ways]
        lines.append((path, [times for times in rows if times]))
        del q, d, expected
        torch.cuda.empty_cache()
    summary(lines)


if __name__ == "__main__":
    main()
