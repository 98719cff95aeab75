"""The laws of each step, and how a set of functions is graded by them."""

from __future__ import annotations

import inspect
import io
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .properties import divergence, dropout, losses, mask, perturb, saliency, step
from .properties.law import Broken, Law, shown
from .properties.small_step import SGD
from .steps import Step

Functions: TypeAlias = Mapping[str, Callable[..., Any]]
Graded: TypeAlias = tuple[Law, str, tuple[Any, ...]]  # a law, the functions under test, what else it is given
SHRINK = 8.0  # seconds of looking for a smaller counterexample


def _laws(functions: str, *laws: Law) -> tuple[Graded, ...]:
    return tuple((one, functions, ()) for one in laws)


# From the plain to the subtle: the first that is broken is the one to read.
LAWS: dict[int, tuple[Graded, ...]] = {
    1: (
        *_laws("fgsm", perturb.fgsm_moves_every_coordinate_with_a_gradient_by_epsilon_uphill,
               perturb.a_zero_gradient_gives_no_perturbation,
               perturb.padding_gets_no_perturbation_and_counts_for_nothing),
        (perturb.a_gradient_that_is_not_finite_gives_no_perturbation_in_its_scope, "fgsm", ("example",)),
        *_laws("fgsm", perturb.permuting_the_examples_permutes_the_perturbations,
               perturb.the_scale_of_the_loss_cancels),
        *_laws("fgm", perturb.fgm_by_example_has_norm_epsilon_and_points_along_the_gradient,
               perturb.a_zero_gradient_gives_no_perturbation,
               perturb.padding_gets_no_perturbation_and_counts_for_nothing),
        (perturb.a_gradient_that_is_not_finite_gives_no_perturbation_in_its_scope, "fgm", ("example",)),
        *_laws("fgm", perturb.the_scale_of_the_loss_cancels),
        *_laws("relative_epsilon", perturb.relative_epsilon_is_a_share_of_the_rms_at_real_tokens,
               perturb.relative_epsilon_by_norm_is_a_share_of_the_norms_of_the_words),
    ),
    2: (
        *_laws("log_softmax", losses.log_softmax_is_the_log_of_a_distribution),
        *_laws("cross_entropy", losses.cross_entropy_is_the_mean_of_minus_log_p),
        *_laws("cross_entropy cross_entropy_grad", losses.cross_entropy_grad_is_its_gradient,
               losses.cross_entropy_is_finite_for_one_hot_predictions),
        *_laws("cross_entropy", losses.labels_out_of_range_are_refused),
    ),
    3: (
        *_laws("js js_grad", divergence.every_divergence_of_equal_models_is_exactly_zero),
        *_laws("js", divergence.js_reaches_ln_k_where_the_models_are_sure_of_different_classes,
               divergence.js_is_the_entropy_of_the_mean_less_the_mean_entropy, divergence.js_is_at_most_ln_k),
        *_laws("js js_grad", divergence.every_divergence_of_different_models_is_positive,
               divergence.every_divergence_is_a_mean_over_the_examples,
               divergence.every_divergence_is_symmetric_and_not_negative,
               divergence.divergence_grads_are_the_gradients,
               divergence.all_is_finite_for_one_hot_predictions, divergence.an_empty_batch_does_not_diverge),
    ),
    4: (
        *_laws("gradient_norm", dropout.gradient_norm_is_the_rms_over_real_positions,
               dropout.the_norm_of_an_empty_batch_is_zero),
        *_laws("drop_rates", dropout.gamma_zero_no_gradient_and_broken_gradients_give_ordinary_dropout,
               dropout.unclipped_rates_are_proportional_to_the_normalised_norm,
               dropout.units_without_a_gradient_are_dropped_only_when_the_others_cannot_make_up_the_mean,
               dropout.clipped_rates_are_the_same_multiple_of_the_norm_wherever_they_are_free,
               dropout.the_mean_drop_rate_is_the_base_rate, dropout.drop_rates_stay_within_their_bounds),
        (dropout.drop_rates_rise_with_the_norm, "drop_rates", (1,)),
        *_laws("drop_rates", dropout.rates_follow_their_units_and_ignore_the_scale_of_the_loss),
    ),
    5: (
        *_laws("dropout_mask", dropout.the_mask_keeps_each_unit_with_its_own_probability_and_independently,
               dropout.masks_differ_from_pass_to_pass_and_repeat_with_the_seed),
        *_laws("apply_dropout", dropout.no_dropout_changes_nothing_bit_for_bit,
               dropout.dropout_keeps_the_expectation),
        *_laws("apply_dropout apply_dropout_grad", dropout.apply_dropout_grad_is_its_gradient),
    ),
    6: (
        *_laws("batch_saliency", saliency.saliency_is_the_squared_batch_gradient),
        *_laws("ema_saliency", saliency.the_running_saliency_averages_the_squares),
        *_laws("per_sample_saliency", saliency.the_saliency_of_rows_averages_squares_not_gradients),
    ),
    7: (
        *_laws("mid_ranks", saliency.mid_ranks_count_the_entries_below_and_half_of_the_others_that_are_equal),
        *_laws("rank_normalise", saliency.ranks_count_the_non_zero_entries_below,
               saliency.ranks_lie_in_the_unit_interval_with_mean_one_half,
               saliency.equal_entries_get_one_half,
               saliency.absent_words_do_not_shift_the_ranks_of_the_others,
               saliency.every_normalisation_keeps_the_order_and_the_unit_interval,
               saliency.permuting_the_parameters_permutes_the_result),
    ),
    8: (
        *_laws("keep_probability", mask.keep_probability_is_the_logistic_function,
               mask.keep_probability_rises_with_saliency_and_is_one_half_at_the_threshold,
               mask.the_floor_lifts_small_probabilities_and_no_others),
        *_laws("mean_keep mean_inverse_keep", mask.mean_keep_and_mean_inverse_keep_are_the_integrals,
               mask.steep_curves_do_not_overflow),
    ),
    9: _laws("bernoulli_mask", mask.probabilities_zero_and_one_are_never_and_always,
             mask.the_mask_is_bernoulli_with_independent_entries, mask.the_mask_repeats_with_its_generator),
    10: _laws("unbiased_gradient", mask.entries_are_either_dropped_or_divided_by_p,
              mask.the_masked_gradient_is_unbiased_by_enumeration,
              mask.probability_one_is_the_plain_gradient_bit_for_bit, mask.a_probability_of_zero_is_refused),
    11: (
        (losses.the_adversarial_loss_is_the_mean_of_the_cross_entropies, "adversarial_loss", ("mean",)),
        *_laws("adversarial_loss adversarial_loss_grad", losses.adversarial_loss_grad_is_its_gradient),
        (losses.the_total_loss_is_made_of_its_terms, "total_loss", ((),)),
        (losses.total_loss_grad_is_its_gradient, "total_loss total_loss_grad", ((),)),
        *_laws("total_loss_grad", losses.alpha_moves_the_gradient_by_that_many_js_gradients),
    ),
    12: (
        *_laws("train_step", step.without_perturbation_and_dropout_the_passes_agree,
               step.the_divergence_reported_is_js_of_the_passes),
        (step.a_step_without_selection_is_the_gradient_of_the_total_loss, "train_step", ("js", "fgm")),
        *_laws("train_step", step.the_clean_pass_uses_the_running_mean_of_earlier_norms),
        (step.selection_divides_the_kept_entries_of_that_gradient_by_their_p, "train_step",
         (SGD._replace(mask_on="update"),)),
        (step.selection_divides_the_kept_entries_of_that_gradient_by_their_p, "train_step",
         (SGD._replace(mask_on="update", rescale=False, threshold=0.3, sharpness=5.0, p_floor=0.2),)),
        (step.the_mask_on_the_update_scales_the_optimizers_own_step, "train_step", ({},)),
        *_laws("train_step", step.keep_probability_one_is_training_without_selection),
    ),
}  # fmt: skip


