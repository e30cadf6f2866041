// One locate in depth: what was asked, what is left in the pool, what its client and others asked, and what it was decided on.

import { make } from "../grid/dom.js";
import { picked } from "../page/picked.js";
import { ApiError } from "../page/rest.js";
import { moment, percent, portion, sentence, shares, words } from "../page/words.js";
import { refusal, STEPS, take } from "./actions.js";
import { asker, feeOf, ruleOf, stateMark } from "./words.js";

/** What others asked for does not need to be read each second. */
const AROUND_POLLS = 5;
const AROUND = 12;
const HINT = "Choose a locate: its pool, its client's history and what it was decided on are shown here.";

export class Detail {
  constructor(page) {
    this.page = page;
    this.host = page.parts.one;
    this.told = {};
    this.cards = {};
    this.#forget("");
  }

  /** The newest availability of a locate's security, where it is the one that is shown; else null. */
  pool = (locate) => (locate.security === this.locate?.security ? this.availability : null);

  async load(newest) {
    const { page } = this;
    const { id } = page.state;
    if (id !== this.id) this.#forget(id);
    if (!id) return this.#say(HINT, "hint");
    try {
      const locate = page.open ?? (await page.api.locate(id));
      const changed = locate.updated_at !== this.locate?.updated_at;
      const around = !this.around || changed || page.polls % AROUND_POLLS === 0;
      const [availability, evidence, found] = await Promise.all([
        missing(page.api.availability(locate.security)),
        changed ? page.api.evidence(id) : this.evidence,
        around ? this.#around(locate) : this.around,
      ]);
      if (newest()) Object.assign(this, { locate, availability, evidence, around: found });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      if (newest()) return this.#say(`There is no locate ${id}.`, "missing");
    }
    return newest() && this.#show();
  }

