#!/usr/bin/env python3
"""Turns the checkpoints of runs from before 0.1.0 (checkpoint.pt, best.pt) into safetensors files beside them.

    .venv/bin/python tools/convert_checkpoint.py RUN...

Each RUN is the folder of a run, of a comparison, or one .pt file. The old files stay. Nothing in them is executed: they
are read with torch.load(weights_only=True). A converted run can be resumed, applied and started from as a new one.
"""
import json
import struct
import sys
import zlib
from pathlib import Path

import torch

DTYPES = {torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.int32: "I32", torch.int64: "I64",
          torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64", torch.complex64: "C64"}
SUM = '"altprop_crc32":"'


def save(path, tensors, texts):
    """A checkpoint as altprop writes it, with the check sum over all its bytes."""
    tensors = {n: t.detach().cpu().contiguous() for n, t in sorted(tensors.items(), key=lambda nt: -nt[1].element_size())}
    header, data = {"__metadata__": {"altprop_crc32": "0" * 8, **texts}}, b""
    for name, tensor in tensors.items():
        numbers = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    whole = struct.pack("<Q", len(text)) + text + data
    at = whole.index(SUM.encode()) + len(SUM)
    Path(path).write_bytes(whole[:at] + b"%08x" % zlib.crc32(whole) + whole[at + 8:])


def load(path):
    """An old checkpoint's dictionary of tensors."""
    from torch.jit._pickle import restore_type_tag  # names the type of a container, and does nothing else

    with torch.serialization.safe_globals([restore_type_tag]):
        return torch.load(path, weights_only=True)


def convert(path):
    state = load(path)

    def text(name):
        return bytes(state.pop(name).tolist()).decode(errors="replace") if name in state else ""

    texts = {}
    if "meta" in state:
        meta, line, size = json.loads(text("meta")), text("metrics_line"), int(state.pop("metrics_bytes"))
        metrics = path.parent / "metrics.jsonl"
        known = metrics.read_bytes()[:size] if metrics.exists() else b""
        meta.update(format=2)
        for name, default in {"kernels_off": [], "instructions": "", "library_instructions": ""}.items():
            meta.setdefault(name, default)
        texts = {"altprop": json.dumps(meta), "altprop_records": json.dumps(
            {"metrics_bytes": size, "metrics_crc32": f"{zlib.crc32(known):08x}", "metrics_line": line})}
    to = path.with_suffix(".safetensors")
    save(to, state, texts)
    return to


def main(arguments):
    if not arguments:
        sys.exit(__doc__.strip())
    for argument in map(Path, arguments):
        found = [argument] if argument.is_file() else sorted(p for n in ("checkpoint.pt", "best.pt") for p in argument.rglob(n))
        if not found:
            sys.exit(f"convert_checkpoint: '{argument}' is no .pt file, and there is no checkpoint.pt or best.pt in it")
        for path in found:
            print(convert(path))


if __name__ == "__main__":
    main(sys.argv[1:])
