"""What is scored: shapes, their random inputs, and the files through which every peer gets them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

SEED = 1


@dataclass(frozen=True)
class Shape:
    """Queries of some tokens against documents of some, or of a range of, tokens."""

    query_tokens: int
    document_tokens: tuple[int, int]
    dim: int
    documents: int
    queries: int = 1

    @property
    def name(self) -> str:
        least, most = self.document_tokens
        tokens = str(least) if least == most else f"{least}-{most}"
        queries = "" if self.queries == 1 else f"{self.queries}q."
        return f"{queries}{self.query_tokens}x{tokens}x{self.dim}.{self.documents}"

    @property
    def title(self) -> str:
        least, most = self.document_tokens
        tokens = str(least) if least == most else f"({least} to {most})"
        queries = "" if self.queries == 1 else f"{self.queries} queries: "
        return f"{queries}{self.query_tokens} × {tokens} × {self.dim}, {self.documents:,}"

    def quick(self) -> "Shape":
        """The same with fewer documents, to see that everything runs."""
        return replace(self, documents=max(5, self.documents // 20))


def fixed(
    query_tokens: int, document_tokens: int, dim: int, documents: int, queries: int = 1
) -> Shape:
    return Shape(query_tokens, (document_tokens, document_tokens), dim, documents, queries)


ONE_QUERY = fixed(32, 180, 128, 1_000)
MANY_QUERIES = fixed(32, 180, 128, 1_000, queries=16)
SHAPES = [
    ONE_QUERY,
    Shape(32, (60, 180), 128, 1_000),
    fixed(20, 1_030, 128, 100),
    fixed(1_024, 1_030, 128, 20),
    fixed(32, 180, 96, 1_000),
    fixed(32, 300, 48, 1_000),
    fixed(8, 512, 768, 1_000),
    fixed(5, 40, 384, 1_000),
    fixed(32, 8, 128, 10_000),
    MANY_QUERIES,
]
EDGE = Shape(32, (60, 180), 128, 10_000)


@dataclass
class Files:
    """A shape's inputs on disk, in Maxfold's interchange format."""

    documents: Path
    queries: Path


def write(shape: Shape, folder: Path) -> Files:
    """Unit vectors in random directions, rounded to f16: what every peer scores."""
    rng = np.random.default_rng(SEED)
    least, most = shape.document_tokens
    lengths = rng.integers(least, most, size=shape.documents, endpoint=True)
    files = Files(folder / "documents.safetensors", folder / "queries.safetensors")
    _write(files.documents, rng, lengths, shape.dim)
    _write(files.queries, rng, np.full(shape.queries, shape.query_tokens), shape.dim)
    return files


def _write(path: Path, rng: np.random.Generator, lengths: np.ndarray, dim: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.empty((offsets[-1], dim), np.float16)
    for start in range(0, len(tokens), 100_000):
        rows = rng.standard_normal((min(100_000, len(tokens) - start), dim), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        tokens[start : start + len(rows)] = rows
    save_file({"tokens": tokens, "offsets": offsets}, path)


@dataclass
class Matrices:
    """Token matrices, packed: item `i` owns rows `offsets[i]` to `offsets[i + 1]`."""

    tokens: np.ndarray
    offsets: np.ndarray

    @classmethod
    def read(cls, path: str | Path) -> "Matrices":
        file = load_file(path)
        return cls(file["tokens"], file["offsets"])

    def widened(self) -> "Matrices":
        return Matrices(self.tokens.astype(np.float32), self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, item: int) -> np.ndarray:
        return self.tokens[self.offsets[item] : self.offsets[item + 1]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


def reference(queries: Matrices, documents: Matrices, sample: np.ndarray) -> np.ndarray:
    """MaxSim in f64, `[queries, sample]`."""
    scores = np.empty((len(queries), len(sample)))
    for row in range(len(queries)):
        query = queries[row].astype(np.float64)
        for column, item in enumerate(sample):
            scores[row, column] = (documents[item].astype(np.float64) @ query.T).max(axis=0).sum()
    return scores


def operations(shape: Shape, files: Files) -> float:
    """A multiplication and an addition a column of each pair of tokens."""
    documents = load_file(files.documents)["offsets"][-1]
    return 2.0 * shape.queries * shape.query_tokens * float(documents) * shape.dim
