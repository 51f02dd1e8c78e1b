"""Plain Python functions to compiled ones, whose numbers are NumPy's: floats of 32 bits, each operation rounded once.

A user writes ``total + value * n_bases`` and runs it in Python, where ``value`` is a ``numpy.float32`` and ``n_bases``
an ``int``: NumPy calculates in float32 (NEP 50: Python's numbers adapt). Numba would take 64 bits, which GPUs are slow
at, and the GPU's assembler would fuse product and sum, which then differs from the CPU in the last place. So before
Numba sees a function

- its operators become those of ``numbers`` (``plus``, ``times``, ``less`` ...), in its syntax tree;
- its floats, written out or global, become float32;
- the plain functions that it calls are treated likewise.

Whole numbers are exact, as Python's (64 bits). Who wants float64 writes ``numpy.float64(...)``: it stays.
"""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import linecache
import logging
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, TypeGuard

import numpy as np

from ..errors import ConfigError
from . import numbers
from .jit import njit

logger = logging.getLogger(__name__)

_FUTURE = __future__.annotations.compiler_flag
_PREFIX = "__numbers_"  # of the names under which a function finds the operators
_OPERATORS = {ast.Add: "plus", ast.Sub: "minus", ast.Mult: "times", ast.Div: "divided_by"}
_COMPARISONS = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
_EXTREMES = {"min": "smaller", "max": "larger"}
_OF_FLOATS = frozenset(
    (
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh"),
        *("erf", "erfc", "exp", "expm1", "hypot", "log", "log10", "log1p", "log2", "pow", "sqrt"),
    )
)
"""Functions of ``math`` whose arguments are floats: of whole numbers Numba would calculate them in float64."""


def runs_as(compiled: Any) -> Any:
    """Decorate a plain function with what takes its place in compiled code."""

    def mark(function: Any) -> Any:
        function.__compiled__ = compiled
        return function

    return mark


@functools.lru_cache(maxsize=512)
def compile_function(function: Any) -> Any:
    """The function as Numba compiles it, for the CPU and, called in a CUDA kernel, for the GPU.

    Parameters
    ----------
    function
        A plain function of numbers and tuples; what ``numba.njit`` made is returned as it is.

    Returns
    -------
    Dispatcher
        What ``numba.njit`` makes. Nothing is compiled yet.

    Examples
    --------
    >>> def weighted(value, n_bases):
    ...     return value * n_bases + 0.5
    >>> compile_function(weighted)(np.float32(2), 3)
    6.5
    """
    if not isinstance(function, FunctionType):
        return function
    if hasattr(function, "__compiled__"):
        return function.__compiled__
    return njit(nogil=True, error_model="numpy")(_rewritten(function))


def _rewritten(function: FunctionType) -> FunctionType:
    """A copy of the function with the operators and floats of the module's docstring."""
    definition = find_definition(function)
    code = function.__code__
    if definition is None:
        logger.warning(
            "Python has no source of %s (%s): its arithmetic is compiled as Numba does it, in 64 bits. Define it in a "
            "file or a notebook's cell.", function.__qualname__, code.co_filename,
        )  # fmt: skip
    else:
        code = _compile_definition(_Rewriter(function).visit(definition), code)
    code = code.replace(co_consts=tuple(map(_small, code.co_consts)), co_qualname=function.__code__.co_qualname)
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    closure = tuple(CellType(_small(cells[name].cell_contents)) for name in code.co_freevars)
    rewritten = FunctionType(code, _small_globals(function, code), function.__name__, None, closure)
    functools.update_wrapper(rewritten, function, updated=())
    del rewritten.__wrapped__  # type: ignore[attr-defined]
    rewritten.__defaults__ = None if function.__defaults__ is None else tuple(map(_small, function.__defaults__))
    rewritten.is_treated = definition is not None  # type: ignore[attr-defined]
    return rewritten


def _small(value: Any) -> Any:
    """A constant or global as compiled code gets it: floats as float32, plain functions compiled."""
    if type(value) is float:
        return np.float32(value)
    if type(value) is tuple:
        return tuple(map(_small, value))
    return compile_function(value) if isinstance(value, FunctionType) else value


