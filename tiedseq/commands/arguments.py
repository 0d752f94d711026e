"""The words of the command line: its options, their help, and what they may say.

Nothing heavy is imported here, so that `--help` and a mistyped option cost nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from tiedseq import __version__
from tiedseq.errors import ArgumentError
from tiedseq.options import (
    ANNOTATIONS,
    DECODES,
    FORMATS,
    HYPOTHESES,
    LARGEST_ORDER,
    LARGEST_SYMMETRIC_ORDER,
    MODES,
    STRANDS,
    SUBSTITUTIONS,
    SYMMETRIES,
    checked_count,
    checked_probability,
    checked_weight,
)

_EPILOG = """\
exit status:
    0  done
    1  an input file or the model is at fault; one line names file, record, line
    2  wrong usage
    3  the environment: no space, no memory, an output that cannot be written
   70  a defect in tiedseq, which should be reported
  130  Ctrl-C (a closed pipe, as of "| head", ends the command in silence)
"""

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

_FIT_EXAMPLES = """\
  tiedseq fit islands.fa --states 2 --order 1 --symmetry reverse-complement -o model.json
  tiedseq fit reads.fq.gz --model start.json --threads 2 -o model.json
"""

_ANNOTATE_EXAMPLES = """\
  tiedseq annotate model.json genome.fa --omit background -o islands.bed
  tiedseq annotate model.json genome.fa --state island --format wig > island.wig
"""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; what it returns names the `command`, and its `parser` for further mistakes in usage.

    >>> parser().parse_args(["align", "a.fa", "b.fa", "--threads", "2"]).threads
    2
    """
    raw = argparse.RawDescriptionHelpFormatter
    tiedseq = argparse.ArgumentParser(
        prog="tiedseq",
        description="Probabilistic sequence models with tied parameters.\n`tiedseq COMMAND --help` shows its options.",
        epilog=_EPILOG,
        formatter_class=raw,
        allow_abbrev=False,
    )
    tiedseq.add_argument("--version", action="version", version=f"tiedseq {__version__}")
    commands = tiedseq.add_subparsers(metavar="COMMAND", required=True)
    for add_command in (
        _add_align,
        _add_train,
        _add_compare,
        _add_fit,
        _add_annotate,
        _add_score,
        _add_sample,
        _add_info,
    ):
        add_command(commands)
    return tiedseq


