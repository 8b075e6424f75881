"""Forty published architectures through altprop.from_torch: studies/python_models.py [--build DIR] [NAME...]

    pip install torchvision==0.28.0 timm==1.0.31 transformers==5.24.0

Random weights, four samples, float64, drop rates 0, in evaluation and in training mode, the first output: gradients of
backprop through the traced network against autograd's, as the largest difference of a number over the largest norm of a
gradient. Writes studies/python_models.md. Half an hour of one core.
"""
import argparse
import pathlib
import sys
import time

import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent
TORCHVISION = {"alexnet": 64, "vgg11_bn": 32, "resnet18": 32, "resnet50": 32, "densenet121": 32, "googlenet": 64, "inception_v3": 299,
               "mobilenet_v2": 32, "mobilenet_v3_small": 32, "efficientnet_b0": 32, "shufflenet_v2_x1_0": 32, "squeezenet1_1": 64,
               "mnasnet1_0": 32, "regnet_y_400mf": 32, "convnext_tiny": 32, "vit_b_16": 224, "swin_t": 64, "maxvit_t": 224}
TIMM = {"resnet18": 64, "resnetv2_50": 64, "vit_tiny_patch16_224": 224, "deit_tiny_patch16_224": 224, "mixer_s16_224": 224,
        "convmixer_768_32": 64, "mobilenetv4_conv_small": 64, "efficientvit_b0": 224, "poolformer_s12": 64, "hgnet_tiny": 64,
        "nfnet_l0": 64, "eva02_tiny_patch14_224": 224, "beit_base_patch16_224": 224, "xcit_nano_12_p16_224": 224, "ghostnet_050": 64}
TRANSFORMERS = ["BertForSequenceClassification", "DistilBertForSequenceClassification", "GPT2LMHeadModel", "LlamaForCausalLM",
                "Qwen2ForCausalLM", "T5EncoderModel", "ViTForImageClassification"]


class First(nn.Module):
    def __init__(self, model, key="logits", **inputs):
        super().__init__()
        self.model, self.key = model, key

    def forward(self, x):
        found = self.model(x)
        return getattr(found, self.key, found[0] if isinstance(found, (tuple, list)) else found)


def import_torchvision():
    """Its models need none of its compiled operators, which a wheel for another build of torch does not load."""
    try:
        import torchvision
    except RuntimeError:
        import importlib.util
        import re
        found = pathlib.Path(importlib.util.find_spec("torchvision").origin).parent / "_meta_registrations.py"
        library = torch.library.Library("torchvision", "DEF")
        for name in set(re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"\)', found.read_text())):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" if name == "nms"
                           else f"{name}(Tensor x) -> Tensor")
        import_torchvision.library = library
        import torchvision
    return torchvision


def of_torchvision(name):
    kinds = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(import_torchvision().models, name)(weights=None, **kinds), torch.randn(4, 3, *[TORCHVISION[name]] * 2)


def of_timm(name):
    import_torchvision()
    import timm
    return timm.create_model(name, pretrained=False), torch.randn(4, 3, *[TIMM[name]] * 2)


def of_transformers(name):
    import_torchvision()  # which transformers asks for
    import transformers as t
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    words, cacheless = {**sizes, "vocab_size": 200}, {"use_cache": False}
    configurations = {
        "BertForSequenceClassification": lambda: t.BertConfig(**words),
        "DistilBertForSequenceClassification": lambda: t.DistilBertConfig(dim=64, n_layers=2, n_heads=4, hidden_dim=128, vocab_size=200),
        "GPT2LMHeadModel": lambda: t.GPT2Config(n_embd=64, n_layer=2, n_head=4, n_inner=128, vocab_size=200, bos_token_id=0,
                                                eos_token_id=0, **cacheless),
        "LlamaForCausalLM": lambda: t.LlamaConfig(**words, num_key_value_heads=2, **cacheless),
        "Qwen2ForCausalLM": lambda: t.Qwen2Config(**words, num_key_value_heads=2, **cacheless),
        "T5EncoderModel": lambda: t.T5Config(d_model=64, num_layers=2, num_heads=4, d_ff=128, d_kv=16, vocab_size=200),
        "ViTForImageClassification": lambda: t.ViTConfig(**sizes, image_size=32, patch_size=8)}
    model = First(getattr(t, name)(configurations[name]()), "last_hidden_state" if name == "T5EncoderModel" else "logits")
    return model, torch.randn(4, 3, 32, 32) if "ViT" in name else torch.randint(0, 200, (4, 16))


def without_drops(model):
    for module in model.modules():
        for key, value in list(vars(module).items()):
            if isinstance(value, float) and ("drop" in key or (key == "p" and "Drop" in type(module).__name__)):
                setattr(module, key, 0.0)
            elif isinstance(value, float) and key == "p" and "Stochastic" in type(module).__name__:
                setattr(module, key, 0.0)
    return model


def error(altprop, net, x):
    """The largest difference between gradients, over the largest norm of one."""
    model = net.model
    output = model(x)
    weight = torch.randn(output.shape, dtype=output.dtype, generator=torch.Generator().manual_seed(1))

    def loss(out, _):
        return (out * weight).sum() / weight.numel()

    buffers = [(b, b.clone()) for b in model.buffers()]
    model.zero_grad(set_to_none=True)
    loss(model(x), None).backward()
    right = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for b, before in buffers:
        b.copy_(before)
    model.zero_grad(set_to_none=True)
    altprop.backward(altprop.Rule("backprop"), net, x, None, loss)
    largest = max(g.norm().item() for g in right.values())
    found = dict(model.named_parameters())
    return max((found[name].grad - g).abs().max().item() for name, g in right.items() if g.numel()) / largest


def row(altprop, make, name):
    torch.manual_seed(0)
    begin = time.time()
    try:
        model, x = make(name)
        model = without_drops(model).double().eval()
        x = x.double() if x.is_floating_point() else x
        net = altprop.from_torch(model, x[:2])
        traced = net.lowered()
        errors = []
        for training in (False, True):
            model.train(training)
            try:
                errors.append(f"{error(altprop, net, x):.0e}")
            except altprop.UsageError as refused:
                errors.append(f"refused: {refused}")
        return [f"{traced.operations}", f"{traced.boxes}", f"{traced.hidden}", *errors, f"{time.time() - begin:.0f}"]
    except altprop.UsageError as refused:
        return ["", "", "", f"refused: {refused}", "", f"{time.time() - begin:.0f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "studies/python_models.md")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    sys.path.insert(0, str(a.build / "python"))
    import altprop
    torch.set_num_threads(1)
    lines = ["# Published architectures from Python", "",
             "`studies/python_models.py`: models with random weights, four samples, float64, drop rates 0, first output. Gradients of",
             "backprop through the network that `altprop.from_torch` traces against autograd's: the largest difference of a number over",
             "the largest norm of a gradient.", "",
             "| architecture | operations | boxes | parameters in boxes | evaluation | training | s |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for package, names, make in (("torchvision", TORCHVISION, of_torchvision), ("timm", TIMM, of_timm),
                                 ("transformers", TRANSFORMERS, of_transformers)):
        for name in names:
            if not a.names or f"{package}/{name}" in a.names or package in a.names:
                lines.append(f"| {package} {name} | " + " | ".join(row(altprop, make, name)) + " |")
                print(lines[-1], flush=True)
                a.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
