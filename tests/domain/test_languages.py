import re

import pytest

from paysaga.domain.languages import LANGUAGE_PATTERN, Language, spoken


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        ("de", Language.DE),
        ("de-AT", Language.DE),
        ("DE-ch-1901", Language.DE),
        ("en-GB", Language.EN),
        ("fr", Language.EN),
        ("den", Language.EN),
        ("", Language.EN),
        (None, Language.EN),
    ],
)
def test_the_nearest_language_is_taken(wanted: str | None, written: Language) -> None:
    """The one that is wanted, else its base, else the shop's own."""
    assert written is spoken(wanted, Language.EN)


def test_the_shop_decides_for_all_others() -> None:
    """Whoever wants a language that there is not gets the shop's."""
    assert Language.DE is spoken("fr", Language.DE)


@pytest.mark.parametrize(
    ("tag", "good"),
    [("de", True), ("zh-Hant-TW", True), ("d", False), ("de_AT", False), ("de\n", False)],
)
def test_what_is_a_tag(tag: str, good: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A language tag is letters, digits and hyphens."""
    assert good is bool(re.fullmatch(LANGUAGE_PATTERN, tag))
