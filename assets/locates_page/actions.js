// What a person may do with locates: who may, the question, and what came of it.

import { make } from "../grid/dom.js";
import { confirm } from "../page/dialog.js";
import { percent, shares } from "../page/words.js";
import { feeOf, leastOf, LIVE } from "./words.js";

const REVIEWERS = ["ops", "admin"];
const WRITERS = ["trader", "ops"];
export const STEPS = {
  approve: { yes: "Approve", done: "approved", who: REVIEWERS, from: ["pending"], key: "A" },
  part: { yes: "Approve", done: "approved", who: REVIEWERS, from: ["pending"], key: "P" },
  reject: { yes: "Reject", done: "rejected", who: REVIEWERS, from: ["pending"], key: "R", danger: true, comment: "required", body: "The client is told your comment." },
  ask: { yes: "Ask", done: "asked about", who: REVIEWERS, from: ["pending"], key: "Q", comment: "required", body: "It stays pending, with your question." },
  release: { yes: "Release", done: "released", who: WRITERS, from: LIVE, key: "L", comment: "optional", danger: true, body: "What is not needed goes back into the pool." },
  cancel: { yes: "Cancel it", done: "cancelled", who: WRITERS, from: ["pending", ...LIVE], key: "C", comment: "optional", danger: true, body: "It is withdrawn; what it held goes back into the pool." },
};

/** Why a step cannot be taken by who looks at the page; "" where it can. */
export function refusal(page, step, locate) {
  const { who, from } = STEPS[step];
  if (!page.may(...who)) return `Only ${who.join(" or ")} may do this`;
  if (step === "part" && leastOf(locate) === locate.requested) return "All or none: a part is of no use to the client";
  return from.includes(locate.state) ? "" : `It is ${locate.state.replaceAll("_", " ")} already`;
}

/** Take a step with one locate, once the person has said yes. */
export async function take(page, step, locate) {
  const why = locate ? refusal(page, step, locate) : "It is gone";
  if (why) return page.say(why, "bad");
  const { yes, comment, danger, body, done } = STEPS[step];
  const name = `${shares(locate.requested)} ${locate.security} for ${locate.client}`;
  const granting = step === "approve" || step === "part";
  const amount = granting && quantityField(locate);
  const said = await confirm({
    title: granting ? `Approve ${name}?` : `${step[0].toUpperCase()}${step.slice(1)} ${name}?`,
    body: granting ? terms(page, locate) : body,
    yes, danger, comment: comment ?? "optional",
    fields: amount ? [amount.label, amount.input] : [],
    focus: step === "part" ? amount.input : undefined,
    send: async (answer) => send(page, step, locate, answer),
  });
  if (said === null) return undefined;
  page.say(`${locate.id} ${done}`, "good");
  return page.show();
}

/** The same step with many. Whether it was taken. */
export async function takeMany(page, step, locates) {
  const { yes, danger, comment, done } = STEPS[step];
  const total = locates.reduce((sum, { requested }) => sum + requested, 0);
  const clients = [...new Set(locates.map(({ client }) => client))];
  const body = `${shares(total)} shares in all, for ${clients.length > 3 ? `${clients.length} clients` : clients.join(", ")}. Each is decided on its own: one that cannot take the step does not hold up the others.`;
  const answer = await confirm({ title: `${step[0].toUpperCase()}${step.slice(1)} ${shares(locates.length)} locates?`, body, yes, danger, comment: comment ?? "optional" });
  if (answer === null) return false;
  return page.attempt(async () => {
    const { results } = await page.api.steps(step, locates.map(({ id }) => id), answer.comment);
    const failed = results.filter(({ problem }) => problem);
    page.say(`${shares(results.length - failed.length)} of ${shares(results.length)} ${done}`, failed.length ? "bad" : "good");
    if (failed.length) await told(`${shares(failed.length)} could not be ${done}`, failed.map(({ id, problem }) => [id, problem]));
    return true;
  });
}

/** Names with what there is to say of each, until they have been read. */
export function told(title, lines) {
  return confirm({ title, body: make("ul", { class: "told" }, ...lines.map(([name, text]) => make("li", {}, make("b", {}, name), ` ${text}`))), yes: "Close" });
}

async function send(page, step, locate, { comment, quantity }) {
  if (step === "ask" && !comment) return "Say what you want to know";
  const body = { comment };
  if (quantity !== undefined) {
    const wanted = whole(quantity);
    const least = leastOf(locate);
    if (!(wanted >= least && wanted <= locate.requested)) return `Expected ${shares(least)} to ${shares(locate.requested)} shares`;
    body.quantity = wanted;
  }
  let wrong = null;
  await page.api.step(step === "part" ? "approve" : step, locate.id, body).catch((error) => (wrong = error.problems?.map(({ message }) => message).join("; ") || error.message));
  return wrong;
}

function quantityField(locate) {
  const input = make("input", { id: "ask-quantity", name: "quantity", inputmode: "numeric", autocomplete: "off", value: shares(locate.requested), required: "", class: "num" });
  return { label: make("label", { for: "ask-quantity" }, "Shares"), input };
}

function terms(page, locate) {
  const now = page.detail.pool(locate);
  const fee = feeOf(locate);
  return [now ? `${shares(now.left)} are left in the pool. ` : "", fee === null ? "The rate is not known." : `The rate is ${percent(fee)} a year.`, " The pool is checked again in the moment of the decision."].join("");
}

/** "12,500" or "12 500" as a number; NaN for anything else. */
export function whole(text) {
  const digits = text.replaceAll(/[,\s_']/g, "");
  return /^\d{1,15}$/.test(digits) ? Number(digits) : NaN;
}
