import { EvibridgeError } from "./call_error.js";

/** Remembers what the page's own Content-Security-Policy has kept from being loaded or reached. */
export class PagePolicy {
  #target;
  #server;
  /** @type {string | null} the directive that was violated */
  #directive = null;
  /** @type {(event: any) => void} */
  #see = ({ blockedURI, effectiveDirective }) => {
    // A WebSocket's address differs in its scheme only; addresses of other origins are cut short.
    if (String(blockedURI).replace(/^ws/, "http").startsWith(this.#server.origin)) this.#directive = effectiveDirective;
  };

  /**
   * @param {EventTarget} target the document
   * @param {URL} server
   */
  constructor(target, server) {
    this.#target = target;
    this.#server = server;
    target.addEventListener("securitypolicyviolation", this.#see);
  }

  /**
   * The error itself, or what the page's author has to do.
   *
   * @param {EvibridgeError} error
   */
  explain(error) {
    if (error.code !== "unreachable" || !this.#directive) return error;
    const { origin } = this.#server;
    const addresses = this.#directive === "connect-src" ? `${origin} and ${origin.replace("http", "ws")}` : origin;
    return new EvibridgeError(
      "blocked",
      `This page's Content-Security-Policy forbids the call: add ${addresses} to its ${this.#directive}.`,
    );
  }

  close() {
    this.#target.removeEventListener("securitypolicyviolation", this.#see);
  }
}
