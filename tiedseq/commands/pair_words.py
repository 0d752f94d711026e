"""The words of `align`, `train` and `compare`: what is paired, how it is aligned, what is learnt and tested."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiedseq.options import (
    DECODES,
    FORMATS,
    HYPOTHESES,
    MODES,
    STRANDS,
    SUBSTITUTIONS,
    checked_probability,
    checked_weight,
)

from .words import (
    NUMBER,
    add_checkpoint,
    add_convergence,
    add_destination,
    add_mask,
    add_pairs,
    add_quiet,
    add_threads,
    add_training,
    command,
    value_of,
)

_ALIGN_DESCRIPTION = """\
Align every query to the target that suits it best, or two files pair by pair,
with a probability on every column.
"""

_ALIGN_EXAMPLES = """\
  tiedseq align target.fa query.fa                   # two sequences, whole
  tiedseq align a.fa b.fa --pairs=name --format maf  # those of the same name
  tiedseq align ref.fa reads.fq.gz --mode glocal --strand both -o out.sam
  head -n 400 reads.fq | tiedseq align ref.fa - --mode local --format paf
"""

_TRAIN_EXAMPLES = """\
  tiedseq train human.fa mouse.fa --asymmetric --gaps 2 -o model.json
  tiedseq train pairs.fa --substitution kimura --threads 2 -o model.json   # records 1 and 2, 3 and 4, ...
  tiedseq train ref.fa reads.fq.gz --mode local --strand both --given target -o reads.json
"""

_COMPARE_EXAMPLES = """\
  tiedseq compare human.fa mouse.fa --gaps 2 --permutation 999
  tiedseq compare ref.fa reads.fq.gz --mode local --strand both --hypothesis symmetric-gaps
  tiedseq compare pairs.fa --hypothesis one-gap-class --bootstrap 99 --threads 2