def _small_globals(function: FunctionType, code: CodeType) -> dict[str, Any]:
    """The globals that the code names."""
    found = {name: _small(function.__globals__[name]) for name in code.co_names if name in function.__globals__}
    own = (name for name in code.co_names if name.startswith(_PREFIX))
    operators = {name: getattr(numbers, name.removeprefix(_PREFIX)) for name in own}
    builtin = {"float": np.float32} if "float" not in function.__globals__ else {}
    constants = {
        name: np.float32(value)
        for name, value in (_attribute(function, name) for name in code.co_names)
        if value is not None
    }
    return builtin | found | operators | constants


def _attribute(function: FunctionType, name: str) -> tuple[str, float | None]:
    """The float that a name made of ``module.attribute`` stands for; None for another name."""
    module, dot, attribute = name.partition(".")
    return name, getattr(function.__globals__.get(module), attribute) if dot else None


class _Rewriter(ast.NodeTransformer):
    """Operators to calls, floats of modules (``math.pi``) to globals of that name."""

    def __init__(self, function: FunctionType) -> None:
        self._globals = function.__globals__

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if type(node.op) in _OPERATORS:
            return _call(_OPERATORS[type(node.op)], node, node.left, node.right)
        if isinstance(node.op, ast.Pow) and not isinstance(node.left, ast.Constant):
            node.left = _call("as_float", node.left, node.left)
            if not isinstance(node.right, ast.Constant):
                node.right = _call("as_float", node.right, node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            return self.generic_visit(node)  # type: ignore[return-value]
        old = ast.copy_location(ast.Name(node.target.id, ast.Load()), node)
        value = ast.copy_location(ast.BinOp(old, node.op, node.value), node)
        return ast.copy_location(ast.Assign([node.target], self.visit(value)), node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS and not _is_none(node.comparators[0]):
            return _call(_COMPARISONS[type(node.ops[0])], node, node.left, node.comparators[0])
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _EXTREMES and name not in self._globals and len(node.args) > 1:
            return functools.reduce(lambda left, right: _call(_EXTREMES[name], node, left, right), node.args)
        if (
            isinstance(node.func, ast.Attribute)
            and self._module(node.func.value) is math
            and node.func.attr in _OF_FLOATS
        ):
            node.args = [_call("as_float", argument, argument) for argument in node.args]
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        module = self._module(node.value)
        if module is not None and type(getattr(module, node.attr, None)) is float:
            assert isinstance(node.value, ast.Name)
            return ast.copy_location(ast.Name(f"{node.value.id}.{node.attr}", ast.Load()), node)
        return node

    def _module(self, node: ast.expr) -> ModuleType | None:
        value = self._globals.get(node.id) if isinstance(node, ast.Name) else None
        return value if isinstance(value, ModuleType) else None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _call(operator: str, place: ast.AST, *arguments: ast.expr) -> ast.Call:
    """A call of an operator of ``numbers``, at the place of another node."""
    call = ast.Call(ast.Name(_PREFIX + operator, ast.Load()), list(arguments), [])
    return ast.fix_missing_locations(ast.copy_location(call, place))


def find_definition(function: FunctionType) -> ast.FunctionDef | ast.Lambda | None:
    """The syntax tree of a function, for the caller to keep; None where Python has no source of it, or another one."""
    code = function.__code__
    if not code.co_filename.startswith("<"):
        linecache.checkcache(code.co_filename)
    source = "".join(linecache.getlines(code.co_filename, function.__globals__))
    try:
        tree, codes = _parse(source, code.co_filename, code.co_flags & _FUTURE)
    except (SyntaxError, ValueError):
        return None
    if code not in codes:
        return None  # the file has changed since it was imported
    found = [node for node in ast.walk(tree) if _defines(node, code)]  # from the outside in
    return copy.deepcopy(found[-1]) if found else None


@functools.lru_cache(maxsize=8)
def _parse(source: str, filename: str, flags: int) -> tuple[ast.Module, frozenset[CodeType]]:
    """The syntax tree of a source, and the code of all functions in it."""
    tree = ast.parse(source)
    return tree, frozenset(_nested(compile(source, filename, "exec", flags, dont_inherit=True)))


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _defines(node: ast.AST, code: CodeType) -> TypeGuard[ast.FunctionDef | ast.Lambda]:
    if isinstance(node, ast.FunctionDef):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return (node.name, first) == (code.co_name, code.co_firstlineno)
    if isinstance(node, ast.Lambda) and code.co_name == "<lambda>":  # several may be in a line
        start, end = (node.body.lineno, node.body.col_offset), (node.body.end_lineno, node.body.end_col_offset)
        places = [place for place in code.co_positions() if place[3]]  # what the compiler added has no width
        return all(start <= (line, first) and (last_line, last) <= end for line, last_line, first, last in places)
    return False


def _compile_definition(node: ast.FunctionDef | ast.Lambda, code: CodeType) -> CodeType:
    """The code of a definition, taken out of its surroundings; ``code`` tells which names are of an outer function."""
    if isinstance(node, ast.FunctionDef):
        names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
        statement = _function(node, node.name, names, node.body)
    else:
        statement = ast.copy_location(ast.Expr(node), node)
    if code.co_freevars:
        statement = _function(node, "outer", code.co_freevars, [statement])
    module = ast.fix_missing_locations(ast.Module([statement], []))
    compiled = compile(module, code.co_filename, "exec", dont_inherit=True)
    for _ in range(2 if code.co_freevars else 1):
        compiled = next(constant for constant in compiled.co_consts if isinstance(constant, CodeType))
    return compiled


def _function(place: ast.AST, name: str, arguments: Iterable[str], body: list[ast.stmt]) -> ast.stmt:
    """A function definition without decorators, annotations and default values, which are kept elsewhere."""
    names = [ast.copy_location(ast.arg(argument), place) for argument in arguments]
    plain = ast.arguments(posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[])
    definition = ast.FunctionDef(name=name, args=plain, body=body, decorator_list=[])
    definition.type_params = []  # type: ignore[attr-defined]  # from Python 3.12 on
    return ast.copy_location(definition, place)


def compile_as(function: Any, signature: tuple[Any, ...], *, what: str, argument: str, value: Any) -> None:
    """Compile for the CPU what ``numba.njit`` made, to see that it can be.

    Parameters
    ----------
    function
        With a user's function in it.
    signature
        Numba's types of its arguments.
    what, argument, value
        For the error: what it is to the user, the argument that it came as, and itself.

    Raises
    ------
    ConfigError
        With what Numba has to say.
    """
    try:
        function.compile(signature)
    except Exception as error:  # compilers end in errors of many kinds
        message = (
            f"{what} cannot be compiled: {explain_error(error)}. It may use numbers, tuples, `if`, loops, `math`, and "
            "plain functions of the same kind."
        )
        raise ConfigError(message, argument=argument, value=value) from error


def is_typed_in(function: Any) -> bool:
    """Whether a plain function comes from a prompt, a notebook or a doctest, not from a file."""
    return isinstance(function, FunctionType) and function.__code__.co_filename.startswith("<")


def has_source(function: Any) -> bool:
    """Whether the function's operators are those of ``numbers``; also true of what is not for us to treat."""
    return bool(getattr(getattr(compile_function(function), "py_func", None), "is_treated", True))


def explain_error(error: BaseException) -> str:
    """What Numba has against a function, and in which line of it: the two of its many lines that help.

    Examples
    --------
    >>> def wrong(value):
    ...     return value + "a"
    >>> try:
    ...     compile_function(wrong)(np.float32(1))
    ... except Exception as error:
    ...     print(explain_error(error))
    expected numbers, not float32 and unicode_type (line 2 of <doctest ...>: `return value + "a"`)
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)) or type(error).__name__
    told = re.search(r"TypingError: (.*)", text)
    lines = [line.strip() for line in text.splitlines() if not line.startswith("Failed in")]
    words = told[1] if told else next(filter(None, lines), text)
    words = words.split(": %")[0].split(" Raised from")[0].rstrip(". ")  # what follows is LLVM's
    places = re.findall(r"(?:at|[Rr]aised from) (\S+|<.*?>) \((\d+)\)", text)
    own = [place for place in places if Path(place[0]).parent != Path(__file__).parent]
    if not own:
        return words
    filename, line = own[0][0], int(own[0][1])
    return f"{words} (line {line} of {filename}: `{linecache.getline(filename, line).strip()}`)"
