// What a person may do about breaks: who may, the question, and what came of it.

import { make } from "../grid/dom.js";
import { confirm } from "../page/dialog.js";
import { shares } from "../page/words.js";
import { groupName, quantity, signed, whole } from "./words.js";

const WORKERS = ["trader", "ops", "admin"];
const DECIDERS = ["ops", "admin"];
/** `many`: what can be done with several at once; `least`: how many it takes. */
export const STEPS = {
  acknowledge: { name: "Acknowledge", key: "A", who: WORKERS, many: true, comment: "optional", from: ["open", "reopened"], body: "You have seen it; it stays in the list until it is solved." },
  assign: { name: "Assign…", key: "O", who: WORKERS, many: true, comment: "optional" },
  comment: { name: "Comment…", key: "C", who: WORKERS, many: true, comment: "required" },
  group: { name: "Group…", key: "G", who: WORKERS, many: true, comment: "optional" },
  ungroup: { name: "Ungroup…", key: "U", who: WORKERS, many: true, comment: "optional" },
  match: { name: "Match…", key: "M", who: DECIDERS, many: true, least: 2, comment: "optional" },
  force: { name: "Force-match…", key: "X", who: DECIDERS, many: true, comment: "required", danger: true },
  hold: { name: "Keep out…", key: "H", who: DECIDERS, comment: "required" },
  return: { name: "Give back…", key: "R", who: DECIDERS, comment: "optional" },
  adjust: { name: "Adjust…", key: "J", who: DECIDERS, comment: "required" },
};
export const KEYS = Object.fromEntries(Object.entries(STEPS).map(([step, { key }]) => [key.toLowerCase(), step]));

/** Why a step cannot be taken with these by who looks at the page; "" where it can. */
export function refusal(page, step, breaks) {
  const { who, least = 1, many, from } = STEPS[step];
  if (!page.may(...who)) return `Only ${who.join(" or ")} may do this`;
  if (breaks.length < least) return least === 1 ? "Choose breaks first" : `Choose ${least} breaks or more first`;
  if (!many && breaks.length > 1) return "One at a time";
  const solved = breaks.find(({ state }) => state === "resolved");
  if (solved && step !== "comment") return `${solved.id} is solved already`;
  const wrong = from && breaks.find(({ state }) => !from.includes(state));
  if (wrong) return `${wrong.id} is ${wrong.state} already`;
  if (["hold", "adjust"].includes(step) && !(breaks[0].security && breaks[0].unit === "shares")) return "Only where a security's shares are at odds";
  if (step === "ungroup" && !breaks.some(({ group }) => group)) return breaks.length === 1 ? "It is in no group" : "None of them is in a group";
  if (step === "return" && !breaks[0].held) return "Nothing of it is kept out";
  if (["match", "force"].includes(step) && breaks.length > 100) return "At most 100 at once";
  return "";
}

/** Take a step with some breaks, once the person has said how. */
export async function take(page, step, breaks) {
  const why = refusal(page, step, breaks.filter(Boolean));
  if (why) {
    page.say(why, "bad");
    return false;
  }
  const { comment, danger, body } = STEPS[step];
  const groups = step === "group" ? await groupsOf(page) : { groups: [] };
  if (!groups) return false;
  const asked = question(page, step, breaks, groups.groups);
  const answer = await confirm({
    title: asked.title, yes: asked.yes, body: asked.body ?? body ?? "", fields: asked.fields ?? [], focus: asked.focus ?? null, danger, comment,
    send: async (given) => {
      if (comment === "required" && !given.comment) return "Say why, in a comment";
      const wrong = asked.check?.(given);
      if (wrong) return wrong;
      let failed = null;
      await send(page, step, breaks, given, groups.groups).then((told) => (failed = told ?? null), (error) => (failed = error.problems?.map(({ message }) => message).join("; ") || error.message));
      return failed;
    },
  });
  if (answer === null) return false;
  page.say(`${breaks.length === 1 ? breaks[0].id : `${shares(breaks.length)} breaks`} ${asked.done}`, "good");
  page.taken(breaks);
  await page.show();
  return true;
}

