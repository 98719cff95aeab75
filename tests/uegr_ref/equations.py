"""Which function implements each equation, and which test proves it: `python tests/uegr_ref/equations.py`.

Writes docs/equations.md from the table below; a test compares the page, the functions and the tests with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple


class Equation(NamedTuple):
    """One row. Functions are `module.name` of `uegr_ref`; tests `file::name`, without test_ref_ and test_."""

    number: str
    says: str
    status: str
    functions: str
    tests: str


EQUATIONS = (
    Equation("1", "train on the worst perturbation of the input", "stated; the set inferred", "perturb.pgd",
             "perturb::pgd_stays_in_the_ball_and_climbs_a_curved_loss_at_least_as_high"),
    Equation("2", "delta = eps G / norm of G, eps sign(G), ...",
             "FGSM named in the text; norms from ancestors",
             "perturb.fgsm perturb.fgm perturb.token_linf",
             "perturb::fgsm_moves_every_coordinate_with_a_gradient_by_epsilon_uphill "
             "perturb::fgm_has_norm_epsilon_over_each_scope perturb::token_linf_follows_its_formula "
             "perturb::padding_gets_no_perturbation_and_counts_for_nothing"),
    Equation("3", "L_adv, mean cross-entropy of the K passes", "form stated, 1/K from R-AT",
             "losses.adversarial_loss losses.adversarial_loss_grad",
             "losses::the_total_loss_is_made_of_its_terms losses::total_loss_grad_is_its_gradient"),
    Equation("4", "L_JS, K-way Jensen-Shannon divergence", "stated", "divergence.js divergence.js_grad",
             "divergence::js_is_the_entropy_of_the_mean_less_the_mean_entropy "
             "divergence::divergence_grads_are_the_gradients divergence::js_is_at_most_ln_k"),
    Equation("5", "L_clean, cross-entropy of the clean pass", "stated",
             "losses.cross_entropy losses.cross_entropy_grad",
             "losses::cross_entropy_is_the_mean_of_minus_log_p losses::cross_entropy_grad_is_its_gradient"),
    Equation("6", "L = L_clean + L_adv + alpha L_JS", "stated; alpha lost",
             "losses.total_loss losses.total_loss_grad",
             "losses::the_total_loss_is_made_of_its_terms "
             "losses::alpha_moves_the_gradient_by_that_many_js_gradients"),
    Equation("-", "adaptive dropout: rates from gradient norms", "direction stated, form inferred",
             "dropout.gradient_norm dropout.drop_rates dropout.dropout_mask dropout.apply_dropout",
             "dropout::the_mean_drop_rate_is_the_base_rate "
             "dropout::drop_rates_rise_with_the_norm_and_fall_for_the_control "
             "dropout::dropout_keeps_the_expectation"),
    Equation("7", "saliency, the squared gradient", "stated; from the batch",
             "saliency.batch_saliency saliency.ema_saliency saliency.epoch_saliency "
             "saliency.per_sample_saliency",
             "saliency::saliency_is_the_squared_batch_gradient_now_or_averaged "
             "saliency::per_sample_saliency_exceeds_that_of_the_batch_by_the_variance"),
    Equation("8", "normalised saliency, by rank", "'normalized' stated, rank from RoAST",
             "saliency.rank_normalise saliency.minmax_normalise saliency.log_minmax_normalise",
             "saliency::ranks_count_the_non_zero_entries_below "
             "saliency::absent_words_do_not_shift_the_ranks_of_the_others"),
    Equation("9", "keep probability, mask and the rescaled gradient", "coefficients stated, form from RoAST",
             "mask.keep_probability mask.bernoulli_mask mask.unbiased_gradient",
             "mask::keep_probability_is_the_logistic_function mask::the_tabulated_probabilities "
             "mask::the_masked_gradient_is_unbiased_by_enumeration"),
    Equation("10", "the objective of Section V-A", "rebuilt", "algorithm1.train_step",
             "algorithm1::a_step_without_selection_is_the_gradient_of_the_total_loss"),
    Equation("11", "its constraint: the K passes agree (statement D)", "rebuilt", "penalty.js_second_order",
             "penalty::statement_d_js_is_quadratic_in_a_small_gap"),
    Equation("12", "first-order expansion (statements B and C)", "rebuilt",
             "penalty.remainder penalty.gain_across_masks",
             "penalty::statement_b_half_the_epsilon_leaves_a_quarter_of_the_remainder "
             "penalty::statement_c_a_perturbation_from_another_mask_gains_less"),
    Equation("13", "the maximiser of the linear term", "rebuilt", "penalty.steepest",
             "perturb::fgsm_and_fgm_gain_most_among_perturbations_of_their_norm"),
    Equation("14", "the gradient penalty (statement A)", "rebuilt", "penalty.gradient_penalty penalty.gain",
             "penalty::statement_a_the_gain_over_the_penalty_tends_to_one "
             "penalty::the_penalty_is_the_sum_of_dual_norms_and_the_most_a_linear_loss_can_gain"),
    Equation("-", "dropout as a second-order penalty (statement E)", "inferred",
             "penalty.dropout_penalty penalty.output_curvature",
             "penalty::statement_e_is_exact_for_a_quadratic_loss "
             "penalty::statement_e_holds_to_second_order_for_the_classifier"),
    Equation("15", "the batch gradient is the mean of B samples", "assumed",
             "theorem1.sampling.sampled_moments",
             "sampling::theorem_1_holds_for_gaussian_gradients_by_sampling"),
    Equation("16", "its mean and covariance", "from (15)", "theorem1.two_point_batches",
             "theorem1::two_point_batches_have_the_moments_of_equation_16"),
    Equation("17", "mean of the masked update", "from (16)",
             "theorem1.update_mean theorem1.enumerated_moments",
             "theorem1::the_mean_of_equation_17_by_enumeration"),
    Equation("18", "covariance of the masked update", "from (16)",
             "theorem1.update_covariance theorem1.data_dependent_covariance",
             "theorem1::the_covariance_of_equation_18_by_enumeration "
             "theorem1::with_p_from_the_batch_the_mean_holds_and_the_covariance_is_the_total_variance"),
    Equation("19", "bound of that covariance", "from (18)", "theorem1.covariance_bound",
             "theorem1::the_bound_19_is_never_violated "
             "theorem1::the_bound_19_is_reached_where_every_p_is_the_least"),
    Equation("Theorem 1", "unbiased; variance larger, but bounded",
             "stated; 'reduced variance' is wrong",
             "theorem1.enumerated_moments theorem1.sampling.sampled_moments",
             "theorem1::the_mean_of_equation_17_by_enumeration "
             "theorem1::the_mask_never_lowers_the_variance_and_adds_what_the_note_says "
             "sampling::sampling_catches_what_is_wrong"),
    Equation("Algorithm 1", "the training step", "rebuilt from the text", "algorithm1.algorithm1",
             "algorithm1::selection_divides_the_kept_entries_of_that_gradient_by_their_p "
             "algorithm1::keep_probability_one_is_training_without_selection_bit_for_bit "
             "algorithm1::one_pass_no_divergence_uniform_dropout_and_no_mask_is_at_bit_for_bit"),
)  # fmt: skip


def paths_of_tests(row: Equation) -> list[tuple[str, str]]:
    """The (file, function) of each test of a row."""
    pairs = [name.split("::") for name in row.tests.split()]
    return [(f"tests/uegr_ref/test_ref_{file}.py", f"test_{test}") for file, test in pairs]


def page() -> str:
    """The whole of docs/equations.md."""
    lines = [
        "# Equations",
        "",
        "Made by `python tests/uegr_ref/equations.py` from the table in that file. The functions",
        "are in `uegr_ref`, the tests in `tests/uegr_ref`. Status: what the surviving text of the paper",
        "states, and what had to be inferred or taken from an ancestor.",
        "",
        "| Eq. | What | Status | Function | Proven by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in EQUATIONS:
        functions = "<br>".join(f"`{name}`" for name in row.functions.split())
        tests = "<br>".join(f"`{Path(file).name}::{name}`" for file, name in paths_of_tests(row))
        lines.append(f"| {row.number} | {row.says} | {row.status} | {functions} | {tests} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(
        prog="python tests/uegr_ref/equations.py", description=(__doc__ or "").split(":")[0]
    )
    parser.add_argument(
        "path", nargs="?", default="docs/equations.md", help="- prints (default: %(default)s)"
    )
    path = parser.parse_args(arguments).path
    if path == "-":
        print(page(), end="")
    elif not Path(path).parent.is_dir():
        parser.error(f"path: got {path}, wanted a file in an existing folder, or -")
    else:
        Path(path).write_text(page(), encoding="utf-8")
        print(f"wrote {path}: {len(EQUATIONS)} rows")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
