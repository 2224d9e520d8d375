"""The stylesheets and the pages agree."""

import re
from pathlib import Path

WEB = Path(__file__).parents[2] / "luota" / "web"
STYLES = "".join(path.read_text() for path in sorted((WEB / "static").glob("*.css")))
RULES = re.sub(r"/\*.*?\*/", "", STYLES, flags=re.DOTALL)
STYLED = {name for selector in re.findall(r"([^{}]+)\{", RULES) for name in re.findall(r"\.([a-z][\w-]*)", selector)}
SOURCES = [*WEB.glob("templates/*.html"), *WEB.glob("dashboard/*.py"), WEB / "static" / "luota.js"]
PAGES = "".join(path.read_text() for path in SOURCES)
WRITTEN = re.findall(r'class="((?:\{[{%].*?[%}]\}|[^"])*)"', PAGES)
INSERTED = r"[\w-]*\{[^}]*\}+[\w-]*"


def test_every_class_that_is_styled_is_one_of_a_page():
    names = " ".join(
        [*WRITTEN, *re.findall(r"block width %\}(\w+)", PAGES), *re.findall(r"""["']([\w-]+)["']""", PAGES)]
    )
    begun = tuple(re.findall(r"[\w-]+-(?=\{)", " ".join(WRITTEN)))
    unused = STYLED - set(re.findall(r"[\w-]+", names))
    assert {name for name in unused if not name.startswith(begun)} == set()


def test_every_class_of_a_page_is_styled():
    classes = {name for each in WRITTEN for name in re.sub(INSERTED, " ", each).split()}
    assert len(classes) > 100
    assert classes - STYLED == set()


def test_no_stylesheet_loads_anything():
    assert not re.search(r"@import|url\((?!\"#)", RULES)
