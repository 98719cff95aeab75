"""What each method of `zoo.recipes` is about, in words and formulas: the cards of the site are made of it.

Formulas are in the plain notation of `uegr_ref`'s docstrings. Where a setting's value comes from stands in
`SOURCES`, with the labels of docs/decisions.md: [S] stated in the paper, [A] an ancestor's code, [I]
inferred.
"""

from __future__ import annotations

from typing import NamedTuple


class Idea(NamedTuple):
    """A method: its idea, its formulas, where it comes from, what to look out for."""

    idea: str
    formulas: tuple[str, ...]
    source: str
    traps: tuple[str, ...] = ()


_UEGR = "arXiv 2503.16550; rebuilt, as its formulas are lost"
_SUM = (
    "Its ancestors sum the divergence over the batch, ours is a mean: "
    "an alpha of theirs weighs B times as much."
)
_ABLATION = "Not a method of the paper: a control, to see what a part of UEGR does."
_LOSS = "L = L_clean + (1/K) sum_k CE(f(x + delta; theta, m_k), y) + alpha * D(P_1, .., P_K)"

IDEAS: dict[str, Idea] = {
    "standard": Idea(
        "Cross-entropy on the training texts and nothing else. Every other cost is told in its steps.",
        ("L = CE(f(x; theta), y)",),
        "the row w/o Dropout of Table IV",
    ),
    "dropout": Idea(
        "Units are left out at random, with one rate for all; all differences are told against this row.",
        ("h' = h m / (1 - q)", "m ~ Bernoulli(1 - q)"),
        "Srivastava et al. 2014",
        ("Off at evaluation: a model left in training mode answers at random.",),
    ),
    "at": Idea(
        "Train on the clean text and on the text moved by a small step that raises the loss most.",
        ("delta = eps * G / ||G||_2", "L = L_clean + CE(f(x + delta; theta, m_1), y)"),
        "Miyato et al. 2017; the form is that of R-AT's code",
        (
            "An absolute eps means something else for every set of word vectors: ours is relative to "
            "their norm.",
        ),
    ),
    "r_drop": Idea(
        "Two passes of one text under two dropout masks should say the same.",
        (
            "L = (1/2) (CE(f(x; theta, m_1), y) + CE(f(x; theta, m_2), y)) "
            "+ (alpha/2) (KL(P_1 || P_2) + KL(P_2 || P_1))",
        ),
        "Liang et al. 2021 (arXiv 2106.14448)",
        (_SUM, "Without dropout both passes are equal and nothing is regularised."),
    ),
    "r_at": Idea(
        "The attack of AT and the agreement of R-Drop: K sub-models read the attacked text and should "
        "say the same.",
        (_LOSS,),
        "the paper's ancestor R-AT; 2 passes, symmetric KL",
        (_SUM,),
    ),
    "r_at_su": Idea(
        "R-AT, and in the backward stage only a random part of the parameters is updated, important "
        "ones more often.",
        (_LOSS, "p_i = 1 / (1 + exp(2 b (a - s~_i)))", "theta <- theta - eta * (1/p) m grad L"),
        "a row of Table IV: R-AT with UEGR's selective update",
        ("Clip gradients before the mask, never after it.",),
    ),
    "uegr": Idea(
        "Forward: attack the word vectors, let K sub-models with adaptive dropout read the result, and "
        "have them agree "
        "(JS). Backward: update a random part of the parameters, those with large gradients more often, "
        "and divide by the "
        "probability, so that the mean update is unchanged.",
        (
            _LOSS,
            "q_u = clip(c n_u^gamma, q_min, q_max)",
            "(1/U) sum_u q_u = r",
            "p_i = 1 / (1 + exp(2 b (a - s~_i)))",
            "theta <- theta - eta * (1/p) m grad L",
        ),
        _UEGR,
        (
            "With the mask on the gradient, as the ancestors have it, AdamW's steps shrink by about "
            "sqrt(p): raise the "
            "learning rate, or leave the mask on the update, our default.",
            "Exact zeros must take no part in the ranking: otherwise the selection is silently off.",
            "The mask adds variance; it takes none away (Theorem 1).",
        ),
    ),
    "freelb": Idea(
        "Several ascent steps from a random start; the gradients of all of them are averaged, so none "
        "is wasted.",
        ("g = (1/A) sum_a grad L(x + delta_a; theta)",),
        "Zhu et al. 2020 (arXiv 1909.11764)",
        ("Lengths are absolute. All ascent steps share one dropout mask.",),
    ),
    "sam": Idea(
        "Take the gradient where the loss is nearly worst in a ball around the weights: flat minima are "
        "preferred.",
        ("g = grad L(theta + rho * g_0 / ||g_0||_2)", "g_0 = grad L(theta)"),
        "Foret et al. 2021; for text Bahri et al. 2022 (arXiv 2110.08529)",
        ("Two whole passes a step, one after the other. rho has to be searched.",),
    ),
    "awp": Idea(
        "As SAM, but each tensor is moved in proportion to its own size.",
        ("e_l = rho ||theta_l||_2 g_l / ||g_l||_2",),
        "Wu et al. 2020; the paper's AdvWeight",
        ("Here on the clean input, so that weights alone are perturbed.",),
    ),
    "adv_embed": Idea(
        "AT with a stronger attack: three projected steps in place of one.",
        ("delta <- project_S(delta + step)",),
        "Madry et al. 2018; the paper's AdvEmbed",
        ("Each attack step is one more pass.",),
    ),
    "l2_sp": Idea(
        "The weights are pulled back to those that training starts from.",
        ("L + (1/2) c ||theta - theta_0||_2^2",),
        "Li et al. 2018; a form of the paper's WCons",
        (
            "Meant for pre-trained weights; in this zoo the start is random, so it is a weight decay to "
            "a random point.",
        ),
    ),
    "rec_adam": Idea(
        "The same pull, decoupled from Adam and fading out as the task's loss fades in.",
        ("theta <- theta - (1 - lambda) r (theta - theta_0)",),
        "Chen et al. 2020; a form of the paper's WCons",
        ("Its middle of 250 steps is more than the small presets have.",),
    ),
    "ctune_f": Idea(
        "A random part of the gradient is used, the same probability for each entry.",
        ("g <- m g / p", "m ~ Bernoulli(p)"),
        "Xu et al. 2021 (Child-Tuning, task-free; arXiv 2109.05687)",
        ("On the gradient, so under AdamW its steps are smaller than those of Dropout at the same rate.",),
    ),
    "ctune_d": Idea(
        "A fixed part of the weights learns: those with the largest Fisher information before training.",
        ("F_i = mean over batches of g_i^2", "g <- m g"),
        "Xu et al. 2021 (Child-Tuning, task-driven)",
        ("It needs a pass over the data before the first step, and is not unbiased.",),
    ),
    "uegr_no_mask": Idea("UEGR without the selective update: its forward stage alone.", (_LOSS,), _ABLATION),
    "uegr_blind_mask": Idea(
        "UEGR whose mask keeps as much, 0.454 of the entries, but whatever their saliency.",
        ("p_i = 0.454",),
        _ABLATION,
    ),
    "uegr_uniform": Idea("UEGR with ordinary dropout: one rate for all units.", ("q_u = r",), _ABLATION),
    "uegr_no_js": Idea("UEGR whose sub-models need not agree.", ("L = L_clean + L_adv",), _ABLATION),
    "uegr_no_attack": Idea(
        "UEGR whose two sub-models read the clean text.", ("L = L_clean + alpha * L_JS",), _ABLATION
    ),
    "uegr_no_rescale": Idea(
        "UEGR without 1/p: the mean update is p times the plain one.",
        ("theta <- theta - eta m grad L",),
        _ABLATION,
        ("Biased: entries that matter less learn more slowly.",),
    ),
}

