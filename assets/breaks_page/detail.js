// One break in depth: what hangs on it, what may have caused it, both sides, and what people did about it.

import { make } from "../grid/dom.js";
import { picked } from "../page/picked.js";
import { ApiError } from "../page/rest.js";
import { moment, shares, words } from "../page/words.js";
import { decide, refusal, STEPS, take, undo } from "./actions.js";
import { sidesOf } from "./sides.js";
import { ACTIONS, cause, days, groupName, kind, money, quantity, severity, signed } from "./words.js";

const HINT = "Choose a break: what hangs on it, both sides, its likely causes and its history are shown here.";
const SIDES_POLLS = 10;
const MORE = ["acknowledge", "assign", "comment", "group", "ungroup", "hold", "return", "adjust"];

export class Detail {
  constructor(page) {
    this.page = page;
    this.host = page.parts.one;
    this.#forget("");
  }

  async load(newest) {
    const { page } = this;
    const { id } = page.state;
    if (id !== this.id) this.#forget(id);
    this.page.parts.root.classList.toggle("opened", Boolean(id));
    if (!id) return this.#say(HINT, "hint");
    try {
      const one = await page.api.one(id);
      const stamp = `${one.revision} ${one.last_changed_at}`;
      const anew = !this.sides || stamp !== this.stamp || page.polls % SIDES_POLLS === 0;
      const sides = anew ? await page.api.sides(id).catch((error) => (error instanceof ApiError && error.status === 404 ? null : Promise.reject(error))) : this.sides;
      if (newest()) Object.assign(this, { one, sides, stamp });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      if (newest()) return this.#say(`There is no break ${id}.`, "missing");
    }
    return newest() && this.#show();
  }

