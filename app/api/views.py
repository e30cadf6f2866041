"""/api/v1/views: views of the pages of tables, saved under a name."""

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from app.api.answers import time_of
from app.api.base import Base
from app.api.parameters import Parameters
from app.api.problems import Fault, ProblemError
from app.api.requests import typed
from app.identity import Role
from app.views_store import (
    NoSuchViewError,
    NotYoursError,
    Page,
    SavedView,
    ViewConflictError,
    Viewer,
    ViewStore,
    ViewStoreError,
)

_JSON: Final = msgspec.json.Encoder()
_RULERS: Final = frozenset({Role.ADMIN})
LONGEST_QUERY: Final = 8_000
Name = Annotated[
    str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")
]
State = Annotated[
    str,
    Meta(max_length=LONGEST_QUERY, pattern=r"^[!-~]*$", description="The state of the page, as its address has it."),
]
Version = Annotated[int, Meta(ge=1, le=2**31 - 2, description="The newest that you have seen.")]


class ViewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new view."""

    page: Page
    name: Name
    query: State
    shared: Annotated[bool, Meta(description="Whether others may open it.")] = False


class ViewChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be another way from now on; the rest stays."""

    version: Version
    name: Name | UnsetType = UNSET
    query: State | UnsetType = UNSET
    shared: bool | UnsetType = UNSET


class ViewRemoval(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a view is to go."""

    version: Version


class ViewDefault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page opens with; null: as the desk shows it."""

    page: Page
    view: str | None = None


class ViewAnswer(Struct, frozen=True, kw_only=True):
    """A view as it is now."""

    id: str
    page: Page
    name: str
    owner: str
    mine: Annotated[bool, Meta(description="Whether it is yours to change.")]
    shared: bool
    query: str
    version: int
    created_at: dt.datetime
    updated_at: dt.datetime


class ViewList(Struct, frozen=True, kw_only=True):
    """Your own, and those that others share, by name."""

    views: list[ViewAnswer]
    default: Annotated[str | None, Meta(description="The id of the one that the page opens with for you.")]


class _Base(Base):
    """What they have in common."""

    for_clients = True  # who is kept to clients sees views of their own only

    @property
    def store(self) -> ViewStore:
        """Raises a 503 where there is none."""
        if self.context.views is None:
            raise ProblemError(503, "unavailable", "no views are kept here")
        return self.context.views

    @property
    def viewer(self) -> Viewer:
        who = self.identity
        return Viewer(user=who.user, rules=who.may(_RULERS), own_only=who.clients is not None)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Turns what the store raises into a `ProblemError`."""
        try:
            yield
        except NoSuchViewError as error:
            raise ProblemError(404, "not-found", str(error)) from error
        except NotYoursError as error:
            raise ProblemError(403, "forbidden", str(error)) from error
        except ViewConflictError as error:
            raise ProblemError(409, "conflict", str(error)) from error
        except ViewStoreError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error

    def refuse_sharing(self) -> None:
        """A view's conditions may name clients; who is kept to some shares nothing."""
        if self.identity.clients is not None:
            raise ProblemError(403, "forbidden", "who is kept to some clients shares no views")

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(_JSON.encode(value), status)

    def told(self, view: SavedView) -> ViewAnswer:
        return ViewAnswer(
            id=view.id,
            page=view.page,
            name=view.name,
            owner=view.owner,
            mine=view.owner == self.identity.user,
            shared=view.shared,
            query=view.query,
            version=view.version,
            created_at=time_of(view.created_ns),
            updated_at=time_of(view.updated_ns),
        )


class All(_Base):
    """/api/v1/views."""

    async def get(self) -> None:
        """Of one page."""
        self.checked_body()
        parameters = Parameters(self, ("page",))
        page = parameters.read("page", Page)
        parameters.check()
        if page is None:
            raise ProblemError(422, "invalid", "of which page", (Fault("Missing", parameter="page"),))
        with self.asking():
            views, default = await self.store.of(self.viewer, page)
        self.json(ViewList(views=[self.told(view) for view in views], default=default))

    async def post(self) -> None:
        """Save one under a new name: 201."""
        asked = typed(self.checked_body(), ViewRequest)
        if asked.shared:
            self.refuse_sharing()
        with self.asking():
            view = await self.store.add(
                self.viewer, asked.page, asked.name, asked.query, shared=asked.shared, now_ns=time.time_ns()
            )
        self.set_header("Location", f"/api/v1/views/{view.id}")
        self.json(self.told(view), 201)


class One(_Base):
    """/api/v1/views/{id}."""

    async def get(self, name: str) -> None:
        """One of them."""
        self.checked_body()
        with self.asking():
            view = await self.store.get(self.viewer, name)
        self.json(self.told(view))

    async def post(self, name: str) -> None:
        """Another state, name, or whether it is shared."""
        asked = typed(self.checked_body(), ViewChange)
        fields = ("name", "query", "shared")
        changed = {field: value for field in fields if (value := getattr(asked, field)) is not UNSET}
        if changed.get("shared"):
            self.refuse_sharing()
        with self.asking():
            view = await self.store.change(self.viewer, name, asked.version, time.time_ns(), **changed)
        self.json(self.told(view))


class Remove(_Base):
    """/api/v1/views/{id}/remove."""

    async def post(self, name: str) -> None:
        """It is no more."""
        asked = typed(self.checked_body(), ViewRemoval)
        with self.asking():
            await self.store.remove(self.viewer, name, asked.version)
        self.answer(b"{}")


class Default(_Base):
    """/api/v1/views/default."""

    async def post(self) -> None:
        """What a page opens with for who asks."""
        asked = typed(self.checked_body(), ViewDefault)
        with self.asking():
            await self.store.open_with(self.viewer, asked.page, asked.view)
        self.answer(b"{}")


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = (
    (r"/api/v1/views", All),
    (r"/api/v1/views/default", Default),
    (r"/api/v1/views/([^/]+)", One),
    (r"/api/v1/views/([^/]+)/remove", Remove),
)
