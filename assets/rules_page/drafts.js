// What a person has typed and not saved, kept by the browser's tab so that neither a reload nor a lost login takes it.

const PREFIX = "ims-draft:";

export class Drafts {
  /** The kept text of a draft that begins at `key` (document@version), or null. */
  text(key) {
    return sessionStorage.getItem(PREFIX + key);
  }

  /** Keep `text`, unless it is what it began as. */
  keep(key, text, original) {
    if (text === original) sessionStorage.removeItem(PREFIX + key);
    else sessionStorage.setItem(PREFIX + key, text);
  }

  drop(key) {
    sessionStorage.removeItem(PREFIX + key);
  }

  get unsaved() {
    return Object.keys(sessionStorage).some((key) => key.startsWith(PREFIX));
  }
}