/** The groups that there are; undefined where that is asked already, or cannot be. */
async function groupsOf(page) {
  if (page.asking) return undefined;
  page.asking = true;
  try {
    return await page.attempt(() => page.api.groups());
  } finally {
    page.asking = false;
  }
}

/** One's own way of deciding on what another asked for. */
export async function decide(page, step, adjustment) {
  const verb = { approve: "Approve", reject: "Reject", withdraw: "Withdraw" }[step];
  const what = `${signed(adjustment.quantity)} ${adjustment.security} in ${adjustment.book}`;
  const answer = await confirm({
    title: `${verb} the adjustment of ${what}?`, yes: verb, danger: step !== "approve", comment: step === "reject" ? "required" : "optional",
    body: [`${adjustment.asked_by} asked: ${adjustment.comment}. `, step === "approve" ? "It is booked at once, and the break is looked at again." : ""],
    send: async ({ comment }) => {
      if (step === "reject" && !comment) return "Say why, in a comment";
      let failed = null;
      await page.api.decide(step, adjustment.id, comment).catch((error) => (failed = error.message));
      return failed;
    },
  });
  if (answer === null) return;
  page.say(`Adjustment ${adjustment.id}: ${{ approve: "approved", reject: "rejected", withdraw: "withdrawn" }[step]}`, "good");
  await page.show();
}

/** Take a match back: its breaks are open again. */
export async function undo(page, match) {
  const answer = await confirm({ title: `Undo the match ${match.id}?`, yes: "Undo it", danger: true, comment: "optional", body: `${shares(match.ids.length)} breaks are open again.`,
    send: async ({ comment }) => {
      let failed = null;
      await page.api.undo(match.id, comment).catch((error) => (failed = error.message));
      return failed;
    } });
  if (answer === null) return;
  page.say(`${match.id} undone`, "good");
  await page.show();
}

function question(page, step, breaks, groups) {
  const [first] = breaks;
  const what = breaks.length === 1 ? `${quantity(first)} ${first.security || first.depot || first.feed || ""} (${first.id})` : `${shares(breaks.length)} breaks`;
  switch (step) {
    case "acknowledge": return { title: `Acknowledge ${what}?`, yes: "Acknowledge", done: "acknowledged" };
    case "comment": return { title: `Comment on ${what}`, yes: "Comment", done: "commented" };
    case "assign": {
      const owner = field("owner", "Owner", { value: breaks.length === 1 ? first.owner || page.me : page.me, maxlength: 64, placeholder: "nobody's" });
      return { title: `Who takes ${what}?`, yes: "Assign", done: "assigned", fields: owner.all, focus: owner.input };
    }
    case "group": {
      const name = field("name", "Name of the group", { maxlength: 64, required: "", list: "ask-groups" });
      const there = make("datalist", { id: "ask-groups" }, ...groups.map((each) => make("option", { value: each.name }, `${shares(each.breaks.length)} in it`)));
      const body = groups.length ? "The name of a group that there is puts them into it; another one makes a new group." : "There is no group yet: this makes one.";
      return { title: `Put ${what} into a group`, yes: "Group", done: "grouped", fields: [...name.all, there], focus: name.input, body, check: (given) => (given.name.trim() ? "" : "A group has a name") };
    }
    case "ungroup": {
      const names = [...new Set(breaks.filter(({ group }) => group).map(groupName))];
      return { title: `Take ${what} out of ${names.length === 1 ? names[0] : "their groups"}?`, yes: "Ungroup", done: breaks.length === 1 ? "is in no group any more" : "are in no group any more" };
    }
    case "match":
    case "force": return matching(step, breaks);
    case "hold": {
      const amount = field("quantity", "Shares", { value: shares(Math.abs(first.quantity)), inputmode: "numeric", class: "num" });
      return { title: `Keep shares of ${first.security} out of availability`, yes: "Keep out", done: "kept out of availability", fields: amount.all, focus: amount.input,
        body: "Until the break is solved, or somebody gives them back, nobody can sell, lend or locate them. It stays this many when the break grows or shrinks.", check: (given) => (whole(given.quantity) > 0 ? "" : "Expected a number of shares above 0") };
    }
    case "return": return { title: `Give ${shares(first.held)} shares of ${first.security} back to availability?`, yes: "Give back", done: "given back" };
    default: return adjusting(page, first);
  }
}

