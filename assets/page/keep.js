// Handing a file to the person.

import { make } from "../grid/dom.js";

/** Save `blob` under `name`, as the browser saves what is downloaded. */
export function keep(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