  #forget(id) {
    Object.assign(this, { id, locate: null, availability: null, evidence: null, around: null, told: {} });
    this.host.replaceChildren();
  }

  async #around({ client, security }) {
    const { api } = this.page;
    const [mine, same, totals, here] = await Promise.all([
      api.locates({ client, limit: AROUND }), api.locates({ security, limit: AROUND + 1 }),
      missing(api.totals({ client })), missing(api.totals({ client, security })),
    ]);
    return { mine: mine.locates, same: same.locates.filter(({ id }) => id !== this.id).slice(0, AROUND), totals, here };
  }

  #say(text, kind) {
    if (this.told.say === text) return;
    this.told = { say: text };
    this.host.replaceChildren(make("p", { class: "nothing", role: "status", "data-kind": kind }, text));
  }

  #show() {
    if (!this.host.querySelector(":scope > header")) {
      const card = (name, title) => (this.cards[name] = make("section", { class: `card ${name}`, "aria-label": title }));
      this.cards.head = make("header");
      this.told = {};
      this.host.replaceChildren(this.cards.head, make("div", { class: "cards scroll", tabindex: 0, role: "region", "aria-label": "Details" },
        card("asked", "Request"), card("pool", "Pool now"), card("mine", "Client"), card("same", "Similar requests"), card("evidence", "Decided on")));
    }
    const { locate, availability, evidence, around } = this;
    if (locate.security !== this.told.picked) picked((this.told.picked = locate.security));
    const today = new Date(this.page.now).toISOString().slice(0, 10);
    this.#put("head", [locate, this.page.api.session.roles], () => this.#head());
    this.#put("asked", [locate, today], () => this.#asked());
    this.#put("pool", [availability, locate, evidence], () => this.#pool());
    this.#put("mine", [around.mine, around.totals, around.here, locate.id], () => this.#mine());
    this.#put("same", [around.same, locate.id], () => [make("h3", {}, `Others asked for ${locate.security}`), this.#others(around.same, "client")]);
    this.#put("evidence", [evidence], () => this.#evidence());
  }

  /** Another content for a card, where what it tells has changed; what has the focus in it keeps it. */
  #put(name, tells, content) {
    const told = JSON.stringify(tells);
    if (this.told[name] === told) return;
    this.told[name] = told;
    const host = this.cards[name];
    const held = host.contains(document.activeElement) ? document.activeElement.dataset.do : null;
    const unfolded = host.querySelector("details")?.open;
    host.replaceChildren(...content());
    if (unfolded) host.querySelector("details").open = true;
    if (held) host.querySelector(`[data-do="${held}"]`)?.focus();
  }

  #head() {
    const { page, locate } = this;
    const shown = Object.keys(STEPS).filter((step) => STEPS[step].from.includes(locate.state));
    const button = (step) => {
      const why = refusal(page, step, locate);
      const label = { part: "Approve part…", approve: "Approve…" }[step] ?? `${sentence(step)}…`;
      return make("button", { type: "button", "data-do": step, class: step === "approve" ? "primary" : step === "reject" ? "danger" : "", "aria-disabled": String(Boolean(why)),
        title: why || `Key ${STEPS[step].key} on the list`, onclick: () => (why ? page.say(why, "bad") : take(page, step, locate)) }, label);
    };
    return [
      make("h2", {}, `${shares(locate.requested)} ${locate.security}`, make("small", {}, ` ${locate.type} for ${locate.client}`)), stateMark(locate.state),
      make("div", { class: "tools" }, ...shown.map(button), make("button", { type: "button", class: "plain", title: "Esc", "aria-label": "Close", onclick: () => page.go({ id: "" }) }, "✕")),
    ];
  }

  #asked() {
    const { locate, page } = this;
    const at = (text) => moment(text, page.now);
    const rule = ruleOf(locate);
    const facts = [
      ["Id", locate.id], ["Asked at", at(locate.received_at)], ["Asked by", asker(locate)], ["Named as", locate.asked_as],
      ["Reference", locate.reference], ["Unit", locate.au], ["Settles", locate.settlement], ["All or none", locate.allow_partial ? "no, a part is of use" : "yes"],
      ["At least", locate.minimum_quantity && shares(locate.minimum_quantity)], ["At most, rate", locate.max_rate && percent(locate.max_rate)],
      ["Intraday cover", locate.intraday_cover && "yes"], ["Good for", locate.good_for], ["Comment", locate.comment], null,
      ["Approved", shares(locate.approved)], ["Used", shares(locate.used)], ["Held of the pool", shares(locate.decrement)], ["Rate", percent(feeOf(locate))],
      ["Fee a day", locate.fee && `${locate.fee} ${locate.currency ?? ""}`], ["Until", locate.expires_at && at(locate.expires_at)],
      ["Reason", locate.reason && words(locate.reason)], ["Rule", rule && `${rule.id} v${rule.version}`], ["Last step by", locate.changed_by || "rules"], ["Remark", locate.remark],
    ];
    return [make("h3", {}, "Request"), list(facts)];
  }

  #pool() {
    const { availability: now, locate, evidence } = this;
    if (!now) return [make("h3", {}, "Pool now"), make("p", { class: "nothing" }, `There is nothing to see of ${locate.security}.`)];
    const long = locate.type === "long";
    const [all, left] = long ? [now.pool_long, now.left_long] : [now.pool, now.left];
    const ratio = evidence?.transitions.findLast(({ evidence: of }) => of)?.evidence.ratio_basis_points;
    const would = locate.state === "pending" && ratio !== undefined ? Math.ceil((ratio * locate.requested) / 10_000) : null;
    const facts = [
      ["Name", now.name], ["Market", `${now.market} · ${now.temperature}`], [long ? "Pool, long" : "Pool", shares(all)], ["Held by locates", shares(all - left)], ["Left", shares(left)],
      ["Would be held", would === null ? null : `${shares(would)} (${portion(ratio / 10_000)})`], ["Left after", would === null ? null : shares(left - would)],
    ];
    const part = all > 0 ? Math.min(1, Math.max(0, (all - left) / all)) : 1;
    const terms = Object.entries(now.terms).filter(([, value]) => value);
    const rows = terms.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, words(name)), make("td", { class: "num" }, shares(value))));
    return [
      make("h3", {}, "Pool now", now.stale ? make("b", { class: "bad" }, " ▲ stale: feeds are late") : "", make("a", { href: `/inventory?sec=${encodeURIComponent(now.security)}` }, now.security)),
      list(facts, would !== null && left - would < 0 ? ["Left after"] : []),
      make("div", { class: "bar-used", role: "img", "aria-label": `${portion(part)} of the pool is held` }, make("span", { style: `width:${part * 100}%` })),
      make("table", { "aria-label": "Terms" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Made of"), make("th", { scope: "col", class: "num" }, `Shares, day ${now.settle_day}`))), make("tbody", {}, ...rows)),
    ];
  }

  #mine() {
    const { locate, around, page } = this;
    const used = (totals) => totals && `${shares(totals.used)} of ${shares(totals.approved)} used${totals.utilisation === null ? "" : `, ${portion(totals.utilisation)}`}`;
    const limits = `/limits?owner=${encodeURIComponent(locate.client)}&security=${encodeURIComponent(locate.security)}`;
    return [
      make("h3", {}, `${locate.client}`, make("a", { href: page.address.of({ ...page.state, view: "all", id: "", client: locate.client, security: "" }), class: "step" }, "all its locates"), make("a", { href: limits }, "its limits")),
      list([["Located, all securities", used(around.totals)], [`Located, ${locate.security}`, used(around.here)]]), this.#others(around.mine.filter(({ id }) => id !== locate.id), "security"),
    ];
  }

  /** Other locates; `who`: what tells them apart; of the client's own what was used, of others' the rate. */
  #others(locates, who) {
    if (!locates.length) return make("p", { class: "nothing" }, "None.");
    const { page } = this;
    const last = who === "client" ? ["Rate", (each) => percent(feeOf(each))] : ["Used", (each) => shares(each.used)];
    const row = (each) => make("tr", {}, make("th", { scope: "row" }, make("a", { href: page.address.of({ ...page.state, id: each.id }), class: "step" }, moment(each.received_at, page.now))),
      make("td", {}, each[who]), make("td", { class: "num" }, shares(each.requested)), make("td", { class: "num" }, shares(each.approved)), make("td", { class: "num" }, last[1](each)), make("td", {}, stateMark(each.state)));
    const heads = ["At, UTC", sentence(who), "Asked for", "Approved", last[0], "State"].map((title, i) => make("th", { scope: "col", class: i > 1 && i < 5 ? "num" : "" }, title));
    return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...locates.map(row)));
  }

  #evidence() {
    const { evidence, page } = this;
    const steps = evidence.transitions.map(({ state, reason, at, approved, decrement, changed_by: by, remark, evidence: of }) => make("tr", {},
      make("th", { scope: "row" }, moment(at, page.now)), make("td", {}, stateMark(state)), make("td", { class: "num" }, shares(approved)), make("td", { class: "num" }, shares(decrement)),
      make("td", { class: "num" }, of ? `${shares(of.pool_before)} → ${shares(of.pool_after)}` : ""), make("td", {}, of ? `${of.decision_rule.id} v${of.decision_rule.version}` : ""),
      make("td", {}, of ? `${of.decrement_rule.id} ${portion(of.ratio_basis_points / 10_000)}` : ""), make("td", { class: "words" }, [by, reason && words(reason), remark].filter(Boolean).join(" · "))));
    const heads = ["At, UTC", "State", "Approved", "Held", "Pool", "Rule", "Takes", "By, why"].map((title, i) => make("th", { scope: "col", class: i > 1 && i < 5 ? "num" : "" }, title));
    const last = evidence.transitions.findLast(({ evidence: of }) => of)?.evidence;
    const terms = last ? Object.entries(last.terms).filter(([, value]) => value).map(([name, value]) => [words(name), shares(value)]) : [];
    const places = last?.feed_positions.map(({ topic, partition, offset }) => [`${topic}[${partition}]`, shares(offset)]) ?? [];
    return [
      make("h3", {}, "What it was decided on"),
      make("table", { "aria-label": "Steps" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...steps)),
      ...(last ? [make("details", {}, make("summary", {}, `Terms and feeds at the last decision, ${last.market} ${last.temperature}, ${moment(last.as_of, page.now)} UTC`), make("div", { class: "two" }, list(terms), list(places)))] : []),
    ];
  }
}

/** Names and values; those without a value are left out; null is a line between two groups. */
function list(facts, wrong = []) {
  const shown = facts.filter((fact) => fact === null || (fact[1] !== null && fact[1] !== undefined && fact[1] !== "" && fact[1] !== false && fact[1] !== 0));
  const name = (fact, at) => make("dt", { class: at > 0 && shown[at - 1] === null ? "begins" : "" }, fact[0]);
  const value = (fact) => make("dd", { class: wrong.includes(fact[0]) ? "bad" : "" }, fact[1]);
  return make("dl", {}, ...shown.flatMap((fact, at) => (fact === null ? [] : [name(fact, at), value(fact)])));
}

/** The answer, or null where there is none of it for who asks. */
async function missing(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return null;
    throw error;
  }
}
