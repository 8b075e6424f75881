#!/usr/bin/env python3
"""Runs a network of neuromorphic cores that `altprop export RUN --as cores` has written.

    altprop export runs/a --as cores --images 1000 --out mapping
    python examples/cores_simulator.py mapping

This file knows nothing of altprop but the document mapping.json, which docs/cores.md describes, and
needs nothing but Python. It expects to print

    1000 images, 250 output neurons each: all spikes as written
    accuracy 87.3 %

with the accuracy of your network, if the folder has inputs.txt (the spikes of each image, a line for each
of its ticks), outputs.txt (what the cores fired) and classes.txt (what the images are).
"""
import json
import pathlib
import sys


class Core:
    """Axons with a type and a source, and for each neuron the axons that it is connected to."""

    def __init__(self, core):
        self.sources = core["axons"]
        self.types = core["types"]
        self.strengths = core["strengths"]
        self.leaks = core["leaks"]
        # By neuron: a whole number whose bits are its connections, by type of the axon.
        self.connections = []
        for row in core["connections"]:
            by_type = [0, 0, 0, 0]
            for axon, bit in enumerate(row):
                if bit == "1":
                    by_type[self.types[axon]] |= 1 << axon
            self.connections.append(by_type)

    def fire(self, inputs, fired, at_zero):
        """Spikes of the neurons, in one tick. inputs: of the image; fired: of the cores before."""
        spikes = 0
        for axon, source in enumerate(self.sources):
            if source is None:
                continue
            core, index = source
            if (inputs if core < 0 else fired[core])[index]:
                spikes |= 1 << axon
        out = []
        for connections, strengths, leak in zip(self.connections, self.strengths, self.leaks):
            total = leak
            for mask, strength in zip(connections, strengths):
                total += strength * bin(spikes & mask).count("1")
            out.append(total >= 0 if at_zero else total > 0)
        return out


class Network:
    def __init__(self, document):
        if document["format"] != "altprop-cores" or document["version"] != 1:
            raise ValueError("this is no mapping of version 1")
        self.cores = [Core(core) for core in document["cores"]]
        self.votes = document["votes"]
        self.classes = document["classes"]
        self.at_zero = document["fires"] == "at 0"

    def run(self, inputs):
        """The spikes that are counted, in the order of the votes."""
        fired = []
        for core in self.cores:  # a core reads only those before it
            fired.append(core.fire(inputs, fired, self.at_zero))
        return [fired[core][neuron] for core, neuron, _ in self.votes]

    def count(self, spikes, counts):
        """Adds the spikes to those of their classes."""
        for spike, (_, _, of_class) in zip(spikes, self.votes):
            counts[of_class] += spike


def bits(line):
    return [character == "1" for character in line.strip()]


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: cores_simulator.py FOLDER")
    folder = pathlib.Path(sys.argv[1])
    network = Network(json.loads((folder / "mapping.json").read_text()))
    inputs = lines_of(folder / "inputs.txt")
    outputs = lines_of(folder / "outputs.txt")
    classes = lines_of(folder / "classes.txt")
    if not inputs:
        sys.exit(f"{folder} has no inputs.txt; export with --images")
    if not classes or len(inputs) != len(outputs) or len(inputs) % len(classes):
        sys.exit(f"{folder}: inputs.txt, outputs.txt and classes.txt are not of the same images")
    ticks = len(inputs) // len(classes)  # of each image, one after the other
    right = 0
    for image, of_class in enumerate(classes):
        counts = [0] * network.classes
        for line in range(image * ticks, (image + 1) * ticks):
            spikes = network.run(bits(inputs[line]))
            if spikes != bits(outputs[line]):
                sys.exit(f"line {line} of inputs.txt: other spikes than in outputs.txt")
            network.count(spikes, counts)
        # The class with the most spikes; of several the lowest.
        right += counts.index(max(counts)) == int(of_class)
    print(f"{len(classes)} images, {len(network.votes)} output neurons each: all spikes as written")
    print(f"accuracy {100 * right / len(classes):.1f} %")


if __name__ == "__main__":
    main()
