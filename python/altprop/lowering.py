"""From an exported program to a network of altprop: operations of the library where it has them, boxes of libtorch's for the
rest."""
import json
import math

import torch
from torch.export.graph_signature import OutputKind

from . import _core
from .errors import module_of, place, placed, refusal
from .export import placeholders
from .native import NATIVE, NATIVE_OF_SEVERAL, NATIVE_PARTS, parts_of, rows_of_all
from .values import FORMATS, TYPES, Values, is_getitem


class Box:
    """A program of libtorch's operators in the making (network/ops/aten_box.h)."""

    def __init__(self, values):
        self.values = values
        self.inputs, self.constants, self.params, self.calls = [], [], [], []

    def collect(self, nodes):
        inside = set(nodes)
        for node in nodes:
            for one in node.all_input_nodes:
                if one in inside or self.values.is_size(one):
                    continue
                found = (self.inputs if one in self.values.dynamic else self.params if one in self.values.learnt
                         else self.constants)
                if one not in found:
                    found.append(one)
        if not self.inputs:
            self.inputs = [self.values.input]  # which says how many samples there are
        self.number = {node: i for i, node in enumerate([*self.inputs, *self.constants, *self.params])}
        self.next = len(self.number)
        for node in nodes:
            if is_getitem(node):
                self.number[node] = self.number[node.args[0]] + node.args[1]
                continue
            if self.values.is_size(node):
                continue
            self.call(node.target, self.values.arguments(node))
            results = node.meta["val"]
            self.number[node] = self.next
            self.next += len(results) if isinstance(results, (tuple, list)) else 1

    def call(self, target, arguments):
        name, overload = target._schema.name, target._schema.overload_name
        if (name, overload) in (("aten::view", ""), ("aten::_unsafe_view", "")):  # of values that may lie otherwise in memory than in the trace
            name = "aten::reshape"
        self.calls.append({"op": name, "overload": overload, "args": [self.written(one) for one in arguments]})

    def written(self, argument):
        if isinstance(argument, torch.fx.Node):
            return self.values.size(argument) if self.values.is_size(argument) else {"v": self.number[argument]}
        if isinstance(argument, (list, tuple)):
            return [self.written(one) for one in argument]
        if isinstance(argument, torch.SymInt):
            return self.values.size(argument)
        if isinstance(argument, torch.dtype):
            return TYPES[argument]
        if isinstance(argument, torch.memory_format):
            return FORMATS[argument]
        if isinstance(argument, torch.layout):
            return 0
        if isinstance(argument, torch.device):
            return str(argument)
        if isinstance(argument, float) and not math.isfinite(argument):
            return str(argument)
        return argument


