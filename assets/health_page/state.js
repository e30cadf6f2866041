// What is on screen, as the page's address says it. `feed` "": all of them; `file`: whose report is open.

import { Address } from "../page/address.js";

export const ADDRESS = new Address({ view: "service", feed: "", file: "", theme: "" }, { view: ["service", "gaps", "parked", "quarantine", "files"] });