class Verdict(NamedTuple):
    """What one law said; `words` and the rest are of the smallest counterexample."""

    law: str
    says: str
    passed: bool
    empty: bool = False  # a function has no body yet
    words: str = ""
    call: str = ""  # the last call of a function under test
    places: tuple[str, ...] = ()  # of an exception: the learner's own lines
    printed: str = ""


class _Enough(BaseException):
    """Stops hypothesis: the counterexample at hand is small enough."""


class _Watch:
    """Remembers, of the example at hand, the last call and what was printed; and the failure at hand."""

    def __init__(self) -> None:
        self.printed, self.call = io.StringIO(), ""
        self.failure: tuple[Exception, str, str] | None = None
        self.since: float | None = None

    def fresh(self) -> None:
        if self.since is not None and time.monotonic() - self.since > SHRINK:
            raise _Enough
        self.call = ""
        self.printed.seek(0)
        self.printed.truncate()

    def recorded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self.call = called(name, args, kwargs)
            given = [*enumerate(args, 1), *kwargs.items()]
            before = [[array.tobytes() for array in arrays_in(value)] for _, value in given]
            answer = function(*args, **kwargs)
            for (which, value), bytes_before in zip(given, before, strict=True):
                if [array.tobytes() for array in arrays_in(value)] != bytes_before:
                    names = [*inspect.signature(function).parameters]
                    changed = names[which - 1] if isinstance(which, int) else which
                    raise Broken(f"{name} changes its argument {changed} in place: make a new array")
            return answer

        return run


