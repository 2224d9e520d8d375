"""What all commands have in common: three options, how they reach Luota, how they answer and fail."""

import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec
from urllib.parse import quote, urlencode

import typer

from luota.cli import client
from luota.config import Config, load
from luota.core.errors import Code, LuotaError, reworded
from luota.core.text import visible

P = ParamSpec("P")

# What click raises for a wrong command line. Newer versions of typer bring a click of their own.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class WrongOptionError(typer.BadParameter):
    """A command line that contradicts itself, or lacks something; `option` is to blame, with --json its `field`."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option_name = option


def among(words: Iterable[str]) -> Callable[[Any], Any]:
    """Return a callback that refuses, as wrong usage, what is none of `words`; of a list it lets an empty text pass."""
    known = tuple(words)

    def checked(given: Any) -> Any:
        for word in given if isinstance(given, list) else [given]:
            if word not in known and word is not None and not (word == "" and isinstance(given, list)):
                near = get_close_matches(word, known, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise typer.BadParameter(f"{word!r} is not one of {', '.join(known)}.{hint}")
        return given

    return checked


LONGEST_NAME = 200
"""No id and no name is longer; a much longer one would not fit into the line of a request."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The TOML file with settings (LUOTA_CONFIG).")
]
DataDir = Annotated[
    str | None,
    typer.Option("--data-dir", metavar="DIR", help="Where Luota keeps its data (LUOTA_DATA_DIR)."),
]


@dataclass
class Cli:
    """One invocation: its common options, the way to Luota and the way to print.

    `overrides` are the flags of single settings, by the setting's name.
    """

    as_json: bool
    config_file: Path | None
    overrides: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def config(self) -> Config:
        """The settings that hold; raises INVALID for the first that is wrong."""
        return load(self.config_file, os.environ, self.overrides)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        create: bool = False,
        options: Mapping[str, str] | None = None,
        only_running: bool = False,
    ) -> dict[str, Any]:
        """Return Luota's answer to one request, see `client.call`.

        `options` has the options whose names are not the API's, by the API's: a refusal then begins or ends with the
        option that was or is to be given, while its `field` stays the API's.
        """
        try:
            return client.call(
                self.config, method, path, body, headers=headers, create=create, only_running=only_running
            )
        except LuotaError as error:
            raise _with_option(error, options or {}) from None

    def answer(self, document: Mapping[str, Any], text: str) -> None:
        """Print the answer of the command: one line of JSON where asked for, else the text for people.

        What Luota warns of in the document is told to people on stderr.
        """
        print(json.dumps(document) if self.as_json else text)
        if "warning" in document and not self.as_json:
            sys.stdout.flush()  # the list comes first, or why it cannot be written
            print(f"warning: {document['warning']}", file=sys.stderr)


def _with_option(error: LuotaError, options: Mapping[str, str]) -> LuotaError:
    field = error.field or ""
    of, _, part = field.partition(".")
    given = options.get(field, options.get(of))
    message = reworded(error, {field: given} if given is not None and part.isdigit() else options)
    if given is not None and message == error.message:
        message += f" (option {given})"
    return LuotaError(error.code, message, field=error.field)


def api(*segments: str, **query: str | None) -> str:
    """Return the path of a resource of the API; a query value of None is left out.

    NOT_FOUND, with the resource as its field, for a segment that cannot name anything, such as an empty one. Bytes of
    the command line that are no UTF-8 are sent as they are, and the server finds nothing of that name.
    """
    for of, segment in zip(("", *segments), segments, strict=False):
        if segment in {"", ".", ".."}:
            raise LuotaError(Code.NOT_FOUND, f"{segment!r} is neither an id nor a name.", field=of.removesuffix("s"))
    for of, text in (*zip(("", *segments), segments, strict=False), *query.items()):
        if text is not None and len(text) > LONGEST_NAME:
            said = f"{text[:40]!r}… is neither an id nor a name: it has {len(text)} characters."
            raise LuotaError(Code.NOT_FOUND, said, field=of.removesuffix("s"))
    chosen = {key: value for key, value in query.items() if value is not None}
    given = urlencode(chosen, errors="surrogateescape")
    path = "/".join(["/api", *(quote(segment, safe="", errors="surrogateescape") for segment in segments)])
    return f"{path}?{given}" if given else path


