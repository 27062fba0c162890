"""Where the formatter puts blanks within a line.

Takes: the tree and the tokens of a file. Promises: `Spacing.between(left, right)`, the blank or nothing between two
neighbours of one statement; it depends on the tree alone. Powers stand close, products of short factors too, and a sum
of two short terms that is a factor: `b1*m + (1-b1)*g`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobspec.lang import tree
from jobspec.lang.source import Span
from jobspec.lang.tokens import Token

CLOSE_BEFORE = frozenset(["RPAR", "RSQB", "COMMA", "DOT", "RANGE", "COLON"])
CLOSE_AFTER = frozenset(["LPAR", "LSQB", "DOT", "RANGE"])
ENDS_VALUE = frozenset(["NAME", "RPAR", "RSQB", "NUMBER", "STRING", "HASH"])
SHORT = (tree.Num, tree.Str, tree.Hash, tree.Name, tree.AxisSize)


@dataclass
class Spacing:
    """`index`: which token starts at an offset; `short`: by id of a node, whether it is written without blanks;
    `tight`: offsets of tokens with no blank around them; `signs`: of minus signs, with none behind them.
    """

    index: dict[int, int]
    tokens: Sequence[Token]
    short: dict[int, bool] = field(default_factory=dict)
    tight: set[int] = field(default_factory=set)
    signs: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, job: tree.Job, tokens: Sequence[Token]) -> Spacing:
        spacing = cls({token.start: i for i, token in enumerate(tokens)}, tokens)
        for node in tree.walk(job):
            spacing.mark(node)
        return spacing

    def between(self, left: Token, right: Token) -> str:
        close = (
            left.kind in CLOSE_AFTER
            or (right.kind in CLOSE_BEFORE and (left.kind, right.kind) != ("COLON", "RANGE"))
            or (right.kind in ("LPAR", "LSQB") and left.kind in ENDS_VALUE)
            or not self.tight.isdisjoint((left.start, right.start))
            or left.start in self.signs
        )
        return "" if close else " "

    def mark(self, node: tree.Node) -> None:
        """Notes what this node says about the tokens at its top."""
        if isinstance(node, tree.Keyword) or (isinstance(node, tree.Param) and node.type is None and node.default):
            self.tighten_after(node.name)
        elif isinstance(node, tree.DimDef):
            self.tighten_after(node.axis)
        elif isinstance(node, tree.Call) and node.label:
            self.tighten_after(node.label)
        elif isinstance(node, tree.Remap) and len(node.old) == len(node.new) == 1:
            self.tighten_after(node.old[0])
        elif isinstance(node, tree.Neg):
            self.signs.add(node.span.start)
        self.is_short(node)

    def tighten_after(self, word: tree.Node) -> None:
        self.tight.add(self.tokens[self.index[word.span.start] + 1].start)

    def is_short(self, node: tree.Node) -> bool:
        """Whether the node is written without a blank; marks the operators that make it so."""
        if id(node) not in self.short:
            self.short[id(node)] = isinstance(node, SHORT) or self.is_short_compound(node)
        return self.short[id(node)]

    def is_short_compound(self, node: tree.Node) -> bool:
        match node:
            case tree.Neg(value=value) | tree.Field(value=value) | tree.Keyword(value=value):
                return self.is_short(value)
            case tree.Call(function=function, arguments=arguments, keywords=keywords):
                inside = (*arguments, *keywords)
                return len(inside) <= 1 and all(map(self.is_short, (function, *inside)))
            case tree.Bin():
                return self.is_short_operation(node)
        return False

    def is_short_operation(self, node: tree.Bin) -> bool:
        if node.op == "^":
            self.tight.add(node.op_span.start)
            return self.is_short_factor(node.left) & self.is_short_factor(node.right)
        return node.op not in "+-" and self.is_short_product(node)

    def is_short_product(self, node: tree.Bin) -> bool:
        """All of a chain of products looks alike; one with an `@` is never close."""
        chain = self.chain(node)
        factors = [chain[-1].left, *(link.right for link in chain)]
        each = [self.is_short_factor(factor) for factor in factors]
        short = all(each) and all(link.op != "@" for link in chain)
        for link in chain:
            self.short[id(link)] = short
            self.tight |= {link.op_span.start} if short else set()
        return short

    def chain(self, node: tree.Bin) -> list[tree.Bin]:
        """The products that this one goes on from, itself first."""
        links = [node]
        while isinstance(node.left, tree.Bin) and node.left.op in "*/%@" and not self.in_parentheses(node.left.span):
            node = node.left
            links.append(node)
        return links

    def in_parentheses(self, span: Span) -> bool:
        return self.tokens[self.index[span.start] - 1].kind == "LPAR" and self.token_after(span).kind == "RPAR"

    def token_after(self, span: Span) -> Token:
        at = self.index[span.start]
        while self.tokens[at].start < span.end:
            at += 1
        return self.tokens[at]

    def is_short_factor(self, node: tree.Expr) -> bool:
        """As a factor, a sum (in parentheses, then) of two short terms is close as well."""
        if not isinstance(node, tree.Bin) or node.op not in "+-":
            return self.is_short(node)
        short = self.is_short_term(node.left) and self.is_short_term(node.right)
        self.tight |= {node.op_span.start} if short else set()
        return short

    def is_short_term(self, node: tree.Expr) -> bool:
        power = isinstance(node, tree.Bin) and node.op == "^"
        return (power or isinstance(node, (*SHORT, tree.Field))) and self.is_short(node)
