"""A loss of PyTorch's, one number for a batch, as rules ask it: of each sample, at outputs of their own."""
import torch


class LossNow:
    """The loss of the step in progress. Rules are bound to this, and not to the function that a loop makes anew.

    Where samples are coupled (a sum, class weights, targets that are left out), a batch is one thing: each of its B
    samples counts as having B times its share, so that the mean over samples is the loss of the batch.
    """

    def __init__(self):
        self.function, self.samples, self.coupled = None, 1, False
        self._loops = None   # a function that cannot be taken sample by sample at once

    def begin(self, function, output, target, gradient):
        """A step's loss. @param gradient of the batch's at `output`"""
        self.function, self.samples = function, output.shape[0]
        with torch.enable_grad():
            at = output.detach().requires_grad_()
            single = torch.autograd.grad(self._each(at, target).sum(), at, allow_unused=True)[0]
        self.coupled = single is None or not torch.allclose(single, gradient * self.samples, rtol=1e-3, atol=1e-6)

    def value(self, output, target):
        """[B]: of each sample."""
        with torch.no_grad():
            if not self.coupled:
                return self._each(output, target)
            parts = [self.function(o, t).expand(o.shape[0]) for o, t in self._batches(output, target)]
            return torch.cat(parts)

    def gradient(self, output, target):
        """[B, ...]: of each sample, not divided by how many there are."""
        found = []
        for o, t in self._batches(output, target) if self.coupled else [(output, target)]:
            with torch.enable_grad():
                at = o.detach().requires_grad_()
                found.append(torch.autograd.grad(self.function(at, t), at)[0] * o.shape[0])
        return found[0] if len(found) == 1 else torch.cat(found)

    def _batches(self, output, target):
        # Some rules ask of several copies of the batch at once.
        return zip(output.split(self.samples), target.split(self.samples))

    def _each(self, output, target):
        if self._loops is not self.function:
            try:
                return torch.func.vmap(lambda o, t: self.function(o[None], t[None]))(output, target)
            except Exception:  # of many kinds: what the function does has no batched form
                self._loops = self.function
        return torch.stack([self.function(output[i:i + 1], target[i:i + 1]) for i in range(output.shape[0])])
