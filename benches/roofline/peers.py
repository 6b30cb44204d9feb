"""What late-interaction-kernels and flash-maxsim need for the data that `roofline --export` wrote.

Kernel time is that of CUDA events, a call is timed until its ten best are in the host's memory. Each
peer is called in every way that takes such data; the fastest counts.
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
WARM_UP = 20
REPEATS = 300
LONG_ENOUGH = 5.0


def shapes(folder):
    """Queries [queries, query tokens, dim] and documents [queries, candidates, tokens, dim]."""
    for path in sorted(folder.glob("*.shape"), key=lambda path: path.stat().st_mtime_ns):
        queries, candidates, query_tokens, tokens, dim = map(int, path.read_text().split())
        q = np.fromfile(path.with_suffix(".queries"), np.float16)
        d = np.fromfile(path.with_suffix(".docs"), np.float16)
        q = torch.from_numpy(q.reshape(queries, query_tokens, dim)).cuda()
        d = torch.from_numpy(d.reshape(queries, candidates, tokens, dim)).cuda()
        yield path.stem, q, d


def late_interaction_kernels():
    """Ways to score: names, and functions of (queries, documents) that return [queries, candidates]."""
    maxsim = importlib.import_module("late_interaction_kernels").maxsim

    def one_by_one(q, d):
        return torch.cat([maxsim(q[at : at + 1], d[at]) for at in range(len(q))])

    return {"maxsim, 4 dimensions": maxsim, "maxsim, a query at a time": one_by_one}


def flash_maxsim():
    module = importlib.import_module("flash_maxsim")

    def one_by_one(q, d):
        return torch.stack([module.flash_maxsim(q[at], d[at]) for at in range(len(q))])

    def packed(q, d):
        queries, candidates, tokens, dim = d.shape
        ends = torch.arange(candidates + 1, device="cuda", dtype=torch.int32) * tokens
        flat = d.reshape(queries, candidates * tokens, dim)
        scores = [module.flash_maxsim(q[at], flat[at], doc_lengths=ends) for at in range(queries)]
        return torch.stack(scores)

    def split(q, d):
        return torch.stack([module.flash_maxsim(q[at], d[at], splitk=True) for at in range(len(q))])

    def batched(q, d):
        return module.flash_maxsim_batched(q, d, shared_docs=False)

    return {
        "flash_maxsim": one_by_one,
        "flash_maxsim, split-K": split,
        "flash_maxsim, packed": packed,
        "flash_maxsim_batched": batched,
    }


def best(score, q, d):
    """The ten best of each query, in the host's memory."""
    scores, ids = score(q, d).float().topk(min(LIMIT, d.shape[1]))
    return torch.stack([scores, ids.float()]).cpu()


def reference(q, d):
    """Scores in f32 of f16 inputs, some documents at a time."""
    rows = [
        torch.cat([torch.matmul(part.float(), one.float().T).amax(1).sum(1) for part in docs.split(16)])
        for one, docs in zip(q, d)
    ]
    return torch.stack(rows)


def measure(score, q, d):
    """Medians of kernel time and of a call, and the call's 95th percentile, in milliseconds."""
    for _ in range(WARM_UP):
        best(score, q, d)
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
    try:
        with torch.inference_mode():
            error = (score(q, d).float() - expected).abs().max().item() / q.shape[1]
            kernel, p50, p95 = measure(score, q, d)
            try:
                graph = f"{graph_of(score, q, d):.4f}"
            except Exception as failure:
                graph = f"none ({type(failure).__name__})"
        print(f"| {name}: {way} | {kernel:.4f} | {graph} | {p50:.4f} | {p95:.4f} | {error:.1e} |")
    except Exception as failure:  # A way that a version doesn't have, or that runs out of memory.
        print(f"| {name}: {way} | {type(failure).__name__}: {str(failure).splitlines()[:1]} | | | | |")


def main():
    if not torch.cuda.is_available():
        sys.exit(print("\npeers: a CUDA device not there"))
    peers = {}
    for package, ways in [
        ("late-interaction-kernels", late_interaction_kernels),
        ("flash-maxsim", flash_maxsim),
    ]:
        try:
            peers[f"{package} {importlib.metadata.version(package)}"] = ways()
        except Exception as failure:
            print(f"\n{package}: not there ({failure})")
    if not peers:
        return
    for shape, q, d in shapes(Path(sys.argv[1])):
        print(f"\n{shape}, peers\n")
        print("| peer: called as | GPU, ms | GPU, CUDA graph | call p50 | p95 | error / query tokens |")
        print("|---|---|---|---|---|---|")
        expected = reference(q, d)
        for name, ways in peers.items():
            for way, score in ways.items():
                row(name, way, score, q, d, expected)
        del q, d, expected
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
