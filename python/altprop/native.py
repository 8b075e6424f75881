"""Operators of libtorch that are operations of the library: what each is there, or None where its settings are others."""
import torch


def own(lowered, node):
    """A node that depends on the model's tensors alone, or none."""
    return node is None or node not in lowered.values.dynamic


def same(numbers):
    """One number for height and width, or None."""
    numbers = list(numbers) if isinstance(numbers, (list, tuple)) else [numbers]
    return numbers[0] if numbers and all(one == numbers[0] for one in numbers) else None


def real(lowered, *nodes):
    return all(isinstance(one, torch.fx.Node) and one in lowered.ids and lowered.values.tensor(one).is_floating_point()
               for one in nodes)


def linear(lowered, node, args):
    x, weight, bias = args
    if not real(lowered, x) or not own(lowered, weight) or not own(lowered, bias):
        return None
    return lowered.add("linear", node, [x], [weight, bias])


def convolution(kind):
    def make(lowered, node, args):
        x, weight, bias, stride, padding, dilation, groups = args
        stride, padding, dilation = same(stride), same(padding), same(dilation)
        if not real(lowered, x) or not own(lowered, weight) or None in (stride, padding, dilation) or isinstance(padding, str):
            return None
        return lowered.add(kind, node, [x], [weight, bias], stride=stride, padding=padding, dilation=dilation, groups=groups)
    return make


def batch_norm(lowered, node, args):
    x, weight, bias, mean, var, training, momentum, eps, _ = args
    if not real(lowered, x) or None in (weight, bias, mean, var) or momentum is None:
        return None
    statistics = {"running_mean": lowered.values.own.get(mean), "running_var": lowered.values.own.get(var)}
    if None in statistics.values():
        return None
    if training:
        buffers = dict(lowered.model.named_buffers())
        [name] = [name for name, buffer in buffers.items() if buffer is statistics["running_mean"]]
        stem = name.removesuffix("running_mean")
        lowered.moved.update(stem + part for part in ("running_mean", "running_var", "num_batches_tracked"))
        if stem + "num_batches_tracked" in buffers:
            lowered.counted.append(buffers[stem + "num_batches_tracked"])
    return lowered.add("batch_norm", node, [x], [weight, bias], eps=eps, momentum=momentum, fixed=not training, **statistics)


def layer_norm(lowered, node, args):
    x, shape, weight, bias, eps, _ = args
    whole = lowered.values.shape(x) if real(lowered, x) else None
    if whole is None or weight is None or bias is None:
        return None
    if len(shape) != 1 and list(shape) != whole:
        return None
    return lowered.add("layer_norm", node, [x], [weight, bias], eps=eps, all_features=len(shape) != 1 and list(shape) == whole)


def group_norm(lowered, node, args):
    x, groups, weight, bias, eps = args[:5]
    if not real(lowered, x) or weight is None or bias is None:
        return None
    return lowered.add("group_norm", node, [x], [weight, bias], groups=groups, eps=eps)


def activation(name):
    def make(lowered, node, args):
        if not real(lowered, args[0]) or (name == "gelu" and args[1] != "none") or (name == "elu" and args[1:4] != [1, 1, 1]):
            return None
        if name == "softplus" and args[1:3] != [1, 20]:
            return None
        full = f"leaky-relu({args[1]})" if name == "leaky-relu" else name
        return lowered.add("activation", node, [args[0]], function=full)
    return make


def max_pool(lowered, node, args):
    x, kernel, stride, padding, dilation, ceil = args
    kernel, stride, padding = same(kernel), same(stride) if stride else 0, same(padding)
    if not real(lowered, x) or None in (kernel, stride, padding) or same(dilation) != 1 or ceil or len(lowered.values.shape(x)) != 3:
        return None
    return lowered.add("max_pool2d", node, [x], kernel=kernel, stride=stride, padding=padding)


def average_pool(lowered, node, args):
    x, kernel, stride, padding, ceil, counted, divisor = args
    kernel, stride, padding = same(kernel), same(stride) if stride else 0, same(padding)
    if not real(lowered, x) or None in (kernel, stride, padding) or ceil or divisor is not None or (padding and not counted):
        return None
    return lowered.add("average_pool2d", node, [x], kernel=kernel, stride=stride, padding=padding)


