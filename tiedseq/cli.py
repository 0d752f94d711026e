"""The command line: words in, exit status out. `main` is the one place where errors are caught.

Nothing heavy is imported before the options are known to be right, so that `--help` and a mistyped option cost nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from tiedseq import __version__
from tiedseq.errors import ArgumentError, InputError, ResourceError, TiedseqError

if TYPE_CHECKING:
    from tiedseq.alignment import AlignmentResult
    from tiedseq.records import Record

INPUT, USAGE, ENVIRONMENT, DEFECT, INTERRUPTED, CLOSED_PIPE, TERMINATED = 1, 2, 3, 70, 130, 141, 143

_FORMATS = ("text", "fasta", "clustal", "stockholm", "maf", "sam", "paf", "tsv", "json")
_COMMANDS_TO_COME = ("train", "compare", "fit", "annotate", "score", "sample", "info")

_EPILOG = """\
exit status:
  0  done
  1  an input file or the model is at fault (one line names file, record and line)
  2  wrong usage
  3  the environment: no space, no memory, an output that cannot be written
  130 after Ctrl-C; a closed pipe is silent
"""

_ALIGN_EPILOG = """\
examples:
  tiedseq align target.fa query.fa
  tiedseq align a.fa b.fa --pairs=name --format maf
  tiedseq align ref.fa reads.fq.gz --mode glocal --strand both -o out.sam
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; `argv` is `sys.argv[1:]` by default.

    With TIEDSEQ_DEBUG set in the environment, errors keep their traceback.

    >>> main(["--version"])
    tiedseq ...
    0
    """
    try:
        with _terminable():
            return _run(sys.argv[1:] if argv is None else list(argv))
    except SystemExit as request:  # argparse after --help or a usage error, and SIGTERM
        _abandon_output()
        return request.code if isinstance(request.code, int) else USAGE
    except BrokenPipeError:
        _abandon_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        _abandon_output()
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("TIEDSEQ_DEBUG"):
            raise
        _abandon_output()
        status, message = _verdict(error)
        with contextlib.suppress(OSError):
            _say(f"error: {' '.join(message.splitlines())}")
        return status


def _verdict(error: Exception) -> tuple[int, str]:
    """Whose fault it is, and the line that says so."""
    from concurrent.futures import BrokenExecutor

    if isinstance(error, TiedseqError):
        kinds = {ResourceError: ENVIRONMENT, ArgumentError: USAGE}
        return next((status for kind, status in kinds.items() if isinstance(error, kind)), INPUT), str(error)
    if isinstance(error, MemoryError):
        return ENVIRONMENT, "there is not enough memory for this"
    if isinstance(error, BrokenExecutor):
        return ENVIRONMENT, f"a worker died: {error}"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return ENVIRONMENT, f"{place}{error.strerror or error}"
    kind = type(error).__name__
    return DEFECT, f"a defect in tiedseq, please report it: {kind}: {error} (TIEDSEQ_DEBUG=1 shows where)"


def _run(argv: list[str]) -> int:
    if argv and argv[0] in _COMMANDS_TO_COME:
        _say(f"{argv[0]} is not there yet in version {__version__}; align is")
        return USAGE
    # --pairs takes a value only behind "=", so that `--pairs A.fa B.fa` does not swallow A.fa.
    options = _parser().parse_args(["--pairs=order" if word == "--pairs" else word for word in argv])
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="tiedseq",
        description="Probabilistic sequence models with tied parameters.",
        epilog=_EPILOG,
        formatter_class=raw,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tiedseq {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    align = commands.add_parser(
        "align",
        help="align sequences, with a probability on every column",
        description="Align every query to every target (or pair by pair), with a probability on every column.",
        usage="tiedseq align [options] TARGET QUERY",
        epilog=_ALIGN_EPILOG,
        formatter_class=raw,
        allow_abbrev=False,
    )
    align.set_defaults(run=_align, parser=align)
    _add_align_options(align)
    return parser


def _add_align_options(align: argparse.ArgumentParser) -> None:
    add = align.add_argument
    add("target", metavar="TARGET", help='FASTA or FASTQ, may be compressed (gzip); "-" is standard input')
    add("query", metavar="QUERY", help="the same; one of the two may be standard input")
    add(
        "--pairs", choices=("order", "name"), metavar="[=name]", help="first with first, second with second; or by name"
    )
    add("--mode", choices=("global", "local", "glocal", "overlap"), default="global", help="default: global")
    add("--strand", choices=("forward", "both"), default="forward", help="both: also the query's reverse complement")
    add("--decode", choices=("mea", "viterbi"), default="mea", help="default: mea, maximum expected accuracy")
    add("--gap-weight", type=_non_negative, default=0.5, metavar="G", help="weight of unaligned letters in mea (0.5)")
    add("--model", metavar="FILE", help="a model saved as JSON; default: the built-in DNA model")
    add(
        "--mask",
        choices=("keep", "lowercase"),
        default="keep",
        help="lowercase: missing letters while parameters are estimated; alignments keep it",
    )
    add("--all", action="store_true", help="every target and strand a query, not only the likeliest")
    add("--min-confidence", type=_probability, metavar="P", help="un-align columns of a lower confidence")
    add("--min-accuracy", type=_probability, metavar="P", help="leave out results of a lower expected accuracy")
    add(
        "--format",
        choices=_FORMATS,
        metavar="F",
        help=f"{', '.join(_FORMATS)}; default: by the suffix of -o, else text",
    )
    add("--eqx", action="store_true", help="= and X for M in the CIGARs of SAM and PAF")
    add("-o", "--output", metavar="FILE", help="write here, whole or not at all; default: standard output")
    add("--threads", type=_positive, default=1, metavar="N", help="default: 1; the output does not depend on it")
    add("--train", action="store_true", help=argparse.SUPPRESS)
    add("--quiet", action="store_true", help="no progress and no summary on standard error")


def _align(options: argparse.Namespace) -> int:
    _check_usage(options)
    from tiedseq.formats import format_of, write

    output = None if options.output in (None, "-") else options.output
    format = options.format or (format_of(output) if output else None) or "text"
    from tiedseq.aligning import align_all  # not earlier: it brings Numba

    model = _load_model(options.model) if options.model else None
    targets, header = _targets(options, format)
    results = align_all(
        targets,
        options.query,
        pairs="name" if options.pairs == "name" else options.pairs == "order",
        best=not options.all,
        threads=options.threads,
        model=model,
        mode=options.mode,
        decode=options.decode,
        gap_weight=options.gap_weight,
        strand=options.strand,
    )
    tally = _Tally(options.min_confidence, options.min_accuracy, options.quiet)
    with contextlib.closing(tally):
        write(tally.passing(results), output or _standard_output(), format, targets=header, eqx=options.eqx)
    tally.report()
    return 0


def _check_usage(options: argparse.Namespace) -> None:
    """Mistakes in the combination of options; exits with status 2."""
    error: Callable[[str], NoReturn] = options.parser.error
    inputs = (options.target, options.query)
    if inputs == ("-", "-"):
        error("standard input (-) can be read once: give a file for TARGET or for QUERY")
    if options.train:
        error(f"--train is not there yet in version {__version__}")
    for path in inputs:
        if options.output and path != "-":
            with contextlib.suppress(OSError):  # one of them does not exist
                if os.path.samefile(path, options.output) and stat.S_ISREG(os.stat(path).st_mode):
                    error(f"-o {options.output} would replace an input: give another name")


def _load_model(path: str) -> Any:
    from tiedseq.pairhmm import PairHMM
    from tiedseq.storage import load

    model = load(path)
    if not isinstance(model, PairHMM):
        raise InputError(f"it holds a model of the kind {type(model).__name__}; align needs a PairHMM", path)
    return model


def _targets(options: argparse.Namespace, format: str) -> tuple[str | list[Record], list[tuple[str, int]] | None]:
    """What to align to, and for SAM the names and lengths of all targets, which its header has to know first.

    Without pairs every target is needed for every query, so the records are kept; with pairs the file is read twice
    unless it is a stream.
    """
    if format != "sam":
        return options.target, None
    from tiedseq.records import read

    if options.pairs and options.target != "-" and os.path.isfile(options.target):
        return options.target, _sam_header(read(options.target))
    records = list(read(options.target))
    return records, _sam_header(records)


def _sam_header(records: Iterable[Record]) -> list[tuple[str, int]]:
    """Names and lengths; InputError if two different sequences have one name."""
    seen: dict[str, tuple[int, int]] = {}
    for record in records:
        content = len(record), hash(record.sequence)
        if seen.setdefault(record.name, content) != content:
            message = "another target has this name; SAM tells references apart by name: rename one"
            raise InputError(message, record.path, record.line, record.name)
    return [(name, length) for name, (length, _) in seen.items()]


class _Tally:
    """Filters results on their way to the writer, counts them, and shows progress on a terminal."""

    def __init__(self, min_confidence: float | None, min_accuracy: float | None, quiet: bool) -> None:
        self._min_confidence, self._min_accuracy, self._quiet = min_confidence, min_accuracy, quiet
        self._shows = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._shown = time.monotonic()
        self._n_records = self._n_skipped = self._n_columns = 0
        self._sum = 0.0

    def passing(self, results: Iterable[AlignmentResult]) -> Iterator[AlignmentResult]:
        """The results to write. A record counts once, with its primary result."""
        for result in results:
            if self._min_confidence is not None:
                result = result.filter(self._min_confidence)
            accuracy = result.expected_accuracy
            dropped = self._min_accuracy is not None and accuracy < self._min_accuracy
            self._n_records += result.is_primary
            self._n_skipped += result.is_primary and (dropped or result.is_empty)
            self._progress()
            if dropped:
                continue
            n_columns = int(result.is_residue.sum())
            self._n_columns += n_columns
            self._sum += accuracy * n_columns
            yield result

    def _progress(self) -> None:
        now = time.monotonic()
        if self._shows and now - self._shown > 0.2:
            self._shown = now
            sys.stderr.write(f"\r\x1b[Ktiedseq: {self._n_records} records")
            sys.stderr.flush()

    def close(self) -> None:
        """Wipe the progress off the terminal."""
        if self._shows:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def report(self) -> None:
        """The last line on standard error."""
        if self._quiet:
            return
        plural = "" if self._n_records == 1 else "s"
        line = f"{self._n_records} record{plural}, {self._n_skipped} skipped"
        if self._n_columns:
            line += f", mean confidence {self._sum / self._n_columns:.4f}"
        _say(line)


def _say(message: str) -> None:
    if sys.stderr is not None:
        print(f"tiedseq: {message}", file=sys.stderr)


def _standard_output() -> Any:
    if sys.stdout is None:
        raise ResourceError("standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # what the readers of these formats expect, whatever the locale
    return sys.stdout


def _abandon_output() -> None:
    """Forget what is buffered for a standard output that failed, lest the interpreter tries again when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM (a job scheduler's way to stop a program) clean up as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(TERMINATED)

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread, where signals do not arrive
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _probability(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text}: a probability from 0 to 1 is needed")
    return value


def _non_negative(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0.0):
        raise argparse.ArgumentTypeError(f"{text}: a number of 0 or more is needed")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: a number of 1 or more is needed")
    return value


if __name__ == "__main__":
    sys.exit(main())