def arrays_in(value: Any) -> Iterator[np.ndarray]:
    """The arrays of an argument: itself, or those in a tuple, a list or a mapping."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from arrays_in(one)


def grade(step: Step, functions: Functions, folder: Path | None = None) -> Iterator[Verdict]:
    """Try every law of a step on the functions; tracebacks name lines of files in `folder` alone."""
    for law, names, extra in LAWS[step.number]:
        watch = _Watch()
        under_test = [watch.recorded(name, functions[name]) for name in names.split()]
        try:
            with redirect_stdout(watch.printed):
                _run(law, (*under_test, *extra), watch)
        except NotImplementedError as error:
            yield Verdict(law.name, law.says, False, True, f"{error} is still empty")
        except (Exception, _Enough) as error:
            failure, call, printed = watch.failure or (error, watch.call, "")
            yield Verdict(
                law.name, law.says, False, False, in_words(failure), call, places(failure, folder), printed
            )
        else:
            yield Verdict(law.name, law.says, True)


def _run(law: Law, arguments: tuple[Any, ...], watch: _Watch) -> None:
    """Call the law; each failing example is noted as it is found: the last one noted is the smallest."""
    body = law.body

    @wraps(body)
    def noting(*args: Any) -> None:
        try:
            body(*args)
        except NotImplementedError:
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "hypothesis":
                watch.since = watch.since or time.monotonic()
                watch.failure = error, watch.call, watch.printed.getvalue()
            raise

    Law(noting, law.strategies)(*arguments, before=watch.fresh)


# --- words


def in_words(error: BaseException) -> str:
    """What was wrong, in a sentence."""
    if isinstance(error, Broken):
        if error.wanted is None:
            return f"{error.what}."
        return f"{error.what} should be {error.wanted}; yours gives {error.got}."
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def places(error: BaseException, folder: Path | None) -> tuple[str, ...]:
    """The frames of a traceback that lie in the learner's folder; none for a broken property."""
    if folder is None or isinstance(error, Broken):
        return ()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == folder]
    return tuple(f"{Path(f.filename).name}, line {f.lineno}, in {f.name}: {f.line}" for f in own)


def called(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """A call as one would type it; what is too long is left to its shape."""
    parts = [*map(argument, args), *(f"{key}={argument(value)}" for key, value in kwargs.items())]
    return f"{name}({', '.join(parts)})"


def argument(value: Any) -> str:
    """An argument in few characters."""
    if isinstance(value, np.ndarray):
        if value.size > 12:
            return f"<{value.dtype} {value.shape}>".replace(" (", "(")
        return shown(value)
    if isinstance(value, np.random.Generator):
        return "rng"
    if isinstance(value, float):
        return f"{value:.4g}"
    short = repr(value)
    return short if len(short) <= 40 else f"<{type(value).__name__}>"