def mean_of_positions(lowered, node, x):
    pooled = lowered.add("global_average_pool", node, [x], name=node.name + "_mean")
    wanted, have = lowered.values.shape(node), lowered.values.shape(x)[:1]
    return pooled if wanted == have else lowered.add("reshape", node, [pooled], shape=wanted)


def adaptive_average_pool(lowered, node, args):
    x, size = args
    if not real(lowered, x) or same(size) != 1 or len(lowered.values.shape(x)) != 3:
        return None
    return mean_of_positions(lowered, node, x)


def mean(lowered, node, args):
    x, dims, _, dtype = args
    if not real(lowered, x) or dtype is not None or dims is None:
        return None
    rank = lowered.values.tensor(x).dim()
    if rank != 4 or sorted(d % rank for d in dims) != [2, 3]:
        return None
    return mean_of_positions(lowered, node, x)


def reshape(lowered, node, args):
    if not real(lowered, args[0]) or not lowered.values.shape(node):
        return None
    return lowered.add("reshape", node, [args[0]], shape=lowered.values.shape(node))


def tensor(lowered, *nodes):
    """Samples' values of any type that a network may carry."""
    return all(isinstance(one, torch.fx.Node) and one in lowered.ids for one in nodes)


def permute(lowered, node, args):
    x, order = args
    if not tensor(lowered, x):
        return None
    order = [d % len(order) for d in order]
    return lowered.add("permute", node, [x], order=order[1:]) if order[0] == 0 else None


def transpose(lowered, node, args):
    x, a, b = args
    if not tensor(lowered, x):
        return None
    rank = lowered.values.tensor(x).dim()
    order = list(range(rank))
    order[a % rank], order[b % rank] = order[b % rank], order[a % rank]
    return lowered.add("permute", node, [x], order=order[1:]) if order[0] == 0 else None


def part(lowered, node, x, dim, begin, end, step=1):
    """Some entries of a dimension, as an operation; None where it is that of the samples or depends on how many there are."""
    if not tensor(lowered, x) or lowered.values.shape(x) is None:
        return None
    dim %= lowered.values.tensor(x).dim()
    if dim == 0 or not all(isinstance(one, int) or one is None for one in (begin, end, step)):
        return None
    indices = range(lowered.values.shape(x)[dim - 1])[slice(begin, end, step)]
    if not indices:
        return None
    return lowered.add("slice", node, [x], dim=dim, **{"from": indices[0]}, count=len(indices), step=step)


def slice_of(lowered, node, args):
    x, dim, begin, end, step = args
    if tensor(lowered, x) and dim % lowered.values.tensor(x).dim() == 0 and begin in (None, 0) and step == 1 and \
            isinstance(end, int) and end > 1 << 40:
        return lowered.ids[x]  # of all samples
    return part(lowered, node, x, dim, begin, end, step)


def select(lowered, node, args):
    x, dim, index = args
    if not isinstance(index, int) or not lowered.values.shape(node):
        return None
    found = part(lowered, node, x, dim, index, index + 1 if index != -1 else None)
    return None if found is None else lowered.add("reshape", node, [found], shape=lowered.values.shape(node))


def parts_of(lowered, node, args):
    """All results of a split along a dimension that is not the samples'."""
    x, _, dim = args
    if not tensor(lowered, x):
        return False
    rank, begin, found = lowered.values.tensor(x).dim(), 0, {}
    if dim % rank == 0:
        return False
    for number, result in enumerate(node.meta["val"]):
        extent = lowered.values.size(result.shape[dim % rank])
        if not isinstance(extent, int):
            return False
        found[number] = (begin, begin + extent)
        begin += extent
    for user in node.users:
        lowered.ids[user] = part(lowered, user, x, dim, *found[user.args[1]])
    return True


def unchanged(lowered, node, args):
    return lowered.ids.get(args[0])


