// One question at a time, in the browser's own modal dialog: it keeps the focus, Esc says no, and it gives the focus back.

import { make } from "../grid/dom.js";

let numbers = 0;

/**
 * Ask. `comment`: "" for none, "optional" or "required". Returns {comment} or null for no.
 * `body`: text or elements under the title; `danger`: the answer undoes somebody's work.
 */
export function confirm({ title, body = "", yes, comment = "", danger = false }) {
  const id = `ask-${++numbers}`;
  const words = make("textarea", { id: `${id}-comment`, rows: 3, maxlength: 2000, required: comment === "required" });
  const label = comment === "required" ? "Comment (needed)" : "Comment";
  const field = comment ? [make("label", { for: `${id}-comment` }, label), words] : [];
  const no = make("button", { type: "button", class: "plain" }, "Cancel");
  const go = make("button", { type: "submit", class: danger ? "danger" : "primary" }, yes);
  const heading = make("h2", { id: `${id}-title` }, title);
  const form = make("form", { method: "dialog" }, heading, make("div", { class: "body" }, ...[body].flat()), ...field,
    make("div", { class: "buttons" }, no, go));
  const dialog = make("dialog", { class: "ask", "aria-labelledby": `${id}-title` }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let answer = null;
    form.addEventListener("submit", () => (answer = { comment: words.value.trim() }));
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    dialog.showModal();
    (comment ? words : go).focus();
  });
}
