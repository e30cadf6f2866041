// Batch files: what came, how each fares, why one was refused, and taking its doubts on oneself.

import { make } from "../grid/dom.js";
import { confirm } from "../page/dialog.js";
import { keep } from "../page/keep.js";
import { link, LiveTable } from "../page/table.js";
import { state } from "./feeds_view.js";
import { ADDRESS } from "./state.js";
import { count, moment } from "./words.js";

const PAGE = 100;
const MOST = 1_000;
const HANDLERS = ["ops", "admin"];
const ENDED = ["loaded", "refused", "duplicate"];

export class FilesView {
  constructor(page) {
    this.page = page;
    this.limit = PAGE;
    this.list = this.#table();
    this.none = make("p", { class: "nothing" }, "No file has come. One is dropped into the folder drop/FEED of the data folder; ims files columns FEED says what it must look like.");
    this.more = make("button", { type: "button", onclick: () => this.#next() }, "Show more");
    this.count = make("span", { class: "sub" });
    this.force = make("button", { type: "button", class: "danger", onclick: () => this.#force() }, "Load it all the same…");
    this.report = make("div", { class: "raw", tabindex: 0, role: "region", "aria-label": "Report" });
    this.host = make("div", { class: "records", id: "files" }, make("div", { class: "tools" }, this.count, this.force),
      make("div", { class: "split" }, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Files" }, this.list.table, this.none, this.more), this.report));
  }

  #table() {
    const { page } = this;
    const some = (td, value, tone) => {
      td.className = `num ${value ? tone : "zero"}`;
      return value === null ? "" : count(value);
    };
    const columns = [
      { id: "name", title: "File", cell: (file, td) => (file.id ? link(td, { href: this.#address(file), text: file.name, title: `File ${file.id}` }) : file.name) },
      { id: "state", title: "State", cell: (file, td) => state(td, file) },
      { id: "feed", title: "Feed", cell: (file) => file.feed },
      { id: "taken", title: "Since, UTC", num: true, cell: (file) => moment(file.taken_at, page.now) },
      { id: "done", title: "Used", tip: "How much of it the engine has used", num: true, cell: (file, td) => progress(td, file) },
      { id: "rows", title: "Rows", tip: "Of the file; while it is checked, so far", num: true, cell: (file, td) => some(td, file.rows, "") },
      { id: "faults", title: "Wrong", tip: "Rows that cannot be used: none of the file is", num: true, cell: (file, td) => some(td, file.faults, "bad") },
      { id: "remarks", title: "Remarks", num: true, cell: (file, td) => some(td, file.remarks, "warn") },
      { id: "unknown", title: "Waiting", tip: "Records that name what is not known yet", num: true, cell: (file, td) => some(td, file.unknown, "warn") },
      { id: "aside", title: "Set aside", tip: "Records that the engine could not use: they are in the quarantine", num: true, cell: (file, td) => some(td, file.set_aside, "bad") },
      { id: "why", title: "Why", cell: (file, td) => { td.title = file.why; return file.why; } },
    ];
    const mark = (tr, file) => {
      tr.dataset.state = file.state;
      tr.classList.toggle("sel", String(file.id) === page.state.file);
    };
    return new LiveTable({ label: "Files", columns, key: (file) => file.id || `${file.feed}/${file.name}`, mark });
  }

  #address({ id }) {
    const { state: now } = this.page;
    return ADDRESS.of({ ...now, file: String(id) === now.file ? "" : String(id) });
  }

  /** Read the list anew, and the report that is open. */
  async load() {
    const { api, state: now } = this.page;
    const { files, waiting, next_cursor: older } = await api.files({ feed: now.feed, limit: this.limit });
    const dropped = waiting.filter(({ feed }) => !now.feed || feed === now.feed);
    const rows = [...dropped.map(({ feed, name, since, why }) => ({ id: 0, feed, name, why, state: "waiting", taken_at: since, rows: null, faults: null, remarks: null, unknown: null, set_aside: null })), ...files];
    this.list.show(rows);
    this.list.table.hidden = !rows.length;
    this.none.hidden = rows.length > 0;
    this.more.hidden = !older || this.limit >= MOST;
    this.count.textContent = `${count(files.length)}${older ? "+" : ""} file${files.length === 1 && !older ? "" : "s"}${now.feed ? ` of ${now.feed}` : ""}${dropped.length ? ` · ${count(dropped.length)} waiting` : ""}`;
    await this.#open(now.file);
  }

  async #open(id) {
    const told = id ? await Promise.all([this.page.api.file(id), this.page.api.fileText(id)]) : null;
    if (id !== this.page.state.file) return;
    this.#furnish(told?.[0] ?? null);
    this.report.hidden = !told;
    const key = JSON.stringify(told);
    if (key === this.told) return;
    this.told = key;
    if (!told) return this.report.replaceChildren();
    const [file, text] = told;
    const close = make("button", { type: "button", class: "plain", title: "Esc", onclick: () => this.escape() }, "Close ✕");
    const answers = file.answers ? [make("button", { type: "button", title: "What was answered to each row", onclick: () => this.#answers(file) }, "Answers (CSV)")] : [];
    return this.report.replaceChildren(make("header", {}, make("h3", {}, `${file.feed}/${file.name}`), make("span", { class: "acts" }, ...answers, close)), make("pre", {}, text));
  }

  #answers(file) {
    return this.page.attempt(async () => keep(await this.page.api.fileAnswers(file.id), file.answers.split("/").at(-1)));
  }

  /** Whether the file that is open may be forced, and why it may not. */
  #furnish(file) {
    this.file = file;
    const may = this.page.api.session.roles.some((role) => HANDLERS.includes(role));
    let why = "";
    if (!file) why = "Choose a file first";
    else if (!file.can_be_forced && file.state !== "duplicate") why = ENDED.includes(file.state) && file.state !== "loaded" ? "More than a doubt: mend it and drop it again" : "It is not refused";
    else if (!may) why = "Only ops or admin may do this";
    this.why = why;
    this.force.setAttribute("aria-disabled", String(Boolean(why)));
    this.force.title = why;
  }

  async #force() {
    const { file, page } = this;
    if (this.why) return page.say(this.why, "bad");
    const answer = await confirm({ title: `Load ${file.name} in spite of its doubts?`, body: file.why, yes: "Load it", comment: "required", danger: true });
    if (answer === null) return undefined;
    await page.attempt(async () => {
      await page.api.force(file.id, answer.comment);
      page.say(`${file.name} is checked again and loaded`, "good");
    });
    return page.show();
  }

  async #next() {
    this.limit = Math.min(MOST, this.limit + 3 * PAGE);
    await this.page.show();
  }

  /** Close the report; whether one was open. */
  escape() {
    const { file } = this.page.state;
    if (!file) return false;
    this.page.go({ file: "" });
    this.list.rows.get(file)?.tr.querySelector("a")?.focus();
    return true;
  }
}

function progress(td, file) {
  const running = file.state === "checking" || file.state === "loading";
  if (!running) return file.records ? count(file.applied) : "";
  let bar = td.querySelector("progress");
  if (!bar) {
    bar = make("progress", { "aria-label": `Progress of ${file.name}` });
    td.replaceChildren(bar);
  }
  bar.title = file.state === "checking" ? "Being checked" : `${count(file.applied)} of ${count(file.records)} records`;
  if (file.state === "loading" && file.records) Object.assign(bar, { max: file.records, value: file.applied });
  else bar.removeAttribute("value");
  return undefined;
}