def _command(commands: Any, name: str, usage: str, summary: str, description: str, examples: str = "") -> Any:
    """A subcommand's parser; `examples` and the exit statuses stand below its options."""
    added = commands.add_parser(
        name,
        help=summary,
        description=description,
        usage=f"tiedseq {name} {usage}",
        epilog=(f"examples:\n{examples}\n" if examples else "") + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    added.set_defaults(command=name, parser=added)
    return added


def _add_align(commands: Any) -> None:
    summary = "align sequences, with a probability on every column"
    align = _command(commands, "align", "[options] TARGET QUERY", summary, _ALIGN_DESCRIPTION, _ALIGN_EXAMPLES)
    align.add_argument("target", metavar="TARGET", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    align.add_argument("query", metavar="QUERY", help="the same; one of the two may be standard input")
    _add_pairing(align.add_argument_group("what is aligned with what").add_argument)
    _add_method(align.add_argument_group("how").add_argument)
    add = align.add_argument_group("parameters from the sequences themselves").add_argument
    add("--train", action="store_true", help="estimate them first, from the pairs that are aligned; not from streams")
    _add_structure(add)
    _add_training(add)
    _add_output(align.add_argument_group("what is written").add_argument)
    align.set_defaults(given=None, alphabet=None, qualities=False, checkpoint=None)


def _add_train(commands: Any) -> None:
    summary = "estimate a pair-HMM from pairs of sequences (Baum-Welch)"
    description = (
        "Estimate the parameters of an alignment model from pairs of sequences, all alignments counted,\n"
        "and write it to a model file. Without --pairs each query goes with the target that suits it best.\n"
        "Reads (--mode local or glocal) are placed first: their ends, and reads that fit nowhere, are left out.\n"
    )
    usage = "[options] TARGET [QUERY] -o MODEL.json"
    train = _command(commands, "train", usage, summary, description, _TRAIN_EXAMPLES)
    _add_data(train)
    add = train.add_argument_group("the model").add_argument
    _add_structure(add)
    add("--model", metavar="FILE", help="start from this model instead: its structure, ties and values")
    add("--given", choices=("target", "query"), help="target: a table of P(query letter | target letter)")
    add = train.add_argument_group("training").add_argument
    _add_training(add)
    _add_checkpoint(add)
    add("--threads", type=_COUNT, default=1, metavar="N", help="the result does not depend on it; default: 1")
    add = train.add_argument_group("what is written").add_argument
    add("-o", "--output", metavar="FILE", help="the model file, whole or not at all")
    add("--format", choices=("text", "json"), help="what standard output shows of the model; default: text")
    _add_quiet(add)


def _add_compare(commands: Any) -> None:
    summary = "test a hypothesis on pairs of sequences"
    description = (
        "Fit two nested models to pairs of sequences, and test whether the ties of the first hold: by default\n"
        "whether insertion is symmetric, that is whether deletion and insertion are one thing. Pairs as in train.\n"
    )
    compare = _command(commands, "compare", "[options] TARGET [QUERY]", summary, description, _COMPARE_EXAMPLES)
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
        type=_NUMBER,
        default=0,
        metavar="N",
        help="swap target and query N times at random: holds whatever the law of gap lengths; default: 0",
    )
    add(
        "--bootstrap",
        type=_NUMBER,
        default=0,
        metavar="N",
        help="draw N data sets from the null, for hypotheses that chi-square does not suit; default: 0",
    )
    _add_convergence(add, max_iter=10_000, tol=0.001)  # as in Python's compare: a p-value needs 0.01
    add("--no-errors", action="store_true", help="no standard errors, which take most of the time")
    add("--seed", type=_NUMBER, default=0, metavar="S", help="of what is drawn; default: 0")
    add("--threads", type=_COUNT, default=1, metavar="N", help="the result does not depend on it; default: 1")
    add = compare.add_argument_group("what is written").add_argument
    _add_destination(add)
    add("--format", choices=("text", "json"), help="default: by the suffix of -o, else text")
    _add_quiet(add)


def _add_data(command: Any) -> None:
    """What pairs are learnt from."""
    command.add_argument("target", metavar="TARGET", help='FASTA or FASTQ, gzip or not; "-" is standard input')
    command.add_argument("query", metavar="QUERY", nargs="?", help="left out: records 1 and 2, 3 and 4, ... are pairs")
    add = command.add_argument_group("what is paired with what").add_argument
    add(
        "--pairs",
        choices=("order", "name"),
        metavar="[=name]",
        help="first record with first, second with second; --pairs=name: every query with the target of its name",
    )
    add("--mode", choices=MODES, default="global", help="global (default), overlap; local, glocal: reads")
    add("--strand", choices=STRANDS, default="forward", help="both: also the query's reverse complement")
    add("--qualities", action="store_true", help="a base of error p is a mixture of the letters")
    add("--alphabet", metavar="A", help="dna, rna, protein, or the letters themselves; default: dna")
    add("--mask", choices=("keep", "lowercase"), default="keep", help="lowercase: letters in lower case are missing")


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


def _add_training(add: Callable[..., Any]) -> None:
    """How long and from where."""
    _add_convergence(add, max_iter=500, tol=0.01)
    add("--seed", type=_NUMBER, default=0, metavar="S", help="of random starting values; default: 0")


def _add_checkpoint(add: Callable[..., Any]) -> None:
    add("--checkpoint", metavar="FILE", help="keep the state here: an interrupted command goes on from it")


def _add_convergence(add: Callable[..., Any], max_iter: int, tol: float) -> None:
    """How long."""
    add("--max-iter", type=_COUNT, default=max_iter, metavar="N", help=f"iterations at most; default: {max_iter}")
    add(
        "--tol",
        type=_value(float, checked_weight),
        default=tol,
        metavar="T",
        help=f"stop when the gain still to come falls below T nats of log-likelihood; default: {tol:g}",
    )


def _add_pairing(add: Callable[..., Any]) -> None:
    add(
        "--pairs",
        choices=("order", "name"),
        metavar="[=name]",
        help="first record with first, second with second; --pairs=name: every query with the target of its name",
    )
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
        type=_value(float, checked_weight),
        default=0.5,
        metavar="G",
        help="what a letter that is rightly aligned to nothing counts for in mea: 0 aligns most, 1 only what is "
        "likelier aligned than not; default: 0.5",
    )
    add(
        "--mask",
        choices=("keep", "lowercase"),
        default="keep",
        help="lowercase: --train takes letters in lower case for missing; alignments read and write both cases alike",
    )
    add(
        "--threads",
        type=_value(int, checked_count),
        default=1,
        metavar="N",
        help="alignments at a time; the output does not depend on it; default: 1",
    )


def _add_output(add: Callable[..., Any]) -> None:
    _add_destination(add)
    add("--format", choices=FORMATS, metavar="F", help=f"{', '.join(FORMATS)}; default: by the suffix of -o, else text")
    add("--eqx", action="store_true", help="= and X for M in the CIGARs of SAM and PAF")
    add(
        "--min-confidence",
        type=_value(float, checked_probability),
        metavar="P",
        help="un-align letters whose pair has a lower probability, from 0 to 1",
    )
    add(
        "--min-accuracy",
        type=_value(float, checked_probability),
        metavar="P",
        help="leave out alignments whose mean confidence is lower, from 0 to 1",
    )
    _add_quiet(add)


