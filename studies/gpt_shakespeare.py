#!/usr/bin/env python3
"""The network gpt:*-64x2-*:heads=4 in plain PyTorch, on the characters that `--data tinyshakespeare` gives: what backprop in
altprop is held against. Prints bits per character of the test part after each epoch, a line for each seed and epoch.

usage: studies/gpt_shakespeare.py TEXT [--epochs 8] [--seeds 1,2,3] [--width 64] [--blocks 2] [--heads 4]
"""
import argparse
import math

import torch
from torch import nn

LENGTH, BATCH, RATE = 64, 64, 0.003


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, 2))
        seen = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, tokens, width, blocks, heads):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(tokens, width), nn.Parameter(torch.zeros(LENGTH, width))
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(blocks)])
        self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, tokens, bias=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                last = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * blocks) if last else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x):
        return self.output(self.norm(self.blocks(self.tokens(x) + self.positions)))


def part(ids, begin, end):
    count = (end - begin - 1) // LENGTH
    cut = lambda first: ids[first:first + count * LENGTH].view(count, LENGTH)
    return cut(begin), cut(begin + 1)


def bits(model, x, y):
    with torch.no_grad():
        total = sum(nn.functional.cross_entropy(model(x[i:i + 256]).flatten(0, 1), y[i:i + 256].flatten(), reduction="sum").item()
                    for i in range(0, len(x), 256))
    return total / y.numel() / math.log(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    a = parser.parse_args()
    text = open(a.text, encoding="utf-8").read()
    alphabet = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = torch.tensor([alphabet[c] for c in text])
    n = len(ids)
    x, y = part(ids, 0, n - round(0.1 * n))
    test = part(ids, n - round(0.05 * n), n)
    for seed in map(int, a.seeds.split(",")):
        torch.manual_seed(seed)
        model = Gpt(len(alphabet), a.width, a.blocks, a.heads)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        for epoch in range(1, a.epochs + 1):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]).flatten(0, 1), y[rows].flatten()).backward()
                optimizer.step()
            print(f"seed {seed} epoch {epoch}: {bits(model, *test):.4f} bits per character", flush=True)


if __name__ == "__main__":
    main()
