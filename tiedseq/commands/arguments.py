"""The words of the command line: all commands, and the options of those for HMMs and model files.

Nothing heavy is imported here, so that `--help` and a mistyped option cost nothing.
"""

from __future__ import annotations

import argparse
from typing import Any

from tiedseq import __version__
from tiedseq.options import (
    ANNOTATIONS,
    LARGEST_ORDER,
    LARGEST_SYMMETRIC_ORDER,
    SYMMETRIES,
    checked_probability,
)

from .pair_words import add_align, add_compare, add_train
from .words import (
    COUNT,
    EPILOG,
    NUMBER,
    add_checkpoint,
    add_convergence,
    add_destination,
    add_mask,
    add_quiet,
    add_threads,
    command,
    value_of,
)

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
        epilog=EPILOG,
        formatter_class=raw,
        allow_abbrev=False,
    )
    tiedseq.add_argument("--version", action="version", version=f"tiedseq {__version__}")
    commands = tiedseq.add_subparsers(metavar="COMMAND", required=True)
    for add_command in (
        add_align,
        add_train,
        add_compare,
        _add_fit,
        _add_annotate,
        _add_score,
        _add_sample,
        _add_info,
    ):
        add_command(commands)
    return tiedseq


def _add_fit(commands: Any) -> None:
    summary = "estimate an HMM from sequences (Baum-Welch)"
    description = "Estimate the parameters of an HMM from sequences by Baum-Welch, and write it to a\nmodel file.\n"
    add = command(
        commands, "fit", "[options] SEQUENCES -o MODEL.json", summary, description, _FIT_EXAMPLES
    ).add_argument
    add("sequences", metavar="SEQUENCES", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    add("-o", "--output", metavar="FILE", required=True, help="the model file to write, whole or not at all")
    add("--states", type=COUNT, metavar="N", help="a model of N states, each of which may follow every other")
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
    add_mask(add)
    add_convergence(add, max_iter=500, tol=0.01)
    add("--restarts", type=COUNT, default=1, metavar="N", help="random starts, of which the best is kept; default: 1")
    add("--seed", type=NUMBER, default=0, metavar="S", help="of the random starting values; default: 0")
    add_checkpoint(add)
    add_threads(add)
    add_quiet(add)


def _add_annotate(commands: Any) -> None:
    summary = "say where the states of an HMM are in sequences"
    description = "Decode sequences with an HMM, and write where its states are, or the probability of one\nof them.\n"
    usage = "[options] MODEL.json SEQUENCES"
    add = command(commands, "annotate", usage, summary, description, _ANNOTATE_EXAMPLES).add_argument
    add("model", metavar="MODEL", help="a model file, as fit writes it")
    add("sequences", metavar="SEQUENCES", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    add("--format", choices=ANNOTATIONS, help="default: by the suffix of -o, else bed")
    add_destination(add)
    add(
        "--decode",
        choices=("posterior", "viterbi"),
        default="posterior",
        help="posterior (default): the likeliest state at each letter; viterbi: the states of the likeliest path",
    )
    add("--omit", action="append", default=[], metavar="STATE", help="leave out this state; may be repeated")
    add("--state", metavar="STATE", help="bedgraph and wig: the state whose probability is written")
    add("--min-length", type=COUNT, default=1, metavar="N", help="bed and gff3: leave out what is shorter")
    add(
        "--min-posterior",
        type=value_of(float, checked_probability),
        default=0.0,
        metavar="P",
        help="bed and gff3: leave out what has a lower mean probability",
    )
    add("--type", default="sequence_feature", metavar="T", help="gff3: a term of the Sequence Ontology")
    add_quiet(add)


def _add_score(commands: Any) -> None:
    summary = "the log-likelihood of sequences under a model"
    description = "Print ln P of every sequence under an HMM, or of every pair under a pair-HMM, as a\ntable.\n"
    add = command(commands, "score", "[options] MODEL.json SEQUENCES [QUERIES]", summary, description).add_argument
    add("model", metavar="MODEL", help="a model file")
    add("sequences", metavar="SEQUENCES", help='FASTA or FASTQ, gzip-compressed or not; "-" is standard input')
    add("queries", metavar="QUERIES", nargs="?", help="for a pair-HMM: first with first, second with second")
    add_destination(add)
    add_quiet(add)


def _add_sample(commands: Any) -> None:
    summary = "draw sequences from a model"
    description = "Draw sequences from an HMM, or pairs of them from a pair-HMM, and write them as FASTA.\n"
    add = command(commands, "sample", "[options] MODEL.json", summary, description).add_argument
    add("model", metavar="MODEL", help="a model file")
    add("--count", type=COUNT, default=1, metavar="N", help="how many sequences, or pairs; default: 1")
    add("--length", type=COUNT, metavar="L", help="letters of each (columns of a pair); a model with an end needs none")
    add("--seed", type=NUMBER, metavar="S", help="draw the same sequences again")
    add_destination(add)
    add_quiet(add)


def _add_info(commands: Any) -> None:
    summary = "what a model file holds"
    description = "Print a model's states and parameters, its ties, and where its values come from.\n"
    add = command(commands, "info", "MODEL.json", summary, description).add_argument
    add("model", metavar="MODEL", help="a model file")
