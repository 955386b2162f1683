/** How the service as a whole is: asked for each ten seconds. */

/** @typedef {import("./types").Moment} Moment */
/** @typedef {import("./types").Service} Service */

const EVERY_MS = 10_000;

export class ServiceWatch {
  /**
   * As it was told last; null before the first answer.
   * @type {Service | null}
   */
  service = null;
  /** Whether the last question had no answer. */
  isStale = false;
  #parts;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isOn = false;
  #isAsking = false;
  #isDue = false;

  /**
   * @param {{api: {service(since: Moment): Promise<Service>},
   *   clock: {heard(at: Moment): void, now(): number}, onChange: () => void}} parts
   */
  constructor(parts) {
    this.#parts = parts;
  }

  start() {
    this.#isOn = true;
    return this.refresh();
  }

  stop() {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }

  /** Ask now, as after the stream came back; the next question is ten seconds later. */
  async refresh() {
    this.#isDue = this.#isOn;
    if (this.#isAsking) return;
    this.#isAsking = true;
    clearTimeout(this.#timer);
    while (this.#isDue) {
      this.#isDue = false;
      await this.#ask();
    }
    this.#isAsking = false;
    if (this.#isOn) this.#timer = setTimeout(() => this.refresh(), EVERY_MS);
  }

  async #ask() {
    const { api, clock, onChange } = this.#parts;
    const service = await api.service(beginOfDay(clock.now())).catch(() => null);
    if (!this.#isOn) return;
    this.isStale = !service;
    if (service) {
      this.service = service;
      clock.heard(service.at);
    }
    onChange();
  }
}

/** @param {number} now ms; the day is that of the people before the page */
function beginOfDay(now) {
  return new Date(new Date(now).setHours(0, 0, 0, 0)).toISOString();
}
