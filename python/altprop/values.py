"""What the nodes of an exported program stand for: samples' values, the model's own tensors, sizes."""
import operator

import torch

from .errors import place, refusal

TYPES = {torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4, torch.float16: 5, torch.float32: 6,
         torch.float64: 7, torch.bool: 11, torch.bfloat16: 15}
FORMATS = {torch.contiguous_format: 0, torch.preserve_format: 1, torch.channels_last: 2}


class Values:
    """Sorts the nodes of a program.

    own[node]      the model's parameter, buffer or constant of a placeholder
    dynamic        nodes that depend on the samples
    learnt         nodes that do not, but on a parameter that learns
    """

    def __init__(self, program, placeholders):
        self.nodes = list(program.graph.nodes)
        self.own, self.dynamic, self.learnt = {}, set(), set()
        self.input = None
        for node in self.nodes:
            if node.op == "placeholder":
                self.own[node] = placeholders[node.name]
                if self.own[node] is None:
                    self.input = node
                    self.dynamic.add(node)
                elif self.own[node].requires_grad:
                    self.learnt.add(node)
            elif node.op == "call_function":
                if any(one in self.dynamic for one in node.all_input_nodes):
                    self.dynamic.add(node)
                elif any(one in self.learnt for one in node.all_input_nodes):
                    self.learnt.add(node)
        self.batch = self.input.meta["val"].shape[0].node.expr
        self._constants = {}

    def is_size(self, node):
        return isinstance(node.meta.get("val"), (int, float, bool, torch.SymInt, torch.SymFloat, torch.SymBool))

    def size(self, value, node=None):
        """A size as JSON has it: a number, or {"batch": k} for k times the number of samples.

        @param node whose it is, for refusals
        """
        if isinstance(value, torch.fx.Node):
            value, node = value.meta["val"], value
        if not isinstance(value, torch.SymInt):
            return value
        expression = value.node.expr
        if expression.is_Integer:
            return int(expression)
        ratio = expression / self.batch
        if ratio.is_Integer:
            return {"batch": int(ratio)}
        raise refusal(place(node) if node is not None else "the model",
                      f"a size is {expression} for {self.batch} samples, which is no multiple of it",
                      "let the first dimension of every value be samples, or whole numbers of rows of each")

    def tensor(self, node):
        val = node.meta.get("val")
        return val if isinstance(val, torch.Tensor) else None

    def led_by_samples(self, node):
        """The first dimension of the value are the samples."""
        val = self.tensor(node)
        return val is not None and val.dim() > 0 and self.size(val.shape[0], node) == {"batch": 1}

    def shape(self, node):
        """Of a sample, in numbers; None if it depends on how many samples there are."""
        found = [self.size(extent, node) for extent in self.tensor(node).shape[1:]]
        return None if any(isinstance(extent, dict) for extent in found) else found

    def arguments(self, node):
        """All arguments in the order of the schema, defaults filled in."""
        out = []
        for i, argument in enumerate(node.target._schema.arguments):
            if i < len(node.args):
                out.append(node.args[i])
            elif argument.name in node.kwargs:
                out.append(node.kwargs[argument.name])
            else:
                out.append(argument.default_value)
        return out

    def constant(self, node):
        """The value of a node that depends on nothing that learns."""
        if node not in self._constants:
            with torch.no_grad():
                self._constants[node] = self._run(node, self.constant)
        return self._constants[node]

    def evaluated(self, nodes):
        """Values of nodes that depend on the model's parameters alone, on autograd's tape."""
        known = {}

        def of(node):
            if node not in known:
                known[node] = self._run(node, of)
            return known[node]

        with torch.enable_grad():
            return [of(node) for node in nodes]

    def _run(self, node, of):
        if node.op == "placeholder":
            return self.own[node]
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), of)
        return node.target(*args, **kwargs)


def is_getitem(node):
    return node.target is operator.getitem
