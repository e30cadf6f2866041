"""Fixtures of tests in a browser: one page server for all pages of text and tables, and everybody's login."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from app.bench import running, services
from app.settings import Settings
from app.users_store import FILE, Users
from tests.e2e import desk_page as pages
from tests.e2e.desk_page import DeskPage, desk_page
from tests.e2e.page_server import KEPT, PASSWORD, PEOPLE, page_server, sign_in
from tests.e2e.scripted_api import Script, serving


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with running.browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running page server that knows `PEOPLE`; its API is the test's."""
    folder, port = tmp_path_factory.mktemp("data"), services.free_port()
    users = Users(folder / FILE)
    for name, roles in PEOPLE.items():
        users.add(name, PASSWORD, roles, KEPT.get(name))
    users.close()
    made = Settings(instance=f"pages-{port}", port=port, data=str(folder))
    with page_server(made):
        yield made


@pytest.fixture(scope="session")
def cookies() -> dict[str, Any]:
    """Everybody's login, made by hand when it is first needed."""
    return {}


@pytest.fixture
def person(
    browser: Browser, settings: Settings, cookies: dict[str, Any], page_path: str
) -> Iterator[Callable[..., DeskPage]]:
    """Opens the test's page as somebody: `person("maker", "?document=tw")`. A test module says which page: `page_path`."""
    address = f"http://127.0.0.1:{settings.port}{page_path}"
    with contextlib.ExitStack() as stack:

        def opened(name: str, query: str = "", **options: Any) -> DeskPage:
            desk = stack.enter_context(desk_page(browser, **options))
            if name in cookies:
                desk.page.context.add_cookies(cookies[name])
                return desk.open(address + query)
            desk.open(address + query)
            sign_in(desk.page, name)
            cookies[name] = desk.page.context.cookies()
            desk.errors.clear()
            return desk

        yield opened


@pytest.fixture(scope="session")
def keep_picture() -> Callable[[Page, str], Path]:
    """`keep_picture(page, "overview-stale")`: a screenshot in the folder that IMS_TEST_SCREENSHOTS names; its path."""
    return pages.keep_picture


@pytest.fixture
def api(settings: Settings, script: Script) -> Iterator[Script]:
    """The test module's `script`, served."""
    with serving(settings, script):
        yield script
