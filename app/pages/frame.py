"""What all pages have around them: the way to the other pages, and who is looking."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.pages import assets
from app.pages.logins import Login

PAGES: Final = (
    ("/overview", "Overview"),
    ("/inventory", "Inventory"),
    ("/positions", "Positions"),
    ("/locates", "Locates"),
    ("/limits", "Limits"),
    ("/breaks", "Breaks"),
    ("/rules", "Rules"),
    ("/history", "History"),
    ("/feeds", "Health"),
)
"""Address and name, in the order of the bar."""
OF_CLIENTS: Final = frozenset({"/overview", "/positions", "/locates", "/limits"})
"""Pages that have something for who is kept to some clients."""


_HERE: Final = "<!-- what the page is about -->\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """HTML of the two parts, ready to be put into a page's bar."""

    navigation: str
    account: str


@cache
def _environment() -> Environment:
    return Environment(
        autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(assets.FOLDER / "pages"), trim_blocks=True
    )


def render(template: str, **values: Any) -> str:
    """A template of assets/pages with everything that is put into it made harmless."""
    return _environment().get_template(template).render(**values)


def page_template(part: str) -> str:
    """Jinja text of a whole page for Panel: the document around every page, and in it what this one is about (`part`.html)."""
    around, own = ((assets.FOLDER / "pages" / f"{name}.html").read_text() for name in ("page", part))
    before, _, after = around.partition(_HERE)
    return before + own + after


def frame(here: str, login: Login) -> Frame:
    """Of the page with the address `here`, for somebody."""
    parts: Any = _environment().get_template("frame.html").module
    identity = login.identity
    roles = " ".join(sorted(role.value for role in identity.roles))
    pages = [(path, title) for path, title in PAGES if identity.clients is None or path in OF_CLIENTS]
    return Frame(
        navigation=str(parts.navigation(assets.address(), pages, here)),
        account=str(parts.account(identity.user, roles, login.open_mode)),
    )
