// What the buttons do: ask when it matters, send, say what came of it.

import { make } from "../grid/dom.js";
import { ApiError } from "./api.js";
import { confirm } from "../page/dialog.js";
import { keep } from "../page/keep.js";

const ASK = {
  submit: { yes: "Submit", comment: "optional", body: "An admin who is not you is asked to approve it." },
  approve: { yes: "Approve", comment: "optional", body: "It comes into force on its date, for every security of its markets, at once." },
  reject: { yes: "Reject", comment: "required", danger: true, body: "Its author sees your comment." },
  withdraw: { yes: "Withdraw", comment: "optional", danger: true, body: "It stays in the trail, and nothing comes of it." },
};
const DONE = { submit: "submitted", approve: "approved", reject: "rejected", withdraw: "withdrawn" };

/** Take a step of `shapes.steps` from the version on screen. */
export async function take(page, step) {
  const { document, version } = page.shown;
  const name = `${document.title} v${version.version}`;
  if (step === "edit") return page.go({ view: "edit", version: version.version });
  if (step === "test") return test(page, version.version);
  if (step === "revert") return revert(page, name, version.version);
  const { yes, comment, danger, body } = ASK[step];
  const answer = await confirm({ title: `${yes} ${name}?`, body, yes, comment, danger });
  if (answer === null) return undefined;
  return attempt(page, `${name} ${DONE[step]}`, async () => {
    await page.api.step(step, page.state.document, version.version, answer.comment);
    await page.renew({ version: version.version });
  });
}

async function test(page, version) {
  const { state } = page;
  page.say("Testing on the live positions…");
  await attempt(page, `v${version} tested: this is what it would change`, async () => {
    await page.store.test(state.document, version);
    await page.renew({ version, view: "impact" });
  });
}

/** Judge the requests of a period again; `period`: {since, until}, days or "". */
export async function dryRun(page, period) {
  const { document, version } = page.shown.version;
  page.say("Judging the requests of the period…");
  await attempt(page, "", async () => {
    await page.store.runDry(document, version, period);
    await page.go({ version, view: "dry-run", ...period });
  });
}

/** Every request that would differ, as a file. */
export async function dryRunFile(page, period) {
  const { document, version } = page.shown.version;
  await attempt(page, "", async () => keep(await page.api.dryRunLines(document, version, period), `dry-run-${document}-v${version}.csv`));
}

async function revert(page, name, to) {
  const body = "A new draft with this text is made; it is tested and approved like any other.";
  const answer = await confirm({ title: `Revert to ${name}?`, body, yes: "Make the draft", comment: "optional" });
  if (answer === null) return;
  await attempt(page, "The draft has been made", async () => {
    const made = await page.api.revert(page.state.document, to, answer.comment);
    await page.renew({ version: made.version, view: "diff", from: 0 });
  });
}

/** Save what is in the editor as a new draft. */
export async function save(page) {
  const { editor, state } = page;
  if (!editor || globalThis.document.querySelector("dialog[open]")) return;
  const answer = await confirm({ title: `Save a new draft of ${state.document}?`, body: "It is checked first; with a problem in it, nothing is saved.", yes: "Save draft", comment: "optional" });
  if (answer === null) return;
  await attempt(page, "Draft saved: test it next", async () => {
    const made = await page.api.draft(state.document, editor.text, answer.comment);
    page.drafts.drop(editor.key);
    await page.renew({ version: made.version, view: "text", from: 0 });
  });
}

export async function discard(page) {
  const { editor } = page;
  if (page.drafts.text(editor.key) !== null) {
    const answer = await confirm({ title: "Discard what you have typed?", body: "It was not saved anywhere.", yes: "Discard", danger: true });
    if (answer === null) return;
  }
  page.drafts.drop(editor.key);
  page.editor = null;
  await page.go({ view: "text" });
}

/** All active documents as one file. */
export async function exportAll(page) {
  await attempt(page, "", async () => {
    keep(await page.api.export(), "ims-rules.yaml");
  });
}

/** Drafts of what is different in a file. */
export async function importFile(page, file) {
  const text = await file.text();
  const body = [make("p", {}, `“${file.name}”, ${text.split("\n").length} lines. Documents that differ from what is in force become drafts; with one problem anywhere, nothing is imported.`)];
  const answer = await confirm({ title: "Import rules?", body, yes: "Import", comment: "optional" });
  if (answer === null) return;
  try {
    const made = await page.api.import(text, answer.comment);
    const [first] = made.versions;
    const names = made.versions.map((each) => `${each.document} v${each.version}`).join(", ");
    page.say(first ? `Imported: ${names}` : "Nothing in the file differs from what is in force", "good");
    await page.renew(first ? { document: first.document, version: first.version, view: "diff", from: 0 } : {});
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.problems.length) await refused(`“${file.name}” was refused`, "Nothing was imported.", error.problems);
    else page.say(error.message, "bad");
  }
}

function refused(title, what, problems) {
  const items = problems.map((each) => make("li", {}, make("b", {}, `${each.document}${each.line ? `:${each.line}:${each.column}` : ""}`), ` ${each.message}`));
  const count = `${problems.length} ${problems.length === 1 ? "problem" : "problems"}. ${what}`;
  return confirm({ title, body: [make("p", { role: "alert" }, count), make("ol", { class: "refused" }, ...items)], yes: "Close" });
}

/** Do it; a refusal is said, with its problems at their lines where the text is being edited. */
async function attempt(page, done, work) {
  page.parts.root.setAttribute("aria-busy", "true");
  try {
    await work();
    page.say(done, "good");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    page.say(`Refused: ${error.message}`, "bad");
    if (page.editor) page.showProblems(error.problems);
    else if (error.problems.length) await refused("The rules were refused", "Nothing has changed.", error.problems);
    if (error.away && error.status !== 503) page.failed(error); // 503: the engine is there, and cannot do this now
  } finally {
    page.parts.root.removeAttribute("aria-busy");
  }
}
