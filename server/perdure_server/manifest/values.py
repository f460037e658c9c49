"""Values of variables at deploy: what the environment says in place of `env` and `${NAME}`."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from perdure_server.core.errors import PerdureError, Problems
from perdure_server.manifest.variables import Unset, Variable, expand


def values_of(
    variables: Iterable[Variable], environment: Mapping[str, str], file: str, *, plain: bool = False
) -> dict[str, str]:
    """By name; a secret that has none yet is left out. `plain`: nothing is meant by `${NAME}`.

    Raises `Problems` (P0104: `env` is not set; P0108: `${NAME}` is not) with all that are missing.
    """
    values: dict[str, str] = {}
    missing: list[PerdureError] = []
    for variable in variables:
        try:
            value = variable.value if plain else _value(variable, environment)
        except Unset as unset:
            name = unset.args[0]
            missing.append(_missing(variable, "P0108", f"${{{name}}}", file, f"export {name}=..., or ${{{name}:-...}}"))
            continue
        if value is not None:
            values[variable.name] = value
        elif not variable.secret:
            help_ = f"export {variable.env}=..., or give it a `value`"
            missing.append(_missing(variable, "P0104", str(variable.env), file, help_))
    if missing:
        raise Problems(missing)
    return values


def unset_secrets(variables: Iterable[Variable], known: Container[str], file: str, project: str) -> list[PerdureError]:
    """P0104 for each secret that `env` should have given a value, and that is not among those that are `known`."""
    return [
        _missing(
            variable,
            "P0104",
            variable.env,
            file,
            f"export {variable.env}=... where the coordinator runs, or first: "
            f"perdure vars set {variable.name} --secret --project {project}",
        )
        for variable in variables
        if variable.secret and variable.env and variable.name not in known
    ]


def _value(variable: Variable, environment: Mapping[str, str]) -> str | None:
    given = environment.get(variable.env) if variable.env else None
    if given is not None or variable.value is None:
        return given
    return expand(variable.value, environment)


def _missing(variable: Variable, code: str, name: str, file: str, help: str) -> PerdureError:  # noqa: A002
    return PerdureError(
        code,
        f"variable {variable.name}: {name} is not set in the environment",
        help=help,
        file=file,
        line=variable.line or None,
        column=variable.column or None,
    )