function matching(step, breaks) {
  const total = breaks.reduce((sum, each) => sum + (each.quantity ?? 0), 0);
  const table = make("table", { "aria-label": "To be matched" }, make("tbody", {}, ...breaks.slice(0, 12).map((each) => make("tr", {}, make("th", { scope: "row" }, each.id), make("td", {}, each.depot || each.security), make("td", { class: "num" }, quantity(each))))),
    make("tfoot", {}, make("tr", {}, make("th", { scope: "row" }, breaks.length > 12 ? `and ${shares(breaks.length - 12)} more: comes to` : "comes to"), make("td", {}), make("td", { class: `num ${total ? "bad" : "good"}` }, signed(total)))));
  const force = step === "force";
  const body = [make("p", {}, force ? "They are taken for solved although they do not come to 0. If one of them changes, all are open again." : "They explain each other, and are solved together. If one of them changes, all are open again."), table];
  return { title: force ? `Force ${shares(breaks.length)} breaks to match?` : `Match ${shares(breaks.length)} breaks?`, yes: force ? "Force-match" : "Match", done: force ? "matched by force" : "matched", body };
}

function adjusting(page, of) {
  const row = page.detail.sides?.id === of.id ? page.detail.sides.ours.rows[0] : undefined; // another break's is none of this one's
  const book = field("book", "Book", { value: of.book || row?.book || "", required: "", maxlength: 40 });
  const type = field("position_type", "Position type", { value: of.position_type || row?.position_type || "", required: "", maxlength: 40 });
  const depot = field("depot", "Depot", { value: of.depot || row?.depot || "", maxlength: 40 });
  const differs = of.unexplained ? Math.sign(of.quantity) * Math.abs(of.unexplained) : of.quantity;
  // what a start of day states is in our books already: they come back to the close by the opposite
  const amount = field("quantity", "Shares, with sign", { value: signed(of.kind === "front_back" ? -differs : differs), inputmode: "numeric", class: "num", required: "" });
  return {
    title: `Adjust our side of ${of.security}`, yes: "Ask for it", done: ": the adjustment waits for a second person", fields: [...book.all, ...type.all, ...depot.all, ...amount.all], focus: amount.input,
    body: "Nothing is booked before somebody else has approved it.", check: (given) => (whole(given.quantity) ? "" : "Expected a number of shares that is not 0"),
  };
}

async function send(page, step, breaks, { comment, owner, name, quantity: amount, book, depot, position_type }, groups) {
  const { api } = page;
  const ids = breaks.map(({ id }) => id);
  const [id] = ids;
  if (step === "match" || step === "force") return void (await api.match(ids, comment, step === "force"));
  const there = step === "group" && groups.find((each) => each.name === name.trim());
  if (step === "group" && !there) return void (await api.group(ids, name.trim(), comment));
  if (step === "hold") return void (await api.step("hold", id, { quantity: whole(amount), comment }));
  if (step === "adjust") return void (await api.step("adjust", id, { book: book.trim(), depot: depot.trim(), position_type: position_type.trim(), quantity: whole(amount), comment }));
  const more = step === "assign" ? { owner: owner.trim() } : there ? { group: there.id } : {};
  if (ids.length === 1 && !step.endsWith("group")) return void (await api.step(step, id, { comment, ...more }));
  const { results } = await api.steps(step, ids, { comment, ...more });
  const failed = results.filter(({ problem }) => problem);
  if (!failed.length) return undefined;
  await page.show();
  return `${shares(results.length - failed.length)} of ${shares(results.length)} done. ${failed.slice(0, 3).map((each) => `${each.id}: ${each.problem}`).join("; ")}${failed.length > 3 ? "…" : ""}`;
}

function field(name, title, more) {
  const input = make("input", { id: `ask-${name}`, name, autocomplete: "off", spellcheck: "false", ...more });
  return { input, all: [make("label", { for: `ask-${name}` }, title), input] };
}
