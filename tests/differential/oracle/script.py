"""Files written for psql, split as psql does: statements, copied data, variables and the commands that run something.

Commands that only print (`\\d`, `\\echo`, `\\pset`) are left out; `\\;` joins statements into one message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*)
    |(?P<string>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*")
    |\$(?P<tag>[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$
    |(?P<cast>::)
    |:(?:'(?P<quoted>\w+)'|"(?P<ident>\w+)"|\{\?(?P<known>\w+)\}|(?P<plain>[A-Za-z_]\w*))
    |(?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
    |(?P<end>;)|(?P<open>[(\[])|(?P<close>[)\]])
    |(?P<joint>\\;)|(?P<command>\\[A-Za-z!?.]\S*)
    |(?P<newline>\n)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
SENDS = ("\\g", "\\gx", "\\gset", "\\gexec", "\\crosstabview", "\\watch", "\\gdesc", "\\sendpipeline")


@dataclass(frozen=True, slots=True)
class Step:
    """`message` to send (empty: only `connect`), `data` for COPY FROM STDIN; `then`: gset or gexec of its rows.

    `connect`: a new session comes first, of the role that is named (empty: the first one).
    """

    line: int
    message: str
    data: str = ""
    then: str = ""
    argument: str = ""
    connect: str | None = None


class Script:
    """One file. `variables` may be changed between steps: they are put in when a statement is reached."""

    def __init__(self, text: str, variables: dict[str, str] | None = None) -> None:
        self.text = text
        self.variables = dict(variables or {})
        self._at = 0
        self._line = 1
        self._branches: list[bool] = []

    def steps(self) -> Iterator[Step]:
        """What to run, in order."""
        parts: list[str] = []
        depth, bodies, start = 0, 0, 0
        while self._at < len(self.text):
            match = TOKEN.match(self.text, self._at)
            assert match is not None, "every character is a token"
            begin, self._at = self._at, match.end()
            kind = match.lastgroup
            token = match[0]
            if not "".join(parts).strip() and kind not in ("comment", "newline", "other"):
                start = self._line
            if kind == "comment":
                token = self._comment(token, begin)
            elif kind == "tag" or token == "$$":
                token = self._dollar(token, begin)
            elif kind in ("quoted", "ident", "known", "plain"):
                token = self._variable(match)
            elif kind == "open":
                depth += 1
            elif kind == "close":
                depth = max(0, depth - 1)
            elif kind == "word":
                bodies = self._bodies(token.lower(), bodies, parts)
            elif kind == "joint":
                token = ";"
            self._line += token.count("\n")
            ends = kind == "end" and depth == 0 and bodies == 0
            if kind == "command":
                yield from self._command(token, "".join(parts), start)
                if token in SENDS or token == "\\r":
                    parts, depth, bodies = [], 0, 0
                continue
            parts.append(token)
            if ends:
                message = "".join(parts).strip()
                parts, depth, bodies = [], 0, 0
                if message.strip("; \n\t") and all(self._branches):
                    yield Step(start, message, self._data(message))
        rest = "".join(parts).strip()
        if rest and all(self._branches):
            yield Step(start, rest)

    def _comment(self, token: str, begin: int) -> str:
        """A comment as white space: `/*` nests."""
        if token.startswith("--"):
            return ""
        level, at = 1, begin + 2
        for found in re.finditer(r"/\*|\*/", self.text[at:]):
            level += 1 if found[0] == "/*" else -1
            if level == 0:
                self._at = at + found.end()
                break
        else:
            self._at = len(self.text)
        return " " + "\n" * self.text.count("\n", begin, self._at)

    def _dollar(self, token: str, begin: int) -> str:
        close = self.text.find(token, self._at)
        self._at = len(self.text) if close < 0 else close + len(token)
        return self.text[begin : self._at]

    def _variable(self, match: re.Match[str]) -> str:
        if match["known"]:
            return str(match["known"] in self.variables).upper()
        name = match["quoted"] or match["ident"] or match["plain"]
        if name not in self.variables:
            return match[0]
        value = self.variables[name]
        if match["quoted"]:
            return "'" + value.replace("'", "''") + "'"
        return '"' + value.replace('"', '""') + '"' if match["ident"] else value

    @staticmethod
    def _bodies(word: str, level: int, parts: list[str]) -> int:
        """How deep in BEGIN ATOMIC … END the text is: semicolons do not end the statement there."""
        if level == 0 and word == "atomic":
            return 1 if "".join(parts).rstrip().lower().endswith("begin") else 0
        if level and word == "case":
            return level + 1
        return level - 1 if level and word == "end" else level

    def _data(self, message: str) -> str:
        """The lines up to `\\.` after a COPY … FROM STDIN."""
        if not re.search(r"\bcopy\b.*\bfrom\s+(stdin|stdout)\b", message, re.IGNORECASE | re.DOTALL):
            return ""
        begin = self.text.find("\n", self._at) + 1
        end = re.compile(r"^\\\.\r?$", re.MULTILINE).search(self.text, begin)
        if begin == 0 or end is None:
            return ""
        self._line += self.text.count("\n", self._at, end.end())
        self._at = end.end()
        return self.text[begin : end.start()]

    def _command(self, token: str, pending: str, start: int) -> Iterator[Step]:
        """A backslash command: to the end of its line, unless it sends what stands before it."""
        end = self.text.find("\n", self._at)
        end = len(self.text) if end < 0 else end
        argument = self.text[self._at : end].strip()
        if token == "\\bind":  # its values, then what sends
            sends = re.search(r"\\(g|gx|gset|sendpipeline)\b", argument)
            argument = "" if sends is None else argument[sends.start() :]
            self._at = end - len(argument) if argument else end
            return
        self._at = end
        if token in ("\\if", "\\elif", "\\else", "\\endif"):
            self._branch(token, argument)
        elif not all(self._branches):
            return
        elif token == "\\set":
            name, _, value = argument.partition(" ")
            self.variables[name] = _set_value(value, self.variables)
        elif token == "\\unset":
            self.variables.pop(argument, None)
        elif token in ("\\quit", "\\q"):
            self._at = len(self.text)
        elif token in ("\\c", "\\connect"):
            words = [word.strip('"') for word in argument.split()]
            yield Step(self._line, "", connect=words[1] if len(words) > 1 and words[1] != "-" else "")
        elif token in SENDS and pending.strip():
            then = token[1:] if token in ("\\gset", "\\gexec") else ""
            yield Step(start, pending.strip(), then=then, argument=argument)

    def _branch(self, token: str, argument: str) -> None:
        if token == "\\if":
            self._branches.append(self._true(argument))
        elif token == "\\endif":
            self._branches[-1:] = []
        elif self._branches:
            taken = self._branches[-1]
            self._branches[-1] = not taken if token == "\\else" else not taken and self._true(argument)

    def _true(self, argument: str) -> bool:
        value = TOKEN.sub(lambda m: self._variable(m) if m[0].startswith(":") and m[0] != "::" else m[0], argument)
        return value.strip().lower() in ("t", "true", "on", "1", "yes")


def _set_value(text: str, variables: dict[str, str]) -> str:
    """The words of `\\set`, joined: quoted ones without their quotes, variables replaced."""
    found = re.findall(r"'((?:[^']|'')*)'|:(\w+)|(\S+?)(?=[\s:']|$)", text)
    return "".join(q.replace("''", "'") if q else variables.get(v, "") if v else w for q, v, w in found)
