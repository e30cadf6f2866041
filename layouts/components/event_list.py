"""Events of a security or of one of its rows: the newest as the page server renews them, older ones from the archive."""

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from layouts.components.facts_style import FACTS

_ESM = """
const NUMBER = new Intl.NumberFormat("en-US", { maximumFractionDigits: 4 });
const words = (name) => name.replaceAll("_", " ").toLowerCase().replace(/^./, (letter) => letter.toUpperCase());
const clock = (text) => (text ? text.slice(0, 23).replace("T", " ").padEnd(23, "0").slice(5) : "");
const QUOTES = new Set(["PRICE", "CLOSE", "NAV", "INAV"]);
const FROM_MS = 31 * 86_400_000;

function texts(event) {
  const quote = QUOTES.has(event.op);
  const refused = event.outcome === "applied" ? "" : `: ${event.outcome}`;
  return [
    clock(event.time ?? event.at), clock(event.received), words(event.op) + (event.cancel ? " (cancel)" : "") + refused,
    NUMBER.format(quote ? event.quantity / 1e6 : event.quantity), event.book, quote ? "" : words(event.kind), event.depot,
    event.settle_date ?? "", event.source, String(event.seq), event.topic, String(event.partition), NUMBER.format(event.offset),
  ];
}

export function render({ model }) {
  const box = document.createElement("div");
  const note = document.createElement("p");
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const newest = table.createTBody();
  const older = table.createTBody();
  const foot = document.createElement("div");
  const more = document.createElement("button");
  const told = document.createElement("output");
  box.className = "facts";
  box.tabIndex = 0;
  more.type = "button";
  more.textContent = "Older, from the archive";
  told.setAttribute("role", "status");
  foot.append(more, told);
  box.append(note, table, foot);
  for (const [at, name] of model.titles.entries()) {
    const cell = document.createElement("th");
    cell.textContent = name;
    cell.className = model.sides[at];
    head.append(cell);
  }
  const put = (body, rows) => {
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((row, y) => {
      const line = body.rows[y] ?? body.insertRow();
      row.forEach((text, x) => {
        const cell = line.cells[x] ?? line.insertCell();
        if (cell.textContent !== text) cell.textContent = text;
        cell.className = model.sides[x] + (model.sides[x] === "r" && text.startsWith("-") ? " neg" : "");
      });
    });
  };
  let state = { cursor: "", rows: [], asked: "" };
  const forget = () => {
    const asked = JSON.stringify([model.code, model.row]);
    if (asked === state.asked) return;
    state = { cursor: "", rows: [], asked };
    put(older, []);
    more.hidden = false;
    told.textContent = "";
  };
  const show = () => {
    forget();
    put(newest, model.rows);
    note.textContent = model.note;
    note.hidden = !model.note;
    box.dataset.rows = model.rows.length;
  };
  const page = async (mine) => {
    const session = await fetch("/token", { cache: "no-store" });
    if (!session.ok) throw new Error("the page server does not answer");
    const { token } = await session.json();
    const now = Date.now();
    const ends = { from: new Date(now - FROM_MS).toISOString(), to: new Date(now).toISOString() };
    const asked = new URLSearchParams({ ...ends, limit: "100" });
    for (const [name, value] of Object.entries(model.row)) if (value) asked.set(name, value);
    if (mine.cursor) asked.set("cursor", mine.cursor);
    const address = `/api/v1/events/${encodeURIComponent(model.code)}?${asked}`;
    const answer = await fetch(address, { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.detail || body.title || `status ${answer.status}`);
    return body;
  };
  const read = async () => {
    const mine = state;
    const began = performance.now();
    more.disabled = true;
    const tick = () => (told.textContent = `Reading the archive… ${Math.round((performance.now() - began) / 1000)} s`);
    const ticking = setInterval(tick, 250);
    tick();
    try {
      for (let added = 0; added === 0 && mine.cursor !== null && mine === state; ) {
        const body = await page(mine);
        if (mine !== state) return;
        const known = new Set(model.keys);
        const fresh = body.events.filter(({ source, seq }) => !known.has(`${source} ${seq}`));
        mine.rows.push(...fresh.map(texts));
        mine.cursor = body.next_cursor;
        mine.until = body.searched_from;
        added = fresh.length;
        told.textContent = `Looked through everything back to ${clock(body.searched_from)} UTC`;
      }
      put(older, mine.rows);
      more.hidden = mine.cursor === null;
      const end = mine.rows.length ? "That is all" : "There is nothing older";
      if (mine.cursor === null) told.textContent = `${end} in the archive, back to ${clock(mine.until)} UTC`;
    } catch (error) {
      told.textContent = `Older events cannot be shown: ${error.message}`;
    } finally {
      clearInterval(ticking);
      more.disabled = false;
      box.dataset.older = mine.rows.length;
    }
  };
  more.addEventListener("click", read);
  for (const name of ["rows", "note", "code", "row"]) model.on(name, show);
  show();
  return box;
}
"""

_STYLE = """
tbody + tbody { border-top: 1px solid var(--line); }
.facts > div { display: flex; align-items: center; gap: 8px; padding: 4px 6px; color: var(--muted); }
.facts > div { font: 11px/15px var(--font); }
button { height: 24px; padding: 0 8px; border: 1px solid var(--line); border-radius: 3px; background: var(--panel); }
button { color: var(--text); font: inherit; cursor: pointer; }
button:hover:enabled { background: var(--hover); }
button:disabled { color: var(--faint); cursor: progress; }
"""


class EventList(JSComponent):
    """`titles`, `sides`, `note`: as of a `FactTable`; `rows`: of the newest events, `keys`: "source seq" of each.

    `code`: of the security; `row`: book, kind and depot of the row whose events they are, {} for all.
    """

    titles = param.List(item_type=str)
    sides = param.List(item_type=str)
    rows = param.List(item_type=list)
    keys = param.List(item_type=str)
    note = param.String(default="")
    code = param.String(default="")
    row = param.Dict(default={})

    _esm: ClassVar[str] = _ESM
    _stylesheets: ClassVar[list[str]] = [FACTS, _STYLE]

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]

    def put(
        self, rows: list[list[str]], keys: list[str], code: str, row: tuple[str, str, str] | None, note: str
    ) -> None:
        """Show these; only what differs is sent."""
        of = {} if row is None else dict(zip(("book", "kind", "depot"), row, strict=True))
        for name, value in (("code", code), ("row", of), ("keys", keys), ("note", note), ("rows", rows)):
            if getattr(self, name) != value:
                setattr(self, name, value)