def dropout(lowered, node, args):
    x, p, training = args
    if not real(lowered, x):
        return None
    return lowered.add("dropout", node, [x], p=p) if training and p > 0 else lowered.ids[x]


def with_learnt(kind, lowered, node, x, value):
    """A value of the model's parameters that all samples share, as a factor or a summand."""
    if not real(lowered, x) or value not in lowered.values.learnt:
        return None
    own_value, samples = lowered.values.tensor(value), lowered.values.tensor(x)
    if own_value.dtype != samples.dtype or own_value.dim() > samples.dim() or node.meta["val"].shape != samples.shape:
        return None
    if own_value.dim() == samples.dim() and own_value.shape[0] != 1:
        return None
    return lowered.add(kind, node, [x], [value])


def of_two(kind, learnt):
    def make(lowered, node, args):
        a, b = args[:2]
        if len(args) > 2 and args[2] != 1:
            return None
        if not real(lowered, a, b):
            return with_learnt(learnt, lowered, node, a, b) or with_learnt(learnt, lowered, node, b, a)
        extents = lowered.values.shape(a), lowered.values.shape(b)
        if a is b or None in extents or len(extents[0]) != len(extents[1]):
            return None
        if extents[0] != extents[1] and (kind == "add" or any(1 not in pair and pair[0] != pair[1] for pair in zip(*extents))):
            return None
        return lowered.add(kind, node, [a, b])
    return make


def repeated(lowered, node, args):
    """A learnt value that is repeated for each sample, to stand in front of it: the concatenation will take it."""
    value = args[0]
    if value not in lowered.values.learnt or not node.users or not lowered.values.led_by_samples(node):
        return None
    own_value = lowered.values.tensor(value)
    if own_value.dim() != node.meta["val"].dim() or own_value.shape[0] != 1 or \
            list(own_value.shape[1:]) != lowered.values.shape(node):
        return None
    for user in node.users:
        parts, dim = lowered.values.arguments(user)[:2] if str(user.target) == "aten.cat.default" else ((), 0)
        if len(parts) != 2 or parts[0] is not node or parts[1] is node or dim % own_value.dim() != 1 or \
                not lowered.values.led_by_samples(parts[1]) or lowered.values.tensor(parts[1]).dtype != own_value.dtype:
            return None
    lowered.fronts[node] = value
    return -1  # nobody else asks for it


def matrix_times(lowered, node, args):
    """x weight of samples that are rows, or bias + x weight."""
    bias, x, weight, beta, alpha = args if len(args) == 5 else [None, *args, 1, 1]
    if not real(lowered, x) or beta != 1 or alpha != 1:
        return None
    return columns(lowered, node, x, weight, bias)


def columns(lowered, node, x, weight, bias):
    """x weight + bias along the last dimension, weight [inputs, outputs]: a linear layer of its transpose."""
    if not own(lowered, weight) or not own(lowered, bias) or weight is None or \
            lowered.values.tensor(weight).dim() != 2 or (bias is not None and lowered.values.tensor(bias).dim() != 1):
        return None
    return lowered.add("linear", node, [x], [lowered.transposed(weight), bias], name=lowered.home_of(weight) or node.name)


def rows_of_all(lowered, node):
    """A product of all rows of all samples, between two views: nodes that are one linear layer. @returns the last, or None"""
    if str(node.target) not in VIEWS or not real(lowered, node.args[0]) or len(node.users) != 1:
        return None
    x, [product] = node.args[0], node.users
    kind = str(product.target)
    if kind not in ("aten.addmm.default", "aten.mm.default", "aten.matmul.default") or len(product.users) != 1:
        return None
    arguments = lowered.values.arguments(product)
    bias, rows, weight = arguments[:3] if kind == "aten.addmm.default" else [None, *arguments]
    if rows is not node or arguments[3:] not in ([], [1, 1]):
        return None
    [back] = product.users
    shape = lowered.values.shape(x)
    if str(back.target) not in VIEWS or not shape or not lowered.values.led_by_samples(back) or \
            lowered.values.tensor(node).shape[-1] != shape[-1] or \
            lowered.values.shape(back) != [*shape[:-1], lowered.values.tensor(product).shape[-1]]:
        return None
    found = columns(lowered, product, x, weight, bias)
    if found is None:
        return None
    lowered.ids[back] = found
    return [node, product, back]


