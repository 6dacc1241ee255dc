"""The command line: parses, calls, prints; one verb a file, no logic.

stdout is data, stderr is progress and log. Bad input ends with exit code 2 and one line.
"""

import sys

from lingraft.errors import LingraftError

_BAD_INPUT = 2
_INTERRUPTED = 130
_TAKES_SEVERAL = frozenset({"--text", "--keep"})
_VERBS_WITH_SEVERAL = frozenset({"adapt", "train", "tokenizer"})


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    from lingraft.cli.app import app

    try:
        app(args=spread(sys.argv[1:] if arguments is None else arguments), prog_name="lingraft")
    except LingraftError as error:
        print(f"lingraft: {error}", file=sys.stderr)
        sys.exit(_BAD_INPUT)
    except KeyboardInterrupt:
        print("lingraft: stopped; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(_INTERRUPTED)


def spread(arguments: list[str]) -> list[str]:
    """Repeats ``--text`` before each of several files: ``--text a b`` is ``--text a --text b``.

    click gives an option one value; a shell's ``--text *.txt`` is several.

    Example:
        >>> spread(["adapt", "m", "--text", "a", "b", "--to", "el"])
        ['adapt', 'm', '--text', 'a', '--text', 'b', '--to', 'el']
    """
    if not arguments or arguments[0] not in _VERBS_WITH_SEVERAL:
        return list(arguments)
    spread_out: list[str] = []
    option = ""
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in _TAKES_SEVERAL else ""
        elif option and spread_out[-1] != option:
            spread_out.append(option)
        spread_out.append(argument)
    return spread_out
