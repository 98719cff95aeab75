"""Right answers that are not the reference's: what a reader of the hints might write into an exercise."""

from __future__ import annotations

import textwrap

from uegr_ref.learn import exercises
from uegr_ref.learn.steps import Step

BODIES = {
    "fgsm": """
        if mask is not None:
            gradient = np.where(mask[:, :, None], gradient, 0.0)
        delta = np.zeros_like(gradient)
        for b, one in enumerate(gradient):
            if np.isfinite(one).all():
                delta[b] = epsilon * np.sign(one)
        return delta
    """,
    "fgm": """
        delta = np.zeros_like(gradient)
        for b, one in enumerate(gradient):
            if mask is not None:
                one = np.where(mask[b][:, None], one, 0)
            largest = np.abs(one).max()
            if np.isfinite(largest) and largest > 0:
                one = one / largest
                delta[b] = epsilon * one / np.linalg.norm(one)
        return delta
    """,
    "relative_epsilon": """
        real = vectors.reshape(-1, vectors.shape[2]) if mask is None else vectors[mask]
        if len(real) == 0:
            return 0.0
        return float(epsilon * np.sqrt((real**2).sum() / (real.size if unit == "rms" else len(real))))
    """,
    "log_softmax": """
        shifted = logits - np.max(logits, axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    """,
    "cross_entropy": """
        log_p = log_softmax(logits)
        return sum(-float(row[y]) for row, y in zip(log_p, labels)) / max(len(labels), 1)
    """,
    "cross_entropy_grad": """
        onehot = np.eye(logits.shape[1])[labels]
        return (np.exp(log_softmax(logits)) - onehot) / max(len(labels), 1)
    """,
    "js": """
        log_p = log_softmax(logits)
        top = log_p.max(axis=0)
        log_m = top + np.log(np.exp(log_p - top).mean(axis=0))
        k, n, c = logits.shape
        return float((np.exp(log_p) * (log_p - log_m)).sum() / (k * max(n, 1)))
    """,
    "js_grad": """
        log_p = log_softmax(logits)
        p = np.exp(log_p)
        top = log_p.max(axis=0)
        r = log_p - (top + np.log(np.exp(log_p - top).mean(axis=0)))
        inner = np.einsum("knc,knc->kn", p, r)
        return p * (r - inner[:, :, None]) / (logits.shape[0] * max(logits.shape[1], 1))
    """,
    "gradient_norm": """
        if mask is not None:
            gradient = gradient[mask]
        rows = gradient.reshape(-1, gradient.shape[-1])
        return np.sqrt((rows**2).sum(axis=0) / max(len(rows), 1))
    """,
    "drop_rates": """
        if gamma == 0 or not np.isfinite(norms).all() or norms.max() == 0:
            return np.full(len(norms), base_rate)
        a = (norms / norms.max()) ** gamma
        zeros = a == 0
        if (np.where(zeros, q_min, q_max)).mean() <= base_rate:
            rest = base_rate * len(a) - q_max * (~zeros).sum()
            return np.where(zeros, min(rest / max(zeros.sum(), 1), q_max), q_max)
        low, high = -800.0, 800.0
        for _ in range(200):
            middle = (low + high) / 2
            if np.clip(np.exp(np.minimum(middle + np.log(np.where(zeros, 1, a)), 50)) * ~zeros,
                       q_min, q_max).mean() < base_rate:
                low = middle
            else:
                high = middle
        return np.clip(np.exp(np.minimum(high + np.log(np.where(zeros, 1, a)), 50)) * ~zeros, q_min, q_max)
    """,
    "dropout_mask": """
        dropped = rng.random(shape) < rates
        return ~dropped
    """,
    "apply_dropout": """
        return (h * mask / (1 - rates)).astype(h.dtype)
    """,
    "apply_dropout_grad": """
        return gradient * mask / (1 - rates)
    """,
    "batch_saliency": """
        return gradient**2
    """,
    "ema_saliency": """
        return rho * previous + (1 - rho) * gradient**2
    """,
    "per_sample_saliency": """
        return (sample_gradients**2).mean(axis=0)
    """,
    "mid_ranks": """
        below = (x[None, :] < x[:, None]).sum(axis=1)
        equal = (x[None, :] == x[:, None]).sum(axis=1)
        return below + (equal - 1) / 2
    """,
    "rank_normalise": """
        out = np.zeros(len(saliency))
        (places,) = np.nonzero(saliency)
        if len(places) == 1:
            out[places] = 0.5
        elif len(places):
            out[places] = mid_ranks(saliency[places]) / (len(places) - 1)
        return out
    """,
    "keep_probability": """
        p = 1 / (1 + np.exp(2 * sharpness * (threshold - normalised)))
        return np.where(p < p_floor, p_floor, p)
    """,
    "mean_keep": """
        b, a = sharpness, threshold
        return (np.logaddexp(0, 2 * b * (1 - a)) - np.logaddexp(0, -2 * b * a)) / (2 * b)
    """,
    "mean_inverse_keep": """
        b, a = sharpness, threshold
        return 1 + (np.exp(2 * b * a) - np.exp(-2 * b * (1 - a))) / (2 * b)
    """,
    "bernoulli_mask": """
        u = rng.uniform(size=p.shape)
        return np.less(u, p)
    """,
    "unbiased_gradient": """
        return (gradient * mask / p).astype(gradient.dtype)
    """,
    "adversarial_loss": """
        k = len(adversarial_logits)
        return sum(cross_entropy(z, labels) for z in adversarial_logits) / k if k else 0.0
    """,
    "adversarial_loss_grad": """
        k = len(adversarial_logits)
        if k == 0:
            return np.zeros(adversarial_logits.shape)
        return np.stack([cross_entropy_grad(z, labels) / k for z in adversarial_logits])
    """,
    "total_loss": """
        loss = cross_entropy(clean_logits, labels) + adversarial_loss(adversarial_logits, labels)
        return loss + alpha * js(adversarial_logits) if len(adversarial_logits) else loss
    """,
    "total_loss_grad": """
        adversarial = adversarial_loss_grad(adversarial_logits, labels)
        if len(adversarial_logits):
            adversarial = adversarial + alpha * js_grad(adversarial_logits)
        return cross_entropy_grad(clean_logits, labels), adversarial
    """,
    "train_step": """
        dropout_rng, mask_rng = rng.spawn(2)
        x = embed(theta, tokens)
        q0 = clean_rates(state.average_norms, theta, settings)
        z0, trace0 = forward(theta, x, mask, draw(q0, tokens, settings, dropout_rng))
        back = backward(theta, trace0, cross_entropy_grad(z0, labels))
        norms = (gradient_norm(back.sites[0], mask), gradient_norm(back.sites[1]))
        delta = find_delta(x, lambda vectors: back.vectors, batch, settings)
        rates = [site_rates(norms, settings.base_rate(k), theta, settings)
                 for k in range(1, settings.adversarial + 1)]
        runs = [forward(theta, x + delta, mask, draw(q, tokens, settings, dropout_rng)) for q in rates]
        z = np.array([logits for logits, _ in runs]).reshape(len(runs), *z0.shape)
        loss = total_loss(z0, z, labels, settings.alpha)
        _, grads = total_loss_grad(z0, z, labels, settings.alpha)
        backs = [back] + [backward(theta, trace, g) for (_, trace), g in zip(runs, grads)]
        gradient = flatten(add_gradients(theta, tokens, backs))
        p = keep_probabilities(gradient**2, theta, settings)
        m = bernoulli_mask(p, mask_rng)
        after, moments = optimise(theta, gradient, state.moments, state.step, settings)
        move = flatten(after) - flatten(theta)
        has = gradient != 0
        move = np.where(has, select(move, m, p, settings), move)
        report = Report(
            loss=loss, loss_clean=cross_entropy(z0, labels), loss_adversarial=adversarial_loss(z, labels),
            divergence=divergence_loss(z),
            perturbation=relative_epsilon(delta, 1, mask) / relative_epsilon(x, 1, mask),
            kept_share=m[has].mean(), mean_keep_probability=p[has].mean(),
            drop_rate=dict(zip(SITES, rates[-1] if rates else q0)),
        )
        average = average_norms(state.average_norms, norms, settings.statistics_decay)
        new = State(state.step + 1, unflatten(flatten(theta) + move, theta), moments, average, norms)
        return new, report
    """,
}


def filled(step: Step, instead: dict[str, str] | None = None) -> str:
    """The exercise of a step with these bodies in place of the empty ones, some with others `instead`."""
    text = exercises.text(step)
    for name in step.names:
        body = textwrap.indent(textwrap.dedent({**BODIES, **(instead or {})}[name]).strip(), "    ")
        empty = f'    raise NotImplementedError("{name}")'
        assert text.count(empty) == 1
        text = text.replace(empty, body)
    return text


def run(text: str, name: str) -> dict:
    """What a learner's file defines."""
    namespace: dict = {}
    exec(compile(text, name, "exec"), namespace)
    return namespace
