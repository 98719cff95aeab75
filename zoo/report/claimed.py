"""The paper's claims with their verdicts, as blocks: the answer in words, then every claim, then the rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zoo.core.names import display
from zoo.evidence.claims import Measured
from zoo.evidence.judged import CANNOT_TELL, LEVEL, Answer, Judged
from zoo.evidence.statements import NOT_SUPPORTED, SUPPORTED
from zoo.report.blocks import MISSING, Block, Fold, Heading, List, Table, Text

__all__ = ["answer"]

_RULES = (
    "A claim is a quantity and the bound that it must pass, the same for every folder "
    "(zoo/evidence/claims.py). A bound that is not 0 is ours and is said in the claim.",
    f"Supported: p < {LEVEL:g} after Holm's correction for all claims tested here, and the estimate is on "
    "the claim's side of its bound.",
    f"Not supported: p < {LEVEL:g} after the same correction, and the estimate is on the other side.",
    "Cannot tell: all else. Also where only one seed was run, as its interval does not cover another seed, "
    "and where another folder of these results has an interval wholly on the other side.",
    "The intervals are 95 % each, not corrected: about one in twenty misses.",
    "Where several folders compare the two methods, the verdict is from the one with several seeds and, of "
    "these, the most training texts over all its pairs. Nothing in that looks at an outcome.",
    "n counts pairs of networks (same model, corpus and seed), or networks where nothing is paired.",
    "Sizes of text and model are those of the folder, not the paper's; a verdict is about these.",
)


def answer(found: Sequence[Judged]) -> list[Block]:
    """From all verdicts; the same from the same results."""
    count = Counter(own.verdict for own in found)
    tested = sum(own.p_holm is not None for own in found)
    blocks: list[Block] = [
        Heading("The answer"),
        Text(
            f"Of {len(found)} claims of the paper, these results support {count[SUPPORTED]}, do not support "
            f"{count[NOT_SUPPORTED]}, and cannot tell of {count[CANNOT_TELL]}. {tested} of them could be "
            "tested, from several seeds or networks."
        ),
        *_lead(found),
    ]
    for verdict in (SUPPORTED, NOT_SUPPORTED):
        own = tuple(_sentence(each) for each in found if each.verdict == verdict)
        blocks += [Heading(verdict.capitalize(), 3), List(own)] if own else []
    if open_ones := [own for own in found if own.verdict == CANNOT_TELL]:
        reasons = Counter(_why(own).split(":")[0] for own in open_ones)
        said = "; ".join(f"{number} {_REASONS[reason]}" for reason, number in reasons.most_common())
        blocks += [Heading(CANNOT_TELL.capitalize(), 3), Text(f"{said}. Each has its reason below.")]
    blocks += [_every(found), Heading("How a verdict is made", 3), List(_RULES)]
    return [*blocks, *_commands(found), *_elsewhere(found)]


def _lead(found: Sequence[Judged]) -> list[Block]:
    """The first claim of the table, which is what the paper is about, whatever its verdict."""
    if not found:
        return []
    own, n = found[0], found[0].answer.n if found[0].answer else 0
    said = f"The first of them: {own.claim.text} {_sentence_case(own.verdict)}, "
    said += f"{_numbers(own, own.answer)}, n = {n}."
    return [Text(f"{said} {_basis(own)}")]


def _every(found: Sequence[Judged]) -> Table:
    rows = (
        (
            f"{own.claim.text} ({own.claim.source})",
            own.verdict,
            _numbers(own, own.answer),
            str(own.answer.n if own.answer else 0),
            MISSING if own.paper is None else _number(own, own.paper),
            _basis(own),
        )
        for own in found
    )
    header = ("Claim", "Verdict", "Estimate [95% interval]", "n", "In the paper", "What was compared")
    return Table(header, tuple(rows), "Every claim", numbers=0, prose=True)


def _basis(own: Judged) -> str:
    where = f" in {own.answer.where}" if own.answer else ""
    if own.answer and own.answer.corpora:
        where += f" ({', '.join(map(display, own.answer.corpora))})"
    why = f". {_sentence_case(_why(own))}" if own.verdict == CANNOT_TELL else ""
    return f"{_sentence_case(own.claim.evidence.what)}{where}; needs {_needs(own)}{why}."


def _sentence(own: Judged) -> str:
    assert own.answer is not None
    paper = "" if own.paper is None else f"; the paper has {_number(own, own.paper)}"
    what, n = (
        _sentence_case(own.claim.evidence.what),
        f"{own.answer.n} {'networks' if _single(own) else 'pairs'}",
    )
    return (
        f"{own.claim.text} {what}: {_numbers(own, own.answer)}, {n}{paper} "
        f"({own.claim.source}; folder {own.answer.where})."
    )


def _single(own: Judged) -> bool:
    """Whether the quantity is a network's own and no difference between two."""
    return isinstance(own.claim.evidence, Measured) and not own.claim.evidence.reference


