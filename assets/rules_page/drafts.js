// What a person has typed and not saved, kept by the browser's tab so that neither a reload nor a lost login takes it.

export class Drafts {
  /** `user`: whose they are; the next one to sign in finds none of them. */
  constructor(user) {
    this.prefix = `ims-draft:${user}:`;
  }

  /** The kept text of a draft that begins at `key` (document@version), or null. */
  text(key) {
    return sessionStorage.getItem(this.prefix + key);
  }

  /** Keep `text`, unless it is what it began as. */
  keep(key, text, original) {
    if (text === original) sessionStorage.removeItem(this.prefix + key);
    else sessionStorage.setItem(this.prefix + key, text);
  }

  drop(key) {
    sessionStorage.removeItem(this.prefix + key);
  }

  get unsaved() {
    return Object.keys(sessionStorage).some((key) => key.startsWith(this.prefix));
  }
}
