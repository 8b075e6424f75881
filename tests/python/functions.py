"""Functions of one's own that the tests put into models."""
import torch


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(_, x):
        return x.sign()

    @staticmethod
    def backward(_, cot):
        return cot