VIEWS = ("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default")


def rms_norm(lowered, node, args):
    x, shape, weight, eps = args
    if not real(lowered, x) or weight is None or not own(lowered, weight) or len(shape) != 1:
        return None
    eps = torch.finfo(lowered.values.tensor(x).dtype).eps if eps is None else eps
    return lowered.add("rms_norm", node, [x], [weight], eps=eps)


def concat(lowered, node, args):
    parts, dim = args
    if parts[0] in lowered.fronts:
        return lowered.add("prepend", node, [parts[1]], [lowered.fronts[parts[0]]])
    if not real(lowered, *parts):
        return None
    dim %= lowered.values.tensor(parts[0]).dim()
    return lowered.add("concat", node, list(parts), dim=dim) if dim > 0 and len(set(parts)) == len(parts) > 1 else None


def embedding(lowered, node, args):
    weight, tokens, padding = args[:3]
    if not own(lowered, weight) or tokens not in lowered.ids:
        return None
    if lowered.values.tensor(tokens).dtype != torch.int64:
        return None
    return lowered.add("embedding", node, [tokens], [weight], padding=padding)


NATIVE = {
    "aten.linear.default": linear,
    "aten.conv1d.default": convolution("conv1d"),
    "aten.conv2d.default": convolution("conv2d"),
    "aten.batch_norm.default": batch_norm,
    "aten.layer_norm.default": layer_norm,
    "aten.group_norm.default": group_norm,
    "aten.relu.default": activation("relu"),
    "aten.tanh.default": activation("tanh"),
    "aten.sigmoid.default": activation("sigmoid"),
    "aten.gelu.default": activation("gelu"),
    "aten.silu.default": activation("silu"),
    "aten.hardswish.default": activation("hardswish"),
    "aten.relu6.default": activation("relu6"),
    "aten.hardtanh.default": lambda lowered, node, args: activation("relu6")(lowered, node, args) if args[1:] == [0, 6] else None,
    "aten.elu.default": activation("elu"),
    "aten.softplus.default": activation("softplus"),
    "aten.leaky_relu.default": activation("leaky-relu"),
    "aten.max_pool2d.default": max_pool,
    "aten.avg_pool2d.default": average_pool,
    "aten.adaptive_avg_pool2d.default": adaptive_average_pool,
    "aten.mean.dim": mean,
    "aten.view.default": reshape,
    "aten.reshape.default": reshape,
    "aten.flatten.using_ints": reshape,
    "aten.squeeze.dims": reshape,
    "aten.unsqueeze.default": reshape,
    "aten.permute.default": permute,
    "aten.transpose.int": transpose,
    "aten.slice.Tensor": slice_of,
    "aten.select.int": select,
    "aten.dropout.default": dropout,
    "aten.clone.default": unchanged,
    "aten.contiguous.default": unchanged,
    "aten.alias.default": unchanged,
    "aten.add.Tensor": of_two("add", "offset"),
    "aten.mul.Tensor": of_two("multiply", "gain"),
    "aten.cat.default": concat,
    "aten.expand.default": repeated,
    "aten.addmm.default": matrix_times,
    "aten.mm.default": matrix_times,
    "aten.matmul.default": matrix_times,
    "aten.rms_norm.default": rms_norm,
    "aten.embedding.default": embedding,
}

# The first of several results; the others are statistics, masks and the like.
NATIVE_OF_SEVERAL = {
    "aten._native_batch_norm_legit_functional.default": lambda lowered, node, args: batch_norm(lowered, node, [*args, False]),
    "aten._native_batch_norm_legit_no_training.default": lambda lowered, node, args: batch_norm(
        lowered, node, [*args[:5], False, *args[5:], False]),
    "aten.native_dropout.default": lambda lowered, node, args: dropout(lowered, node, args),
}

# Operators all of whose results are parts of one value.
NATIVE_PARTS = {"aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default"}