class Lowered:
    """What a model was traced to in one mode."""

    def __init__(self, program, model):
        self.model, self.program = model, program
        self.done, self.moved = set(), set()   # nodes that others have taken along; buffers that operations move
        self.values = Values(program, placeholders(program, model))
        self.core = _core.Network()
        self.operations = self.boxes = self.hidden = 0
        self.sources = []    # of the core's parameters: a tensor of the model's, or a node that is made of some
        self._numbers = {}   # of those: id of the tensor, or node -> number
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._taken = set()
        self.ids = {}
        self.counted = []    # num_batches_tracked of norms that have seen a batch
        self.fronts = {}     # a value repeated for each sample -> the learnt value
        self._transposes, self._made = {}, {}  # and the names of the parameters that they are made of
        self._lower()

    # ---- parameters

    def param(self, node):
        """The core's number of a node that depends on the model's tensors alone."""
        own = self.values.own.get(node)
        key = id(own) if own is not None else node
        if key not in self._numbers:
            value = own if own is not None else self.values.evaluated([node])[0]
            learnt = node in self.values.learnt
            name = self._names.get(id(own)) or self._made.get(node, node.name)
            self._numbers[key] = self.core.param(name, value, learnt)
            self.sources.append(own if own is not None else node)
        return self._numbers[key]

    def transposed(self, node):
        """The node of a matrix's transpose."""
        if node not in self._transposes:
            graph = node.graph
            with graph.inserting_after(node):
                made = graph.call_function(torch.ops.aten.t.default, (node,))
            made.meta["val"] = node.meta["val"].t()
            if node in self.values.learnt:
                self.values.learnt.add(made)
            self._transposes[node] = made
            self._made[made] = self._names.get(id(self.values.own.get(node)), node.name)
        return self._transposes[node]

    def home_of(self, node):
        """The module that a tensor of the model's belongs to, or None."""
        name = self._names.get(id(self.values.own.get(node)))
        return name.rpartition(".")[0] if name else None

    def refresh(self):
        """The parameters' values as they are now, known to the core; those made of others are on autograd's tape."""
        made = [source for source in self.sources if isinstance(source, torch.fx.Node)]
        values = dict(zip(made, self.values.evaluated(made)))
        tensors = [values[source] if isinstance(source, torch.fx.Node) else source for source in self.sources]
        self.core.refresh(tensors)
        return tensors

    def targets(self, tensors):
        """Where gradients go, and whether what is there is kept."""
        into, keep = [], []
        for source, tensor in zip(self.sources, tensors):
            if not tensor.requires_grad:
                into.append(None)
            elif isinstance(source, torch.fx.Node) or source.grad is None:
                into.append(torch.empty_like(tensor, requires_grad=False))
            else:
                into.append(source.grad)
            keep.append(into[-1] is not None and not isinstance(source, torch.fx.Node) and source.grad is not None)
        return into, keep

    def expect_no_hooks(self):
        """@raises Refusal if a parameter was given hooks on its gradient, which is written here without autograd"""
        for source in self.sources:
            if isinstance(source, torch.Tensor) and (source._backward_hooks or source._post_accumulate_grad_hooks):
                raise refusal(f"parameter '{self._names.get(id(source))}'",
                              "it has hooks on its gradient, which altprop.backward would not call",
                              "remove them, or train through altprop.Learner, whose gradients go through autograd")

    def parted(self, tensors, into):
        """Gradients of the model's own tensors, as (tensor, gradient), and of those that are made of some."""
        own, made = [], []
        for source, tensor, gradient in zip(self.sources, tensors, into):
            if gradient is None:
                continue
            if isinstance(source, torch.fx.Node):
                made.append((tensor, gradient))
            else:
                own.append((source, gradient))
        return own, made

    def hand_over(self, tensors, into):
        """Gradients of the core's parameters to .grad of the model's."""
        own, made = self.parted(tensors, into)
        for source, gradient in own:
            source.grad = gradient
        if made:
            torch.autograd.backward(*map(list, zip(*made)))
        self.count_batch()

    def by_parameter(self, tensors, into):
        """The same as id of the parameter -> gradient."""
        own, made = self.parted(tensors, into)
        found = {id(source): gradient for source, gradient in own}
        if made:
            parameters = [p for p in self.model.parameters() if p.requires_grad]
            through = torch.autograd.grad([t for t, _ in made], parameters, [g for _, g in made], allow_unused=True)
            for p, g in zip(parameters, through):
                if g is not None:
                    found[id(p)] = found[id(p)] + g if id(p) in found else g
        self.count_batch()
        return found

    def count_batch(self):
        for counter in self.counted:
            counter.add_(1)

    # ---- operations

    def named(self, wanted):
        name, k = wanted, 2
        while name in self._taken:
            name, k = f"{wanted}_{k}", k + 1
        self._taken.add(name)
        return name

    def add(self, kind, node, inputs, params=(), name=None, **settings):
        """An operation of the library. @param inputs, params nodes; None: none @returns its id"""
        if name is None:
            home = self.home_of(params[0]) if params and params[0] is not None else None
            name = node.name if home is None else home
        self.operations += 1
        try:
            return self.core.add(kind, settings, [-1 if p is None else self.param(p) for p in params],
                                 [self.ids[one] if isinstance(one, torch.fx.Node) else one for one in inputs],
                                 self.named(name or kind))
        except _core.UsageError as problem:
            raise placed(node, problem) from problem

    def _lower(self):
        values = self.values
        val = values.tensor(values.input)
        dtype = "float" if val.is_floating_point() else {torch.int64: "int64", torch.bool: "bool"}.get(val.dtype, str(val.dtype))
        shape = values.shape(values.input)
        self.ids[values.input] = self.core.input(shape, dtype, self.named("input"))
        [result] = [node for node in values.nodes if node.op == "output"]
        by_name = {node.name: node for node in result.all_input_nodes}
        specs = self.program.graph_signature.output_specs
        outputs = [by_name.get(getattr(spec.arg, "name", None)) for spec in specs if spec.kind == OutputKind.USER_OUTPUT]
        if len(outputs) != 1 or outputs[0] is None:
            raise refusal("the model", "it has several outputs, or one that is no tensor",
                          "wrap it in a module that returns one tensor")
        self.result = outputs[0]
        if not values.led_by_samples(self.result):
            raise refusal(place(self.result), "the first dimension of the model's output are no samples",
                          "wrap the model in a module that returns [samples, ...]")
        # Operators without a result only look at values.
        todo = [node for node in values.nodes if node in values.dynamic and node.op == "call_function"
                and "val" in node.meta and not values.is_size(node)]
        order = {node: i for i, node in enumerate(todo)}
        i = 0
        while i < len(todo):
            if todo[i] in self.done:
                i += 1
                continue
            if str(todo[i].target) in NATIVE_OF_SEVERAL and self._native_of_several(todo[i]):
                i += 1
                continue
            if str(todo[i].target) in NATIVE_PARTS and parts_of(self, todo[i], self.values.arguments(todo[i])):
                self.done.update(todo[i].users)
                i += 1
                continue
            together = rows_of_all(self, todo[i])
            if together:
                self.done.update(together)
                continue
            end = self._end_of_box(todo, order, i)
            if end == i and self._native(todo[i]):
                i += 1
                continue
            self._box(todo[i:end + 1])
            i = end + 1
        self.core.output(self.ids[self.result])
        for spec in specs:
            if spec.kind == OutputKind.BUFFER_MUTATION and spec.target not in self.moved:
                raise refusal(f"buffer '{spec.target}'",
                              "the model changes it in a forward pass, which a traced network would not do",
                              "leave it out, or call model.eval()")

    def _end_of_box(self, todo, order, begin):
        """The last node that has to be in one box with `begin`, as values that are not led by samples are seen by nobody else."""
        end, i = begin, begin
        while i <= end:
            if not self.values.led_by_samples(todo[i]):
                users = [order[user] for user in todo[i].users if user in order]
                end = max([end, *users])
            i += 1
        return end

    def _native(self, node):
        make = NATIVE.get(str(node.target))
        found = make(self, node, self.values.arguments(node)) if make else None
        if found is None:
            return False
        self.ids[node] = found
        return True

    def _native_of_several(self, node):
        """An operator of several results of which only the first is a value of the samples that others read."""
        parts = {user.args[1]: user for user in node.users if is_getitem(user)}
        if any(part > 0 and user.users and any(one.op != "output" for one in user.users) for part, user in parts.items()):
            return False
        found = NATIVE_OF_SEVERAL[str(node.target)](self, node, self.values.arguments(node))
        if found is None:
            return False
        self.done.update(parts.values())
        if 0 in parts:
            self.ids[parts[0]] = found
        return True

    def _box(self, nodes):
        repeated = {one: None for node in nodes for one in node.all_input_nodes if one in self.fronts}
        nodes = [*repeated, *nodes]
        box = Box(self.values)
        box.collect(nodes)
        inside = set(nodes)
        outputs = [node for node in nodes if self.values.led_by_samples(node)
                   and (node is self.result or any(user not in inside and user.op != "output" and not self.values.is_size(user)
                                                   for user in node.users))]
        if len(outputs) > 1:
            self._pack(box, outputs)
        elif box.number[outputs[0]] != box.next - 1:
            box.calls.append({"op": "aten::alias", "overload": "", "args": [{"v": box.number[outputs[0]]}]})
        made = self._boxed(box, nodes[-1], nodes[-1].name if len(nodes) == 1 else f"box_{self.boxes + 1}")
        self.boxes += 1
        self.operations += 1
        self.hidden += len(box.params)
        if len(outputs) == 1:
            self.ids[outputs[0]] = made
        else:
            self._unpack(made, outputs)

    def _boxed(self, box, node, name):
        """Named after the module, for rules that refuse it."""
        module = module_of(node)
        try:
            return self.core.box(json.dumps(box.calls), [self.values.constant(one) for one in box.constants],
                                 [self.param(one) for one in box.params], [self.ids[one] for one in box.inputs],
                                 self.named(f"{module}.{name}" if module else name))
        except _core.UsageError as problem:
            raise placed(node, problem) from problem

    def _pack(self, box, outputs):
        """Several outputs side by side, as one value of each sample."""
        if any(not self.values.tensor(node).is_floating_point() for node in outputs):
            raise refusal(place(outputs[0]),
                          "integers and real numbers come at once from values whose first dimension are no samples",
                          "let the first dimension of the values around it be samples")
        rows = []
        for node in outputs:
            box.calls.append({"op": "aten::reshape", "overload": "", "args": [{"v": box.number[node]}, [{"batch": 1}, -1]]})
            rows.append({"v": box.next})
            box.next += 1
        box.calls.append({"op": "aten::cat", "overload": "", "args": [rows, 1]})

    def _unpack(self, made, outputs):
        begin = 0
        for node in outputs:
            shape = self.values.shape(node)
            if shape is None:
                raise refusal(place(node), "its value has a second dimension that grows with the number of samples",
                              "let samples be the first dimension alone")
            width = math.prod(shape)
            calls = [{"op": "aten::narrow", "overload": "", "args": [{"v": 0}, 1, begin, width]},
                     {"op": "aten::reshape", "overload": "", "args": [{"v": 1}, [{"batch": 1}, *shape]]}]
            self.ids[node] = self.core.box(json.dumps(calls), [], [], [made], self.named(node.name))
            self.operations += 1
            self.boxes += 1
            begin += width
