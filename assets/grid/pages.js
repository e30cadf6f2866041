// The page server, as the grid sees it: a fresh ticket, and a reload that never ends on the browser's error page.

/** Another page process answers within a second of the death of one. */
const POLL_MS = 250;

/** A ticket that is good for hours. Throws when the page server cannot be reached. */
export async function freshTicket() {
  const answer = await fetch("/ticket", { cache: "no-store" });
  if (answer.status === 401) window.location.reload(); // the login is over: its page comes, and leads back here
  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
  return (await answer.json()).ticket;
}

let leaving = false;

/** Load the page anew, into the same view, as soon as its server answers. */
export async function reloadWhenServed() {
  if (leaving) return;
  leaving = true;
  for (;;) {
    try {
      await freshTicket();
      window.location.reload();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
