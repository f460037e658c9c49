"""The text of a CEL expression as a tree.

The grammar is that of the CEL specification (https://github.com/google/cel-spec, "Syntax") without messages and raw
identifiers. The text, and how deeply things stand in each other, are limited: it is a stranger's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from perdure_server.core.cel.tree import (
    Binary,
    Bind,
    Call,
    CelError,
    Choice,
    Has,
    Index,
    ListOf,
    Literal,
    Logic,
    Macro,
    MapOf,
    Name,
    Node,
    Select,
    Unary,
)

MAX_CHARS: Final = 4096
MAX_DEPTH: Final = 40

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)[uU]?
    |(?P<text>[bBrR]{0,2}(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"\\(x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL
)
_PLAIN_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`",
}  # fmt: skip
_LITERALS: Final = {"true": True, "false": False, "null": None}
_RESERVED: Final = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
})  # fmt: skip
# How tightly operators bind; those of one level group from the left.
_BINARY: Final = {
    "||": 1, "&&": 2,
    "<": 3, "<=": 3, ">": 3, ">=": 3, "==": 3, "!=": 3, "in": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}  # fmt: skip
_MACROS: Final = {
    "all": (2,), "exists": (2,), "exists_one": (2,), "existsOne": (2,), "map": (2, 3), "filter": (2,), "sortBy": (2,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # float, int, text, name, mark, end
    text: str
    offset: int


def parse(text: str) -> Node:
    """The tree of `text`. Raises `CelError`."""
    if len(text) > MAX_CHARS:
        raise CelError(f"it is longer than {MAX_CHARS} characters", MAX_CHARS)
    parser = _Parser(_tokens(text))
    node = parser.expression()
    if parser.next.kind != "end":
        raise parser.unexpected()
    return node


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CelError(_strange(text, at), at)
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append(_Token(kind, match[kind], at))
        at = match.end()
    return [*tokens, _Token("end", "", len(text))]


def _strange(text: str, at: int) -> str:
    return "a quote is not closed" if text[at] in "\"'" else f"{text[at]!r} has no meaning here"


class _Parser:
    """Operator precedence, one token ahead."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._nesting = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def unexpected(self) -> CelError:
        token = self.next
        return CelError(f"{token.text!r} is unexpected" if token.text else "it ends too early", token.offset)

    def _take(self) -> _Token:
        token = self.next
        self._at += 1
        return token

    def _accept(self, mark: str) -> bool:
        if self.next.kind in {"mark", "name"} and self.next.text == mark:
            self._at += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            raise self.unexpected()

    def _identifier(self) -> str:
        if self.next.kind != "name" or self.next.text in _LITERALS or self.next.text == "in":
            raise self.unexpected()
        return self._take().text

    def expression(self) -> Node:
        condition = self._binary(1)
        offset = self.next.offset
        if not self._accept("?"):
            return condition
        self._enter(offset)
        yes = self._binary(1)
        self._expect(":")
        no = self.expression()
        self._nesting -= 1
        return Choice(offset, _deeper(offset, condition, yes, no), condition, yes, no)

    def _enter(self, offset: int) -> None:
        """Another level of what stands in something else; its end lowers `_nesting` again."""
        self._nesting += 1
        if self._nesting > MAX_DEPTH:
            raise _too_deep(offset)

    def _binary(self, level: int) -> Node:
        left = self._unary()
        while (found := _BINARY.get(self.next.text, 0)) >= level and self.next.kind in {"mark", "name"}:
            token = self._take()
            right = self._binary(found + 1)
            left = _joined(token, left, right)
        return left

    def _unary(self) -> Node:
        offset = self.next.offset
        for operator in ("!", "-"):
            if self.next.kind == "mark" and self._accept(operator):
                self._enter(offset)
                of = self._unary()
                self._nesting -= 1
                if operator == "-" and isinstance(of, Literal) and type(of.value) in {int, float}:
                    return Literal(offset, 1, -of.value)
                return Unary(offset, _deeper(offset, of), operator, of)
        return self._member(self._primary())

    def _member(self, node: Node) -> Node:
        while True:
            offset = self.next.offset
            if self._accept("."):
                offset = self.next.offset
                name = self._identifier()
                if self._accept("("):
                    node = _called(offset, name, node, self._list(")"))
                else:
                    node = Select(offset, _deeper(offset, node), node, name)
            elif self._accept("["):
                by = self._inner(offset)
                self._expect("]")
                node = Index(offset, _deeper(offset, node, by), node, by)
            else:
                return node

    def _inner(self, offset: int) -> Node:
        self._enter(offset)
        node = self.expression()
        self._nesting -= 1
        return node

    def _list(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._accept(closing):
            items.append(self._inner(self.next.offset))
            if not self._accept(","):
                self._expect(closing)
                break
        return tuple(items)

    def _primary(self) -> Node:
        token = self.next
        match token.kind, token.text:
            case "name", name if name in _LITERALS:
                self._take()
                return Literal(token.offset, 1, _LITERALS[name])
            case "name", name:
                if name in _RESERVED:
                    raise CelError(f"{name!r} is a reserved word", token.offset)
                name = self._identifier()
                if self._accept("("):
                    return _called(token.offset, name, None, self._list(")"))
                return Name(token.offset, 1, name)
            case (("int" | "float" | "text"), _):
                return Literal(token.offset, 1, _literal(self._take()))
            case "mark", "(":
                self._take()
                node = self._inner(token.offset)
                self._expect(")")
                return node
            case "mark", "[":
                self._take()
                items = self._list("]")
                return ListOf(token.offset, _deeper(token.offset, *items), items)
            case "mark", "{":
                self._take()
                return self._map(token.offset)
            case _:
                raise self.unexpected()

    def _map(self, offset: int) -> Node:
        items: list[tuple[Node, Node]] = []
        while not self._accept("}"):
            name = self._inner(self.next.offset)
            self._expect(":")
            items.append((name, self._inner(self.next.offset)))
            if not self._accept(","):
                self._expect("}")
                break
        return MapOf(offset, _deeper(offset, *(node for item in items for node in item)), tuple(items))


def _joined(token: _Token, left: Node, right: Node) -> Node:
    operator = token.text
    if operator in {"&&", "||"}:
        terms = (*left.terms, right) if isinstance(left, Logic) and left.operator == operator else (left, right)
        return Logic(token.offset, _deeper(token.offset, *terms), operator, terms)
    return Binary(token.offset, _deeper(token.offset, left, right), operator, left, right)


def _called(offset: int, name: str, of: Node | None, arguments: tuple[Node, ...]) -> Node:
    depth = _deeper(offset, *arguments, *([of] if of else []))
    if of is None and name == "has":
        if len(arguments) != 1 or not isinstance(arguments[0], Select):
            raise CelError("has() takes a field, such as has(data.name)", offset)
        return Has(offset, depth, arguments[0])
    if of is not None and len(arguments) in _MACROS.get(name, ()):
        variable = arguments[0]
        if not isinstance(variable, Name):
            raise CelError(f"the first argument of {name}() is a name for the element", variable.offset)
        return Macro(offset, depth, name, of, variable.name, arguments[1:])
    if isinstance(of, Name) and (of.name, name) == ("cel", "bind") and len(arguments) == 3:
        variable, value, body = arguments
        if not isinstance(variable, Name):
            raise CelError("the first argument of cel.bind() is a name for the second one", variable.offset)
        return Bind(offset, depth, variable.name, value, body)
    return Call(offset, depth, name, of, arguments)


def _deeper(offset: int, *nodes: Node) -> int:
    depth = 1 + max((node.depth for node in nodes), default=0)
    if depth > MAX_DEPTH:
        raise _too_deep(offset)
    return depth


def _too_deep(offset: int) -> CelError:
    return CelError(f"more than {MAX_DEPTH} things stand in each other", offset)


def _literal(token: _Token) -> Any:
    if token.kind == "int":
        value = int(token.text, 0) if token.text[:2] in {"0x", "0X"} else int(token.text)
        if value > 2**63:
            raise CelError("the number has more than 64 bits", token.offset)
        return value
    if token.kind == "float":
        return float(token.text)
    return _text(token)


def _text(token: _Token) -> str | bytes:
    start = min(token.text.find(quote) for quote in "'\"" if quote in token.text)
    prefix, quoted = token.text[:start].lower(), token.text[start:]
    width = 3 if len(quoted) >= 6 and quoted[:3] in {"'''", '"""'} else 1
    text = quoted[width:-width]
    if "r" not in prefix:
        text = _ESCAPE.sub(lambda match: _unescaped(match, token), text)
    return text.encode() if "b" in prefix else text


def _unescaped(match: re.Match[str], token: _Token) -> str:
    code = match[1]
    if code in _PLAIN_ESCAPES:
        return _PLAIN_ESCAPES[code]
    number = -1
    if code[0] in "xXuU" and len(code) > 1:
        number = int(code[1:], 16)
    elif len(code) == 3:
        number = int(code, 8)
    if not 0 <= number <= 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise CelError(f"\\{code} is no escape", token.offset)
    return chr(number)
