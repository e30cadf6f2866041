// The left side: documents and their versions, as links; and the audit trail of a document.

import { make } from "../grid/dom.js";
import { address } from "./state.js";
import { moment, OPEN, stateOf } from "./shapes.js";

export function badge(version) {
  const { icon, text } = stateOf(version);
  return make("span", { class: `state ${version.state}` }, make("span", { "aria-hidden": "true" }, `${icon} `), text);
}

/** `documents`: [{document, title, markets, active, versions?}]; `state`: what is on screen. */
export function documentList(documents, state) {
  const items = documents.map((each) => {
    const { open } = each;
    const here = each.document === state.document;
    const link = make("a", { href: address({ ...state, document: each.document, version: 0, view: "text", from: 0, calculation: "" }), "data-document": each.document, "aria-current": here && "true" },
      make("b", {}, each.title),
      make("span", { class: "sub" }, `${each.document} · ${each.markets.length ? each.markets.join(" ") : "every market"}`),
      make("span", { class: "sub" }, each.active ? `v${each.active} active` : "not active", open.length ? make("span", { class: "open" }, ` · ${openText(open)}`) : ""));
    return make("li", {}, link);
  });
  return make("ul", { class: "documents" }, ...items);
}

function openText(open) {
  const submitted = open.filter((version) => version.state === "submitted").length;
  if (submitted) return `▶ ${submitted} to approve`;
  return `${open.length} open`;
}

/** Newest first. */
export function versionList(versions, state, shown) {
  const items = versions.map((version) => {
    const here = version.version === shown;
    const link = make("a", { href: address({ ...state, version: version.version, from: 0, view: state.view === "edit" ? "text" : state.view, calculation: "" }), "data-version": version.version,
      class: OPEN.has(version.state) ? "open" : "", "aria-current": here && "true" },
      make("b", {}, `v${version.version}`), badge(version), make("span", { class: "sub" }, `${moment(version.at).slice(2)} ${version.author || ""}`));
    return make("li", {}, link);
  });
  return make("ul", { class: "versions" }, ...items);
}

/** Put a list into its place; the focus stays on the link that it was on. */
export function putList(host, list) {
  const { document: name, version } = host.contains(document.activeElement) ? document.activeElement.dataset : {};
  host.replaceChildren(list);
  if (name) host.querySelector(`[data-document="${CSS.escape(name)}"]`)?.focus();
  if (version) host.querySelector(`[data-version="${CSS.escape(version)}"]`)?.focus();
}

/** Up and down walk through the links of a list; Home and End go to its ends. */
export function walkable(host) {
  host.addEventListener("keydown", (event) => {
    const links = [...host.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (at < 0 || to === undefined || !links[to]) return;
    event.preventDefault();
    links[to].focus();
  });
}

/** Every step of a document's life, newest first. */
export function auditView(entries, state) {
  if (!entries.length) return make("p", { class: "nothing" }, "Nothing has happened to this document yet.");
  const rows = entries.map((entry) => {
    const version = entry.version ? make("a", { href: address({ ...state, version: entry.version, view: "text" }), "data-version": entry.version }, `v${entry.version}`) : "";
    return make("tr", {}, make("td", { class: "mono" }, moment(entry.at, { seconds: true })), make("td", {}, entry.user), make("td", {}, version), make("td", {}, entry.step), make("td", { class: "words" }, [entry.comment, ...entry.problems].filter(Boolean).join(" · ")));
  });
  const head = ["Time, UTC", "Who", "Version", "Step", "Comment"].map((name) => make("th", { scope: "col" }, name));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Audit trail" },
    make("table", { id: "audit" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
}
