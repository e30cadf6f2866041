// What is on screen, as the page's address says it. `feed` "": all of them.

import { Address } from "../page/address.js";

export const ADDRESS = new Address({ view: "service", feed: "", theme: "" }, { view: ["service", "gaps", "parked", "quarantine"] });