"""


def add_align(commands: Any) -> None:
    summary = "align sequences, with a probability on every column"
    align = command(commands, "align", "[options] TARGET QUERY", summary, _ALIGN_DESCRIPTION, _ALIGN_EXAMPLES)
    align.add_argument("target", metavar="TARGET", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    align.add_argument("query", metavar="QUERY", help="the same; one of the two may be standard input")
    _add_pairing(align.add_argument_group("what is aligned with what").add_argument)
    _add_method(align.add_argument_group("how").add_argument)
    add = align.add_argument_group("parameters from the sequences themselves").add_argument
    add("--train", action="store_true", help="estimate them first, from the pairs that are aligned; not from streams")
    _add_structure(add)
    add_training(add)
    _add_output(align.add_argument_group("what is written").add_argument)
    align.set_defaults(given=None, alphabet=None, qualities=False, checkpoint=None)


def add_train(commands: Any) -> None:
    summary = "estimate a pair-HMM from pairs of sequences (Baum-Welch)"
    description = (
        "Estimate the parameters of an alignment model from pairs of sequences, all alignments counted,\n"
        "and write it to a model file. Without --pairs each query goes with the target that suits it best.\n"
        "Reads (--mode local or glocal) are placed first: their ends, and reads that fit nowhere, are left out.\n"
    )
    usage = "[options] TARGET [QUERY] -o MODEL.json"
    train = command(commands, "train", usage, summary, description, _TRAIN_EXAMPLES)
    _add_data(train)
    add = train.add_argument_group("the model").add_argument
    _add_structure(add)
    add("--model", metavar="FILE", help="start from this model instead: its structure, ties and values")
    add("--given", choices=("target", "query"), help="target: a table of P(query letter | target letter)")
    add = train.add_argument_group("training").add_argument
    add_training(add)
    add_checkpoint(add)
    add_threads(add)
    add = train.add_argument_group("what is written").add_argument
    add("-o", "--output", metavar="FILE", help="the model file, whole or not at all")
    add("--format", choices=("text", "json"), help="what standard output shows of the model; default: text")
    add_quiet(add)


def add_compare(commands: Any) -> None:
    summary = "test a hypothesis on pairs of sequences"
    description = (
        "Fit two nested models to pairs of sequences, and test whether the ties of the first hold: by default\n"
        "whether insertion is symmetric, that is whether deletion and insertion are one thing. Pairs as in train.\n"
    )
    compare = command(commands, "compare", "[options] TARGET [QUERY]", summary, description, _COMPARE_EXAMPLES)
    _add_data(compare)
    add = compare.add_argument_group("the hypothesis").add_argument
    add(
        "--hypothesis",
        choices=HYPOTHESES,
        metavar="H",
        help=f"{', '.join(HYPOTHESES)}; default: symmetric-insertion; no --gaps or --substitution where H is about it",
    )
    _add_gaps(add)
    add("--substitution", choices=SUBSTITUTIONS, help="the pair table of both models; default: symmetric")
    add("--null", metavar="FILE", help="a model file instead of --hypothesis: the one with more ties")
    add("--alternative", metavar="FILE", help="a model file: the one with fewer ties")
    add = compare.add_argument_group("the test").add_argument
    add(
        "--permutation",
        type=NUMBER,
        default=0,
        metavar="N",
        help="swap target and query N times at random: holds whatever the law of gap lengths; default: 0",
    )
    add(
        "--bootstrap",
        type=NUMBER,
        default=0,
        metavar="N",
        help="draw N data sets from the null, for hypotheses that chi-square does not suit; default: 0",
    )
    add_convergence(add, max_iter=10_000, tol=0.001)  # as in Python's compare: a p-value needs 0.01
    add("--no-errors", action="store_true", help="no standard errors, which take most of the time")
    add("--seed", type=NUMBER, default=0, metavar="S", help="of what is drawn; default: 0")
    add_threads(add)
    add = compare.add_argument_group("what is written").add_argument
    add_destination(add)
    add("--format", choices=("text", "json"), help="default: by the suffix of -o, else text")
    add_quiet(add)


def _add_data(command: Any) -> None:
    """What pairs are learnt from."""
    command.add_argument("target", metavar="TARGET", help='FASTA or FASTQ, gzip or not; "-" is standard input')
    command.add_argument("query", metavar="QUERY", nargs="?", help="left out: records 1 and 2, 3 and 4, ... are pairs")
    add = command.add_argument_group("what is paired with what").add_argument
    add_pairs(add)
    add("--mode", choices=MODES, default="global", help="global (default), overlap; local, glocal: reads")
    add("--strand", choices=STRANDS, default="forward", help="both: also the query's reverse complement")
    add("--qualities", action="store_true", help="a base of error p is a mixture of the letters")
    add("--alphabet", metavar="A", help="dna, rna, protein, or the letters themselves; default: dna")
    add_mask(add)


def _add_structure(add: Callable[..., Any]) -> None:
    """What a model of affine gaps is like."""
    add("--asymmetric", action="store_true", help="deletion and insertion have parameters of their own")
    _add_gaps(add)
    add(
        "--substitution",
        choices=SUBSTITUTIONS,
        help=f"{', '.join(SUBSTITUTIONS)}; default: symmetric, and general with --asymmetric",
    )


def _add_gaps(add: Callable[..., Any]) -> None:
    add("--gaps", type=int, choices=(1, 2), help="classes of gaps; default: 1")
    add("--gap-switch", action="store_true", help="a deletion may stand next to an insertion")


def _add_pairing(add: Callable[..., Any]) -> None:
    add_pairs(add)
    add(
        "--strand",
        choices=STRANDS,
        default="forward",
        help="both: also the query's reverse complement, the likelier strand is kept; default: forward",
    )
    add("--all", action="store_true", help="all targets and strands of a query, not only the likeliest")


def _add_method(add: Callable[..., Any]) -> None:
    add(
        "--mode",
        choices=MODES,
        default="global",
        help="global (default): both sequences whole; local: the part of each that is alike; glocal: the whole query "
        "within the target, as a read in a genome; overlap: ends that hang over cost nothing",
    )
    add(
        "--model",
        metavar="FILE",
        help="a model as PairHMM.save writes it (JSON); default: a built-in one, for DNA of 70 to 99 %% identity",
    )
    add(
        "--decode",
        choices=DECODES,
        default="mea",
        help="mea (default): the alignment with the most columns right, as far as can be expected; "
        "viterbi: the likeliest alignment",
    )
    add(
        "--gap-weight",
        type=value_of(float, checked_weight),
        default=0.5,
        metavar="G",
        help="what a letter that is rightly aligned to nothing counts for in mea: 0 aligns most, 1 only what is "
        "likelier aligned than not; default: 0.5",
    )
    add_mask(add, "--train takes letters in lower case for missing; alignments read and write both cases alike")
    add_threads(add, "alignments at a time; the output does not depend on it")


def _add_output(add: Callable[..., Any]) -> None:
    add_destination(add)
    add("--format", choices=FORMATS, metavar="F", help=f"{', '.join(FORMATS)}; default: by the suffix of -o, else text")
    add("--eqx", action="store_true", help="= and X for M in the CIGARs of SAM and PAF")
    add(
        "--min-confidence",
        type=value_of(float, checked_probability),
        metavar="P",
        help="un-align letters whose pair has a lower probability, from 0 to 1",
    )
    add(
        "--min-accuracy",
        type=value_of(float, checked_probability),
        metavar="P",
        help="leave out alignments whose mean confidence is lower, from 0 to 1",
    )
    add_quiet(add)