  #forget(id) {
    const before = this.one?.security ?? "";
    Object.assign(this, { id, one: null, sides: null, stamp: "", told: {}, cards: {} });
    this.host.replaceChildren();
    if (id) this.#say("Reading it…", "hint");
    else if (before) picked("");
  }

  #say(text, why) {
    if (this.told.said === text) return;
    this.told = { said: text };
    this.host.replaceChildren(make("p", { class: "nothing", role: "status", "data-kind": why }, text));
  }

  #show() {
    const { one, sides, page } = this;
    if (!this.told.shown) {
      this.header = make("header");
      this.body = make("div", { class: "cards scroll", role: "region", "aria-label": `Break ${one.id}`, tabindex: 0 });
      this.host.replaceChildren(this.header, this.body);
      this.told = { shown: true };
      this.cards = {};
      picked(one.security);
    }
    this.#put("header", this.header, [one, page.api.session.roles], () => this.#header(one));
    this.#card("does", "What hangs on it", [one.sellable, one.lendable, one.located, one.held, one.locates, one.limits], () => does(one));
    this.#card("causes", `Likely causes`, [one.causes, one.explained, one.unexplained, one.match, one.match_members], () => this.#causes(one));
    this.#card("sides wide", "Both sides", [one.id, sides, one.causes], () => sidesOf(one, sides, page.now));
    if (one.adjustments.length) this.#card("adjustments wide", "Adjustments", one.adjustments, () => this.#adjustments(one.adjustments));
    else this.#drop("adjustments wide");
    this.#card("history wide", "History and comments", [one.history, one.comments], () => this.#history(one));
  }

  #put(name, host, told, content) {
    const text = JSON.stringify(told);
    if (this.told[name] === text) return;
    this.told[name] = text;
    const held = host.contains(document.activeElement) ? document.activeElement.dataset.do : null;
    host.replaceChildren(...[content()].flat());
    if (held) host.querySelector(`[data-do="${held}"]`)?.focus();
  }

  #card(name, title, told, content) {
    let card = this.cards[name];
    if (!card) {
      card = this.cards[name] = make("section", { class: `card ${name}`, "aria-label": title });
      const order = ["does", "causes", "sides wide", "adjustments wide", "history wide"];
      const next = order.slice(order.indexOf(name) + 1).map((each) => this.cards[each]).find(Boolean);
      this.body.insertBefore(card, next ?? null);
    }
    this.#put(name, card, told, () => [make("h3", {}, title), ...[content()].flat()]);
  }

  #drop(name) {
    this.cards[name]?.remove();
    delete this.cards[name];
    delete this.told[name];
  }

  #header(one) {
    const { page } = this;
    const button = (step) => {
      const why = refusal(page, step, [one]);
      return make("button", { type: "button", "data-do": step, class: STEPS[step].danger ? "danger" : "", "aria-disabled": String(Boolean(why)), title: why || `Key: ${STEPS[step].key}`, onclick: () => take(page, step, [one]) }, STEPS[step].name);
    };
    const fact = (name, value, tone = "") => (value ? [make("dt", {}, name), make("dd", { class: tone }, value)] : []);
    const security = one.security && make("a", { href: `/inventory?sec=${encodeURIComponent(one.security)}`, title: one.name }, one.security);
    const facts = make("dl", { class: "facts" },
      ...fact("Kind", kind(one.kind)), ...fact("Severity", severity(one.severity), `sev ${one.severity}`), ...fact("State", one.state, `state ${one.state}`), ...fact("Difference", quantity(one)),
      ...fact("Value", one.value === null ? "" : money(one.value)), ...fact("Security", security), ...fact("Name", one.name), ...fact("Market", one.market), ...fact("Depot", one.depot), ...fact("Book", one.book), ...fact("Client", one.client),
      ...fact("Unit", one.aggregation_unit), ...fact("Counterparty", one.counterparty), ...fact("Contract", one.contract), ...fact("Number", one.number && words(one.number)), ...fact("Feed", one.feed), ...fact("Topic", one.topic), ...fact("Source", one.source), ...fact("Reason", one.reason),
      ...fact("Tolerance", one.tolerance ? shares(one.tolerance) : ""), ...fact("Value date", one.value_date), ...fact("First seen", moment(one.first_seen_at, page.now)), ...fact("Age", days(one.age_days)), ...fact("Owner", one.owner || "nobody"), ...fact("Group", one.group && groupName(one)),
      ...fact("Kept out", one.held ? `${shares(one.held)} shares` : "", "warn"));
    const close = make("a", { class: "step close", href: page.address.of({ ...page.state, id: "" }), title: "Key: Esc", "aria-label": "Close this break" }, "✕");
    return [make("h2", {}, one.title, make("small", {}, ` ${one.id}`)), close, facts, make("div", { class: "tools", role: "toolbar", "aria-label": "What to do with it" }, ...MORE.map(button))];
  }

  #causes(one) {
    const { page } = this;
    const sum = make("p", { class: "split" }, make("b", { class: one.explained ? "good" : "zero" }, `${shares(one.explained)} explained`), " of ", shares(Math.abs(one.quantity ?? 0)), ", ", make("b", { class: one.unexplained ? "bad" : "good" }, `${shares(one.unexplained)} unexplained`));
    const bar = make("progress", { max: Math.max(1, Math.abs(one.quantity ?? 0)), value: Math.min(one.explained ?? 0, Math.abs(one.quantity ?? 0)), "aria-label": "Explained part of the difference" });
    const other = (id) => make("a", { class: "step", href: page.address.of({ ...page.state, id }) }, id);
    const rows = one.causes.map((each) => line(each, other));
    const found = rows.length ? make("ul", { class: "cause-list" }, ...rows) : make("p", { class: "sub" }, "None was found. What is unexplained needs a person.");
    if (!one.match) return [sum, bar, found];
    const members = (one.match_members ?? []).filter((id) => id !== one.id);
    const button = make("button", { type: "button", "data-do": "undo", class: "danger", onclick: () => undo(page, { id: one.match, ids: one.match_members ?? [one.id] }) }, "Undo the match…");
    return [sum, bar, found, make("p", { class: "tools" }, make("span", {}, `Matched in ${one.match}`, ...(members.length ? [" with ", ...members.flatMap((id, at) => [at ? ", " : "", other(id)])] : [])), button)];
  }

  #adjustments(adjustments) {
    const { page } = this;
    const why = page.may("ops", "admin") ? "" : "Only ops or admin may do this";
    const buttons = (each) => {
      if (each.state !== "pending") return [];
      const mine = each.asked_by === page.me;
      const button = (step, title, refused) => make("button", { type: "button", "data-do": `${step}-${each.id}`, class: step === "approve" ? "" : "danger", "aria-disabled": String(Boolean(refused)), title: refused, onclick: () => (refused ? page.say(refused, "bad") : decide(page, step, each)) }, title);
      return [button("approve", "Approve…", why || (mine ? "Another person approves it" : "")), mine ? button("withdraw", "Withdraw…", why) : button("reject", "Reject…", why)];
    };
    return make("table", { "aria-label": "Adjustments" }, make("tbody", {}, ...adjustments.map((each) => make("tr", {}, make("th", { scope: "row" }, each.id), make("td", { class: `state ${each.state}` }, each.state), make("td", { class: "num" }, signed(each.quantity)),
      make("td", {}, [each.book, each.position_type, each.depot].filter(Boolean).join(" · ")), make("td", {}, `${each.asked_by} ${moment(each.asked_at, page.now)}`), make("td", { class: "wrap" }, [each.comment, each.decision_comment, each.problem].filter(Boolean).join(" — ")), make("td", { class: "tools" }, ...buttons(each))))));
  }

  #history({ history, comments }) {
    const said = new Set(comments.map(({ at, text }) => `${at} ${text}`));
    const steps = [...history].reverse().map((each) => make("li", { class: each.comment || said.has(`${each.at} ${each.comment}`) ? "said" : "" }, make("time", { datetime: each.at }, moment(each.at, this.page.now)), make("b", {}, each.who), make("span", {}, ACTIONS[each.action] ?? words(each.action), each.action === "changed" || each.action === "found" ? ` ${signed(each.quantity)}` : ""), make("q", { hidden: !each.comment }, each.comment)));
    return make("ol", { class: "step-list" }, ...steps);
  }
}

