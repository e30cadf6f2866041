// One question at a time, in the browser's own modal dialog: it keeps the focus, Esc says no, and it gives the focus back.

import { make } from "../grid/dom.js";

let numbers = 0;

/**
 * Ask. `comment`: "" for none, "optional" or "required". Returns null for no, or {comment} and the value of every named
 * field in `fields`. `body`: text or elements under the title; `danger`: the answer undoes somebody's work; `focus`: which
 * element has it first; `send(answer)`: tried before the dialog closes, which stays open with the text that it returns.
 */
export function confirm({ title, body = "", yes, comment = "", danger = false, fields = [], focus = null, send = null }) {
  const id = `ask-${++numbers}`;
  const words = make("textarea", { id: `${id}-comment`, name: "comment", rows: 3, maxlength: send ? 400 : 2000, required: comment === "required" });
  const label = comment === "required" ? "Comment (needed)" : "Comment";
  const field = comment ? [make("label", { for: `${id}-comment` }, label), words] : [];
  const no = make("button", { type: "button", class: "plain" }, "Cancel");
  const go = make("button", { type: "submit", class: danger ? "danger" : "primary" }, yes);
  const heading = make("h2", { id: `${id}-title` }, title);
  const problem = make("p", { class: "bad problem", role: "alert", hidden: "" });
  const form = make("form", { method: "dialog" }, heading, make("div", { class: "body" }, ...[body].flat()), ...fields, ...field, problem,
    make("div", { class: "buttons" }, no, go));
  const dialog = make("dialog", { class: "ask", "aria-labelledby": `${id}-title` }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let answer = null;
    const given = () => ({ ...Object.fromEntries(new FormData(form)), comment: words.value.trim() });
    form.addEventListener("submit", async (event) => {
      if (!send) {
        answer = given();
        return;
      }
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      const wrong = await send(given());
      go.disabled = false;
      problem.textContent = wrong ?? "";
      problem.hidden = !wrong;
      if (wrong) return;
      answer = given();
      dialog.close();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    dialog.showModal();
    (focus ?? (comment ? words : go)).focus();
  });
}
