"""The extensions of CEL that AutoKitteh's filters have: a module for each.

AutoKitteh (sdk/sdktypes/event.go, `eventFilterEnv`) enables of cel-go 0.25.0 `ext.Strings`, `Encoders`, `Math`,
`Lists`, `Sets` and `Bindings`, each in its latest version. They mean the same here, errors included, but that unsigned
numbers are ints. `cel.bind` and `sortBy` are macros: see `syntax` and `macros`.
Source: https://github.com/google/cel-go/tree/v0.25.0/ext
"""

from typing import Final

from perdure_server.core.cel.calls import Function
from perdure_server.core.cel.extensions import encoders, lists, mathematics, sets, strings

EXTENSION_FUNCTIONS: Final[dict[str, Function]] = {
    **strings.FUNCTIONS,
    **encoders.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **lists.FUNCTIONS,
    **sets.FUNCTIONS,
}
EXTENSION_METHODS: Final[dict[str, Function]] = {**strings.METHODS, **lists.METHODS}