def group(about: str) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(
        help=about,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def command(app: typer.Typer, name: str) -> Callable[[Callable[Concatenate[Cli, P], None]], None]:
    """Register a function as a command that takes the common options beside its own.

    A LuotaError ends it with exit status 1 and its message on stderr; with --json that is an object with
    `error` (the code), `message` and `field`, and stdout stays empty or whole JSON.
    """

    def register(function: Callable[Concatenate[Cli, P], None]) -> None:
        def run(*, as_json: bool, config_file: Path | None, data_dir: str | None, **options: Any) -> None:
            cli = Cli(as_json, config_file, {"data_dir": data_dir})
            try:
                function(cli, **options)  # type: ignore[call-arg]  # typer fills what the signature names
            except LuotaError as error:
                refuse([error], as_json=as_json)
                raise typer.Exit(1) from None

        own = list(inspect.signature(function).parameters.values())[1:]
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, default, kind in (
                ("as_json", False, AsJson),
                ("config_file", None, ConfigFile),
                ("data_dir", None, DataDir),
            )
        ]
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + common
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = function.__doc__
        first = " ".join((function.__doc__ or "").split()).partition(". ")[0].removesuffix(".")
        app.command(name, short_help=f"{first}.")(run)  # without it a list of commands cuts the sentence short

    return register


def refuse(errors: Sequence[LuotaError], *, as_json: bool) -> None:
    """Print on stderr why a command was refused: the first reason, and in `also` the others."""
    if as_json:
        first, *others = [{"error": e.code.value, "message": e.message, "field": e.field} for e in errors]
        print(json.dumps({**first, "also": others} if others else first), file=sys.stderr)
    else:
        # What was given may be repeated in it, and a terminal would act upon that.
        print("\n".join(f"error: {visible(error.message, lines=True)}" for error in errors), file=sys.stderr)


def _say_usage(error: Any, *, as_json: bool) -> None:
    """Print on stderr what is wrong with a command line, and where to look; for a group alone, what it has."""
    own = isinstance(error, WrongOptionError)
    message = error.message if own else error.format_message().replace(": Value error, ", ": ")  # typer's, of an Enum
    if as_json:
        option = getattr(error, "option_name", None) or getattr(getattr(error, "param", None), "opts", [None])[-1]
        print(json.dumps({"error": "usage", "message": message, "field": option}), file=sys.stderr)
    elif "\n" in message and not own:
        error.show()
    else:
        path = "luota" if error.ctx is None else error.ctx.command_path
        said = message if message.endswith((".", "?")) else f"{message}."
        print(f"error: {visible(said)} See: {path} --help", file=sys.stderr)


def run(app: typer.Typer, args: Sequence[str]) -> int:
    """Run the command that `args` name; return its exit status and end nothing with a traceback.

    2 for a command line that is wrong, said as other refusals are. What nobody foresaw is one line and 1; the
    variable LUOTA_DEBUG has its traceback printed.
    """
    own = args[: args.index("--")] if "--" in args else args
    as_json = "--json" in own
    try:
        status = app(args=list(args), prog_name="luota", standalone_mode=False)
        if sys.stdout is not None:  # as a shell's `>&-` has it
            sys.stdout.flush()
    except LuotaError as error:  # the output, which is whole only now
        refuse([error], as_json=as_json)
        return 1
    except _UsageError as error:
        _say_usage(error, as_json=as_json)
        return 2
    except typer.Abort:
        print("Aborted.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1  # the reader, such as `head`, has seen enough
    except Exception as error:  # noqa: BLE001 - the outermost of all handlers
        if os.environ.get("LUOTA_DEBUG"):
            traceback.print_exc()
        what = " ".join(str(error).split()) or type(error).__name__
        message = f"luota: internal error: {what}; run with LUOTA_DEBUG=1 for the traceback"
        shown = json.dumps({"error": "internal", "message": message, "field": None}) if as_json else message
        print(shown, file=sys.stderr)
        return 1
    return status if isinstance(status, int) else 0
