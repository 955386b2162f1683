/** Asks for an operator's token. It stands in no address, and is not kept before it was accepted. */

import { put } from "../shared/elements.js";
import { Api } from "./api.js";
import { keepToken } from "./token_store.js";

/** @typedef {import("./api.js").ApiError} ApiError */

const NOT_VALID = "This token is not valid. Ask whoever runs the server for a new one.";

/**
 * Why somebody was not let in.
 *
 * @param {ApiError} error
 * @param {string | null} token that was shown
 * @returns {string} "" if nobody has tried yet
 */
export function reasonOf({ status, message }, token) {
  if (status !== 401) return message;
  return token === null ? "" : NOT_VALID;
}

export class SignIn {
  #section;
  #field;
  #onToken;
  #onCancel;

  /**
   * @param {HTMLElement} section with the form
   * @param {object} told
   * @param {(token: string) => void} told.onToken once one was accepted
   * @param {() => void} told.onCancel the one before is kept
   */
  constructor(section, { onToken, onCancel }) {
    this.#section = section;
    this.#field = /** @type {HTMLInputElement} */ (this.#part("#token"));
    this.#onToken = onToken;
    this.#onCancel = onCancel;
    this.#part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#try(this.#field.value.trim());
    });
    this.#part("#signin-cancel").addEventListener("click", () => this.hide());
  }

  get isShown() {
    return !this.#section.hidden;
  }

  /**
   * @param {string} reason why the token before does not do
   * @param {boolean} mayCancel
   */
  show(reason, mayCancel) {
    this.#section.hidden = false;
    this.#part("#signin-cancel").hidden = !mayCancel;
    this.#tell(reason);
    this.#field.focus();
  }

  hide() {
    this.#section.hidden = true;
    this.#field.value = "";
    this.#onCancel();
  }

  /** @param {string} token */
  async #try(token) {
    const send = /** @type {HTMLButtonElement} */ (this.#part("[type=submit]"));
    if (!token || send.disabled) return;
    send.disabled = true;
    // The same reason again would not be read out again.
    this.#tell("");
    try {
      await new Api(token, () => {}).service(new Date(0).toISOString());
      keepToken(token);
      this.#field.value = "";
      this.#section.hidden = true;
      this.#onToken(token);
    } catch (/** @type {any} */ error) {
      this.#tell(reasonOf(error, token));
      this.#field.select();
    } finally {
      send.disabled = false;
    }
  }

  /** @param {string} reason */
  #tell(reason) {
    put(this.#part("#signin-reason"), reason);
    this.#field.setAttribute("aria-invalid", String(reason !== ""));
  }

  /** @param {string} selector */
  #part(selector) {
    return /** @type {HTMLElement} */ (this.#section.querySelector(selector));
  }
}