def _add_fit(commands: Any) -> None:
    summary = "estimate an HMM from sequences (Baum-Welch)"
    description = "Estimate the parameters of an HMM from sequences by Baum-Welch, and write it to a\nmodel file.\n"
    add = _command(
        commands, "fit", "[options] SEQUENCES -o MODEL.json", summary, description, _FIT_EXAMPLES
    ).add_argument
    add("sequences", metavar="SEQUENCES", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    add("-o", "--output", metavar="FILE", required=True, help="the model file to write, whole or not at all")
    add("--states", type=_COUNT, metavar="N", help="a model of N states, each of which may follow every other")
    add(
        "--order",
        type=int,
        choices=range(LARGEST_ORDER + 1),
        metavar="K",
        help=f"letters before it that a letter depends on, {LARGEST_ORDER} at most ({LARGEST_SYMMETRIC_ORDER} with "
        "--symmetry); default: 0",
    )
    add(
        "--symmetry",
        choices=SYMMETRIES,
        help="both strands alike: a sequence is as likely as its reverse complement; for --states",
    )
    add("--alphabet", metavar="A", help="dna, rna, protein, or the letters themselves; default: dna")
    add("--model", metavar="FILE", help="start from this model instead: its structure, ties and values")
    add("--mask", choices=("keep", "lowercase"), default="keep", help="lowercase: letters in lower case are missing")
    _add_convergence(add, max_iter=500, tol=0.01)
    add("--restarts", type=_COUNT, default=1, metavar="N", help="random starts, of which the best is kept; default: 1")
    add("--seed", type=_NUMBER, default=0, metavar="S", help="of the random starting values; default: 0")
    _add_checkpoint(add)
    add("--threads", type=_COUNT, default=1, metavar="N", help="the result does not depend on it; default: 1")
    _add_quiet(add)


def _add_annotate(commands: Any) -> None:
    summary = "say where the states of an HMM are in sequences"
    description = "Decode sequences with an HMM, and write where its states are, or the probability of one\nof them.\n"
    usage = "[options] MODEL.json SEQUENCES"
    add = _command(commands, "annotate", usage, summary, description, _ANNOTATE_EXAMPLES).add_argument
    add("model", metavar="MODEL", help="a model file, as fit writes it")
    add("sequences", metavar="SEQUENCES", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    add("--format", choices=ANNOTATIONS, help="default: by the suffix of -o, else bed")
    _add_destination(add)
    add(
        "--decode",
        choices=("posterior", "viterbi"),
        default="posterior",
        help="posterior (default): the likeliest state at each letter; viterbi: the states of the likeliest path",
    )
    add("--omit", action="append", default=[], metavar="STATE", help="leave out this state; may be repeated")
    add("--state", metavar="STATE", help="bedgraph and wig: the state whose probability is written")
    add("--min-length", type=_COUNT, default=1, metavar="N", help="bed and gff3: leave out what is shorter")
    add(
        "--min-posterior",
        type=_value(float, checked_probability),
        default=0.0,
        metavar="P",
        help="bed and gff3: leave out what has a lower mean probability",
    )
    add("--type", default="sequence_feature", metavar="T", help="gff3: a term of the Sequence Ontology")
    _add_quiet(add)


def _add_score(commands: Any) -> None:
    summary = "the log-likelihood of sequences under a model"
    description = "Print ln P of every sequence under an HMM, or of every pair under a pair-HMM, as a\ntable.\n"
    add = _command(commands, "score", "[options] MODEL.json SEQUENCES [QUERIES]", summary, description).add_argument
    add("model", metavar="MODEL", help="a model file")
    add("sequences", metavar="SEQUENCES", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    add("queries", metavar="QUERIES", nargs="?", help="for a pair-HMM: first with first, second with second")
    _add_destination(add)
    _add_quiet(add)


def _add_sample(commands: Any) -> None:
    summary = "draw sequences from a model"
    description = "Draw sequences from an HMM, or pairs of them from a pair-HMM, and write them as FASTA.\n"
    add = _command(commands, "sample", "[options] MODEL.json", summary, description).add_argument
    add("model", metavar="MODEL", help="a model file")
    add("--count", type=_COUNT, default=1, metavar="N", help="how many sequences, or pairs; default: 1")
    add(
        "--length", type=_COUNT, metavar="L", help="letters of each (columns of a pair); a model with an end needs none"
    )
    add("--seed", type=_NUMBER, metavar="S", help="draw the same sequences again")
    _add_destination(add)
    _add_quiet(add)


def _add_info(commands: Any) -> None:
    summary = "what a model file holds"
    description = "Print a model's states and parameters, its ties, and where its values come from.\n"
    add = _command(commands, "info", "MODEL.json", summary, description).add_argument
    add("model", metavar="MODEL", help="a model file")


def _add_destination(add: Callable[..., Any]) -> None:
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="write here, whole or not at all (.gz: compressed); default: standard output",
    )


def _add_quiet(add: Callable[..., Any]) -> None:
    add("--quiet", action="store_true", help="no progress and no summary on standard error")


def _value(read: Callable[[str], Any], check: Callable[[str, Any], Any]) -> Callable[[str], Any]:
    """How an option's text becomes its value, with the library's own words for one that is out of range."""

    def value(text: str) -> Any:
        try:
            number = read(text)
        except ValueError:
            number = text  # which `check` refuses
        try:
            return check("it", number)
        except ArgumentError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


_COUNT = _value(int, checked_count)
_NUMBER = _value(int, partial(checked_count, least=0))