SOURCES = {
    "adversarial": "the paper uses 2, and up to 5 in Table V [S]",
    "alpha": "R-AT's number, on another scale [A]; the paper's is lost",
    "attack": "fgm is R-AT's [A]; FGSM is named in the text [S]",
    "attack_scope": "one norm for a text [I]; the R-AT code takes the whole table [A]",
    "attack_steps": "1: the paper's single step [S]",
    "epsilon": "our measurement on validation, docs/decisions.md, The default [I]; the paper's is lost",
    "epsilon_unit": "relative, so that it means the same for all vectors [I]",
    "divergence": "JS-divergence [S]",
    "divergence_reduction": "mean [I]; the ancestors sum [A]",
    "adversarial_reduction": "1/K, from R-AT's code [A]",
    "base_rates": "0.2, of the lineage's small models [A]",
    "gamma": "1: in proportion to the norm [I]",
    "q_max": "keeps 1 / (1 - q) finite [I]",
    "statistic": "the gradient's norm: the direction is stated, the form inferred [I]",
    "statistics": "of the same step, where the gradient is known [I]",
    "statistics_decay": "of the clean pass, whose own gradient is not known yet [I]",
    "clean_dropout": "adaptive as well [I]",
    "saliency": "batch approximation [S]",
    "normalise": "rank, from RoAST [A]; stated is only that it is normalized [S]",
    "normalise_scope": "all parameters jointly, from RoAST [A]",
    "threshold": "RoAST's for entailment [A]; the paper's is lost",
    "sharpness": "RoAST's for entailment [A]; the paper's is lost",
    "rescale": "1/p, stated entry by entry [S]",
    "resample": "a new mask a step [S]; RoAST's code once an epoch [A]",
    "mask_on": "the update, by measurement, docs/decisions.md, The default [I]; ancestors mask the "
    "gradient [A]",
    "rho": "Foret et al.'s default; AWP's relative 0.01",
    "ascent_steps": "the authors' script for MNLI",
    "ascent_rate": "the authors' script for MNLI",
    "initial_magnitude": "the authors' script for MNLI",
    "maximum_norm": "the authors' script for MNLI",
    "keep_constant": "0.3 of the authors' 0.2 to 0.4 (CTune-F); Eq. 9's mean at (0.6, 1) for the blind mask",
    "child_share": "the authors' script",
    "anchor_pull": "inferred [I]",
    "anchor_share": "the published 5000 at a rate of 2e-5 is 0.1 of the distance",
}
