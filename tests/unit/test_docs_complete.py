"""What users can name is documented."""

from pathlib import Path

import perdure
import pytest
from perdure_server.core.errors import CATALOGUE, explain

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize("name", sorted(set(perdure.__all__) - {"__version__"}))
def test_every_name_of_the_sdk_is_in_its_reference_and_has_a_docstring(name):
    assert f"`{name}" in (DOCS / "reference/sdk.md").read_text()
    assert getattr(perdure, name).__doc__


def test_every_code_of_an_error_class_can_be_explained():
    public = [getattr(perdure, name) for name in perdure.__all__]
    codes = {e.code for e in public if isinstance(e, type) and issubclass(e, perdure.Error) and e.code}
    assert "P0401" in codes
    assert codes <= set(CATALOGUE)
    assert all(explain(code) for code in codes)