_REASONS = {  # of `_why`, counted: what of so many claims
    "not run": "for want of the networks that they need",
    "one seed": "from one seed or network only",
    "folders contradict each other": "because folders contradict each other",
    "the interval holds the bound": "because the interval holds the bound",
    "not told apart after Holm's correction": "because they are not told apart after Holm's correction",
}


def _why(own: Judged) -> str:
    """Why there is no verdict; what stands before the colon is a key of `_REASONS`."""
    if own.answer is None:
        return "not run"
    if not own.answer.several:
        return "one seed"
    estimate = own.answer.estimate
    assert estimate is not None
    if estimate.low <= own.claim.bound <= estimate.high:
        return "the interval holds the bound"
    if own.against:
        said = ", ".join(f"{a.where} has {_numbers(own, a)}{_there(own.answer, a)}" for a in own.against)
        return f"folders contradict each other: {said}"
    return f"not told apart after Holm's correction: p {own.p_holm:.2g}"


def _there(answer: Answer, other: Answer) -> str:
    """What is set otherwise in the other folder: often the reason why it says something else."""
    own = ", ".join(f"{name} {value}" for name, value in answer.unlike(other).items())
    return f" (with {own})" if own else ""


def _commands(found: Sequence[Judged]) -> list[Block]:
    without = [own for own in found if own.answer is None or not own.answer.several]
    if not without:
        return []
    rows = tuple((own.claim.text, own.claim.evidence.command) for own in without)
    table = Table(
        ("Claim", "Command"), rows, "What would be run; DIR holds the corpora", numbers=0, prose=True
    )
    return [Fold("Commands that would answer the claims for which nothing, or one seed, was run", (table,))]


def _elsewhere(found: Sequence[Judged]) -> list[Block]:
    rows = tuple(
        (own.claim.text, other.where, _numbers(own, other), str(other.n))
        for own in found
        for other in own.others
    )
    if not rows:
        return []
    header = ("Claim", "Folder", "Estimate [95% interval]", "n")
    said = Text("From one seed an interval covers other test texts alone.")
    return [Fold("The same claims in the other folders", (said, Table(header, rows, numbers=0, prose=True)))]


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def _needs(own: Judged) -> str:
    side = "below" if own.claim.below else "above"
    return f"{side} {own.claim.scale * own.claim.bound:g}{f' {own.claim.unit}' if own.claim.unit else ''}"


def _numbers(own: Judged, answer: Answer | None) -> str:
    """`+0.92 [+0.42, +1.43] points`; a dash where nothing was run."""
    if answer is None:
        return MISSING
    unit = f" {own.claim.unit}" if own.claim.unit else ""
    if answer.estimate is None:
        return _number(own, answer.value) + unit
    low, high = (_number(own, end) for end in (answer.estimate.low, answer.estimate.high))
    return f"{_number(own, answer.value)} [{low}, {high}]{unit}"


def _number(own: Judged, value: float) -> str:
    sign, digits = "" if _single(own) else "+", 2 if own.claim.unit else 3
    return format(own.claim.scale * value, f"{sign}.{digits}f")
