"""What a regular expression may cost: the CEL library compiles it again at every evaluation.

Figures are microseconds, measured with the regex crate behind `matches`: a Unicode class such as \\w is compiled to
hundreds of states, each time it is repeated.
"""

from __future__ import annotations

import re

MAX_LENGTH = 200
BASE = 30.0
WORD_EDGE = 20.0  # each atom, where \\b or \\B stands: on text beyond ASCII they take the slow engine
ATOM = re.compile(
    r"(?P<flags>\(\?[ims]+\))|(?P<open>\((?:\?[ims]*:)?)(?!\?)|(?P<close>\))"
    r"|(?P<set>\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\[\]\\])*\])"
    r"|(?P<count>\{(?P<least>\d+)(?:,(?P<most>\d*))?\})"
    r"|(?P<escape>\\[pPxuU]\{[^}]*\}|\\[pP].|\\.)|(?P<plain>[^\[\\(])",
    re.DOTALL,
)
ESCAPES = {"w": 350.0, "W": 350.0, "p": 350.0, "P": 350.0, "D": 40.0, "d": 25.0, "s": 12.0, "S": 12.0, "b": 15.0}


class BadPattern(Exception):
    """A pattern whose cost is not estimated."""


def estimate(pattern: str) -> float:
    """Microseconds at the most, compiling and matching against a text of 4,000 characters. Raises BadPattern."""
    if len(pattern) > MAX_LENGTH:
        raise BadPattern(f"the pattern has {len(pattern)} characters, more than {MAX_LENGTH}")
    plain = 8.0 if "(?i" in pattern else 4.0
    if r"\b" in pattern or r"\B" in pattern:
        plain += WORD_EDGE
    groups: list[list[float]] = [[0.0]]
    at = 0
    while at < len(pattern):
        match = ATOM.match(pattern, at)
        if match is None:
            raise BadPattern(f"the pattern has {pattern[at : at + 5]!r}, which a condition may not use")
        at = match.end()
        _add(groups, match, plain)
    return BASE + sum(map(sum, groups))


def _add(groups: list[list[float]], match: re.Match[str], plain: float) -> None:
    """Each group is the costs of its atoms; a count multiplies the last."""
    text = match.group()
    match match.lastgroup:
        case "open":
            groups.append([plain])
        case "close" if len(groups) > 1:
            group = groups.pop()
            groups[-1].append(sum(group))
        case "count":
            groups[-1][-1] *= max(int(match["least"]), int(match["most"] or 0), 1)
        case "flags":
            pass
        case _:
            groups[-1].append(plain + _weight(text))


def _weight(atom: str) -> float:
    """What an atom costs beside a plain letter."""
    if atom[0] == "[":
        return 12.0 + sum(map(_weight, re.findall(r"\\.", atom)))
    return ESCAPES.get(atom[1], 0.0) if atom[0] == "\\" else 8.0 * (atom == ".")