function line(each, other) {
  return make("li", {}, make("b", {}, cause(each.cause)), make("span", { class: "num" }, signed(each.quantity)), make("span", {}, each.text, ...(each.break_id ? [" ", other(each.break_id)] : [])));
}

function does(one) {
  const number = (name, value) => [make("dt", {}, name), make("dd", { class: value ? "num" : "num zero" }, shares(value))];
  const sums = make("dl", { class: "sums" }, ...number("Sellable", one.sellable), ...number("Lendable", one.lendable), ...number("Located", one.located), ...number("Kept out", one.held));
  const locates = (one.locates ?? []).map((each) => make("tr", {}, make("th", { scope: "row" }, make("a", { href: `/locates?view=all&id=${encodeURIComponent(each.id)}` }, each.id)), make("td", {}, each.client), make("td", { class: "num" }, shares(each.quantity)), make("td", {}, `of ${shares(each.approved)}, ${shares(each.remaining)} left`)));
  const limits = (one.limits ?? []).map((each) => make("tr", {}, make("th", { scope: "row" }, make("a", { href: limitsOf(each, one.security) }, `${each.scope === "au" ? "unit" : each.scope} ${each.owner}`)), make("td", {}, each.side), make("td", { class: each.left < 0 ? "num minus" : "num" }, signed(each.left)), make("td", {}, "left")));
  const table = (label, rows) => (rows.length ? [make("h4", {}, `${label} (${shares(rows.length)})`), make("table", { "aria-label": label }, make("tbody", {}, ...rows))] : []);
  const unknown = ["locates", "limits"].filter((name) => one[name] === null);
  const dark = unknown.length ? [make("p", { class: "warn", "data-kind": "unknown" }, `⚠ Which ${unknown.join(" and ")} hang on it is not known at the moment.`)] : [];
  const none = unknown.length || locates.length + limits.length ? [] : [make("p", { class: "sub" }, "No locate and no limit hangs on it.")];
  return [sums, ...dark, ...table("Locates", locates), ...table("Limits", limits), ...none];
}

function limitsOf({ scope, owner, side }, security) {
  return `/limits?${new URLSearchParams({ scope, owner, side, security })}`;
}
