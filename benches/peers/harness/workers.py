"""Child processes that hold a shape's inputs and time one peer at a time, pinned to their cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
RUST = [str(HERE / "target/release/peers")]
PYTHON = [sys.executable, "-m", "harness.python_peers"]
PYTHON_PEERS = ["maxsim-cpu", "numpy", "lodedb", "lodedb-int8"]

#: By these, libraries choose the kernels of a machine without AVX-512.
AVX2 = {
    "OPENBLAS_CORETYPE": "Haswell",
    "LIBXSMM_TARGET": "hsw",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


class Failure(RuntimeError):
    """A worker's own words about what went wrong."""


class Worker:
    """One child process; end it with `close` or a `with` block."""

    def __init__(self, command: list[str], cores: list[int], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=HERE,
            env=inherited() | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, stat[11:13])) / os.sysconf("SC_CLK_TCK")

    def ask(self, do: str, **request: object) -> dict:
        print(json.dumps({"do": do, **request}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"the worker ended with {self.process.wait()} when asked to {do}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rust(cores: list[int], settings: dict[str, str]) -> Worker:
    # lateweave calls OpenBLAS from threads of its own, so OpenBLAS starts none.
    own = {"OPENBLAS_NUM_THREADS": "1"}
    return Worker(RUST, cores, threads(len(cores)) | own | settings)


def python(cores: list[int], settings: dict[str, str]) -> Worker:
    return Worker(PYTHON, cores, threads(len(cores)) | settings)


def inherited() -> dict[str, str]:
    """The environment, without what others set for libraries that are measured here."""
    settings = (
        "OPENBLAS_",
        "OMP_",
        "GOMP_",
        "MKL_",
        "RAYON_",
        "LIBXSMM_",
        "NPY_",
        "GLIBC_",
        "MALLOC_",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(settings)}


def threads(count: int) -> dict[str, str]:
    """The settings by which peers take their number of threads, and large pages for all alike."""
    names = ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    return {name: str(count) for name in names} | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def cores(count: int) -> list[int]:
    """So many cores of those this process may use, no two of them one core's threads."""
    found: dict[str, int] = {}
    for core in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        found.setdefault(siblings.read_text() if siblings.exists() else str(core), core)
    if count > len(found):
        raise SystemExit(f"{count} threads want as many cores; this machine has {len(found)}")
    return list(found.values())[:count]


def busy_seconds() -> float:
    """CPU time of the whole machine so far, idle time apart."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def processor() -> dict:
    """The processor's name and flags."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", fields.get("Features", "")).split()
    return {"model": fields.get("model name", "unknown"), "flags": flags}
