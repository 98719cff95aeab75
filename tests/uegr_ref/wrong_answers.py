"""Wrong answers that a learner might well hand in, each of which an exercise once accepted."""

from __future__ import annotations

from other_answers import BODIES

STEP = BODIES["train_step"]


def changed(*edits: tuple[str, str]) -> str:
    """The right step of `other_answers` with these edits."""
    body = STEP
    for old, new in edits:
        assert body.count(old) == 1, old
        body = body.replace(old, new)
    return body


# (function, what is wrong with it, what the verdict names: its law or its words, body)
WRONG = [
    ("fgm", "the others shrink beside a broken example", "the perturbation of the others", """
        g = gradient if mask is None else np.where(mask[:, :, None], gradient, 0)
        usable = np.isfinite(g).all(axis=(1, 2), keepdims=True)
        g = np.where(usable, g, 0)
        largest = np.abs(g).max(axis=(1, 2), keepdims=True)
        g = g / np.where(largest > 0, largest, 1)
        norm = np.sqrt((g * g).sum(axis=(1, 2), keepdims=True))
        return epsilon * usable.mean() * g / np.where(norm > 0, norm, 1)
    """),
    ("log_softmax", "of two axes only", "log_softmax_is", """
        shifted = logits - logits.max(axis=-1)[:, None]
        return shifted - np.log(np.exp(shifted).sum(axis=-1)[:, None])
    """),
    ("log_softmax", "over axis 1, not over the last", "log_softmax_is", """
        shifted = logits - logits.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    """),
    ("log_softmax", "in place", "changes its argument logits in place", """
        logits -= logits.max(axis=-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    """),
    ("gradient_norm", "with a mask of three axes only", "gradient_norm_is", """
        if mask is None:
            return np.sqrt((gradient**2).reshape(-1, gradient.shape[-1]).sum(axis=0)
                           / max(gradient[..., 0].size, 1))
        g = np.where(mask[:, :, None], gradient, 0)
        return np.sqrt((g**2).sum(axis=(0, 1)) / max(mask.sum(), 1))
    """),
    ("dropout_mask", "exactly a share of the places", "drawn a position at a time", """
        mask = np.ones(shape, bool)
        for u, rate in enumerate(rates):
            column = mask[..., u].ravel()
            column[rng.permutation(column.size)[: round(rate * column.size)]] = False
            mask[..., u] = column.reshape(shape[:-1])
        return mask
    """),
    ("per_sample_saliency", "of four rows alone", "the_saliency_of_rows", """
        return (sample_gradients ** 2).sum(axis=0) / 4
    """),
    ("unbiased_gradient", "a floor that small probabilities meet", "mean", """
        return np.where(mask, gradient / np.maximum(p, 1e-6), 0.0)
    """),
    ("ema_saliency", "in place", "changes its argument previous in place", """
        previous *= rho
        previous += (1 - rho) * gradient**2
        return previous
    """),
    ("rank_normalise", "small ones are zeros", "the normalised saliency", """
        out = np.zeros(len(saliency))
        places = np.flatnonzero(saliency > 1e-15)
        if len(places):
            out[places] = mid_ranks(saliency[places]) / (len(places) - 1) if len(places) > 1 else 0.5
        return out
    """),
    ("mean_keep", "a steep curve overflows", "steep_curves", """
        b, a = sharpness, threshold
        return (np.log(1 + np.exp(2 * b * (1 - a))) - np.log(1 + np.exp(-2 * b * a))) / (2 * b)
    """),
    ("mean_inverse_keep", "a steep curve overflows", "steep_curves", """
        import math
        b, a = sharpness, threshold
        return 1 + (math.exp(2 * b * a) - math.exp(-2 * b * (1 - a))) / (2 * b)
    """),
    ("bernoulli_mask", "with a seed of its own", "the second draw from a generator", """
        return np.random.default_rng(0).random(p.shape) < p
    """),
    ("adversarial_loss_grad", "not without a pass", "adversarial_loss_grad_is", """
        grads = [cross_entropy_grad(z, labels) for z in adversarial_logits]
        return np.stack(grads) / len(grads)
    """),
    ("total_loss_grad", "not without a pass", "total_loss_grad_is", """
        adversarial = adversarial_loss_grad(adversarial_logits, labels) + alpha * js_grad(adversarial_logits)
        return cross_entropy_grad(clean_logits, labels), adversarial
    """),
    ("total_loss_grad", "one array for two", "a pair of arrays of the shapes", """
        adversarial = adversarial_loss_grad(adversarial_logits, labels)
        if len(adversarial_logits):
            adversarial = adversarial + alpha * js_grad(adversarial_logits)
        return np.concatenate([cross_entropy_grad(clean_logits, labels)[None], adversarial])
    """),
    ("train_step", "rescale is ignored", "m g (no rescale)", changed(
        ("select(move, m, p, settings)", "np.where(m, move / p, 0)")
    )),
    ("train_step", "threshold and sharpness are ignored", "at a = 0.3, b = 5", changed(
        ("keep_probabilities(gradient**2, theta, settings)",
         "keep_probabilities(gradient**2, theta, settings._replace(threshold=0.6, sharpness=1.0))")
    )),
    ("train_step", "the moments are not kept", "moment", changed(
        ("move, theta), moments,", "move, theta), state.moments,")
    )),
    ("train_step", "the step is not counted", "the step in the new State", changed(
        ("State(state.step + 1,", "State(state.step,")
    )),
    ("train_step", "the schedule is a step ahead", "the move of the parameters in step 1", changed(
        ("state.moments, state.step, settings)", "state.moments, state.step + 1, settings)")
    )),
    ("train_step", "the losses reported are swapped", "the clean loss reported", changed(
        ("loss_clean=", "loss_="), ("loss_adversarial=", "loss_clean="), ("loss_=", "loss_adversarial=")
    )),
    ("train_step", "the perturbation reported is no share", "the perturbation reported", changed(
        (" / relative_epsilon(x, 1, mask)", "")
    )),
]  # fmt: skip
