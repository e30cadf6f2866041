// What this page has read of the rules; it is read again when anything may have changed.

import { document as documentOf, impact as impactOf, step as stepOf, version as versionOf } from "./answers.js";

export class Store {
  constructor(api) {
    this.api = api;
    this.forget();
    this.impacts = new Map();
    this.runs = new Map();
  }

  /** Ask anew for everything but results of tests. */
  forget() {
    this.list = null;
    this.lists = new Map();
    this.details = new Map();
    this.trails = new Map();
  }

  async documents() {
    this.list ??= await this.#documents();
    return this.list;
  }

  async versions(name) {
    return this.#once(this.lists, name, () => this.#versions(name));
  }

  async version(name, number) {
    return this.#once(this.details, `${name}@${number}`, async () => versionOf(await this.api.version(name, number)));
  }

  /** What the version would change: in full if it was tested from this page, or in sum as the engine has kept it; or null. */
  impact(version) {
    const kept = this.impacts.get(`${version.document}@${version.version}`);
    return kept ?? (version.impact ? impactOf(version.impact) : null);
  }

  /** Run a version on the live positions, and keep what it would change. */
  async test(name, number) {
    const answer = await this.api.test(name, number);
    this.impacts.set(`${name}@${number}`, impactOf(answer.impact ?? answer));
  }

  /** The newest dry run of a version from this page, or null. */
  dryRun(version) {
    return this.runs.get(`${version.document}@${version.version}`) ?? null;
  }

  /** Judge the requests of a period by a version, and keep what it would have decided. */
  async runDry(name, number, period) {
    this.runs.set(`${name}@${number}`, await this.api.dryRun(name, number, period));
  }

  async audit(name) {
    return this.#once(this.trails, name, async () => (await this.api.audit(name)).steps.map(stepOf));
  }

  /** Whether somebody has done something, which the list of documents tells: then everything is read anew. Raises ApiError. */
  async changed() {
    const before = JSON.stringify(this.list);
    const list = await this.#documents();
    if (JSON.stringify(list) === before) return false;
    this.forget();
    this.list = list;
    return true;
  }

  async #documents() {
    return (await this.api.documents()).documents.map(documentOf);
  }

  async #versions(name) {
    return (await this.api.versions(name)).versions.map(versionOf);
  }

  async #once(kept, key, ask) {
    if (!kept.has(key)) kept.set(key, await ask());
    return kept.get(key);
  }
}
