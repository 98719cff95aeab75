"""The twelve steps: what each asks for, and its hints. The laws that grade a step are in `grading`."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """`functions` are `module.function` of `uegr_ref`; the formulas shown are of the last one's module."""

    number: int
    name: str
    title: str
    functions: tuple[str, ...]
    task: str
    hints: tuple[str, ...]
    uses: tuple[str, ...] = ()  # functions of earlier steps beside those that the reference's body names
    skeleton: bool = False  # keep the reference's numbered comments and hand over the parts that it calls

    @property
    def file(self) -> str:
        """The name of the exercise's file."""
        return f"step_{self.number:02}_{self.name}.py"

    @property
    def names(self) -> tuple[str, ...]:
        """The functions' names alone."""
        return tuple(name.rpartition(".")[2] for name in self.functions)


STEPS = (
    Step(
        1, "perturb", "The perturbation",
        ("perturb.fgsm", "perturb.fgm", "perturb.relative_epsilon"),
        "Move the word vectors in the direction that raises the loss: every coordinate by epsilon, or every "
        'example by a vector of norm epsilon. Of fgm only scope="example" is asked for.',
        ("The sign of the gradient says which way is uphill; fgm divides the gradient by its norm over the "
         "whole example instead, and stays at zero where that is zero.",
         "Before anything else put zeros on padding: np.where(mask[:, :, None], gradient, 0). NaN * 0 is "
         "NaN, so a product will not do.",
         "An example is usable if all entries are finite: np.isfinite(g).all(axis=(1, 2), keepdims=True). "
         "Divide by the largest entry before you square: 1e-250 squared is 0, and 1e250 squared is inf."),
    ),
    Step(
        2, "cross_entropy", "Cross-entropy and its gradient",
        ("support.numeric.log_softmax", "losses.cross_entropy", "losses.cross_entropy_grad"),
        "How surprised a classifier is by the labels, and which way its logits should move.",
        ("Take the largest logit out before the exponential: ln P does not change and nothing overflows.",
         "log_p[np.arange(N), labels] picks the label's entry of every row. Divide by max(N, 1).",
         "The gradient with respect to the logits is softmax minus one-hot, over N."),
    ),
    Step(
        3, "js", "Jensen-Shannon divergence and its gradient", ("divergence.js", "divergence.js_grad"),
        "How far K predictions of a text are apart; 0 if they agree, ln K if each is sure of another class.",
        ("Work with ln P_k. M is the mean of the P_k over k; JS is the mean over k of sum_c P_k ln(P_k / M).",
         "Equal P_k must give exactly 0: take the largest ln P_k over k out before the exponential and add "
         "it again after the logarithm, ln M = top + ln mean exp(ln P_k - top).",
         "With r_k = ln P_k - ln M the gradient is P_k (r_k - sum_c P_k r_k) / (K N): the terms from the "
         "derivative of M cancel."),
    ),
    Step(
        4, "drop_rates", "Drop rates from gradient norms", ("dropout.gradient_norm", "dropout.drop_rates"),
        'Units with large gradients are dropped more often; the mean rate stays. Only kind="mean" is asked '
        "for: the other kinds may be ignored.",
        ("gradient[mask] keeps the real tokens. A root mean square: squares, mean, root, in this order.",
         "First the easy cases: gamma = 0, norms all zero or not all finite give base_rate everywhere. Then "
         "divide the norms by the largest, raise to gamma, divide by the mean, multiply by base_rate.",
         "Where that leaves [q_min, q_max], find c with mean(clip(c * a, q_min, q_max)) = base_rate: the "
         "mean rises with c, so halve an interval some 200 times, in ln c since c may be of any size. If "
         "even all units with a > 0 at q_max stay below the mean, the zeros share the rest."),
    ),
    Step(
        5, "dropout", "Dropout",
        ("dropout.dropout_mask", "dropout.apply_dropout", "dropout.apply_dropout_grad"),
        "Drop units at their own rates, and scale what is left so that the mean stays.",
        ("rng.random(shape) is uniform on [0, 1): below q with probability q.",
         "One mask for each entry of shape, not one for each unit.",
         "The gradient goes back through the same factor m / (1 - q)."),
    ),
    Step(
        6, "saliency", "Saliency",
        ("saliency.batch_saliency", "saliency.ema_saliency", "saliency.per_sample_saliency"),
        "How much each parameter matters to a batch: the square of its gradient, in three readings.",
        ("From one batch: the square, entry by entry.",
         "The running one keeps rho of the old and takes 1 - rho of the new.",
         "The mean of the squares is not the square of the mean: which of them is per-sample?"),
    ),
    Step(
        7, "ranks", "Ranks", ("support.numeric.mid_ranks", "saliency.rank_normalise"),
        "Put saliencies on a scale of 0 to 1 by rank, leaving out exact zeros.",
        ("np.unique(x, return_inverse=True, return_counts=True) sorts, and says which entries are equal.",
         "A group of n equal entries that starts at rank r has the middle rank r + (n - 1) / 2.",
         "Rank only the entries above 0, over n - 1; if there is but one it gets 0.5."),
    ),
    Step(
        8, "keep_probability", "Keep probability",
        ("mask.keep_probability", "mask.mean_keep", "mask.mean_inverse_keep"),
        "A parameter that matters is updated more often: p rises with the normalised saliency. What share of "
        "them is kept, and what that costs in variance, has a closed form.",
        ("p = 1 / (1 + exp(2 b (a - s))), and never below p_floor.",
         "The integral of 1 / (1 + exp(-x)) is ln(1 + exp(x)), np.logaddexp(0, x) in NumPy, which does not "
         "overflow: substitute x = 2 b (s - a), from s = 0 to 1.",
         "1/p = 1 + exp(2 b (a - s)), which is integrated as it stands. Beyond 2 b a = 700 it is inf."),
    ),
    Step(
        9, "mask", "The mask", ("mask.bernoulli_mask",),
        "Keep each entry with its own probability, apart from all others.",
        ("rng.random(p.shape) is uniform on [0, 1).", "It lies below p with probability p."),
    ),
    Step(
        10, "unbiased_gradient", "The unbiased gradient", ("mask.unbiased_gradient",),
        "Theorem 1 in one line: the masked gradient has the gradient as its mean over all masks.",
        ("A kept entry has to make up for the times it is dropped.",
         "It is kept in a share p of all cases: divide by p. np.where(mask, ..., 0)."),
    ),
    Step(
        11, "total_loss", "The total loss",
        ("losses.adversarial_loss", "losses.adversarial_loss_grad", "losses.total_loss",
         "losses.total_loss_grad"),
        "The terms of the forward stage together. Only the defaults of divergence, divergence_reduction and "
        "adversarial_reduction are asked for: the other options may be ignored.",
        ("The adversarial loss is the mean of the K cross-entropies; with K = 0 it is 0 and so is JS.",
         "The gradient of a mean of K terms is each term's gradient over K.",
         "total_loss_grad returns a pair: for the clean logits cross_entropy_grad alone, for the adversarial "
         "ones adversarial_loss_grad plus alpha times js_grad."),
        uses=("js", "js_grad"),
    ),
    Step(
        12, "step", "The step of Algorithm 1", ("algorithm1.train_step",),
        "Everything together: lines 3 to 11. Asked for are adversarial, alpha, epsilon, base_rates, dropout "
        '("mean" or "uniform"), update, rescale, threshold, sharpness, p_floor, the optimizer, and the mask '
        "on the update; every other setting may be taken at its default. Then your step trains a classifier.",
        ("Go line by line. `clean_rates` and `site_rates` give drop rates, `draw` a mask at both sites, "
         "`find_delta` the perturbation. Draw in the order clean, 1 .. K, all from dropout_rng.",
         "One `backward` a pass: the clean one from cross_entropy_grad, pass k from its entry of "
         "total_loss_grad's second part. `add_gradients` adds them, `flatten` puts them in one row.",
         "`keep_probabilities` needs the saliency of the flat gradient; bernoulli_mask draws from mask_rng. "
         "`optimise` takes the step for the unmasked gradient; where the gradient is not 0 replace the move "
         "of the parameters by m / p times it (`select`), elsewhere leave it.",
         "Count the step and put the moments and average_norms into the new State, and the seven numbers and "
         "the drop rates into the Report."),
        skeleton=True,
    ),
)  # fmt: skip


def owner(name: str) -> Step | None:
    """The step that asks for a function, by the function's name alone."""
    return next((step for step in STEPS if name in step.names), None)
