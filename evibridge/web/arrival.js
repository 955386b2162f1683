/**
 * Runs before the rest of the page is there. It takes the token of the link out of the address, as
 * that would be in the history, and tells of a page that did not load fully.
 */

(() => {
  const KEPT_AS = "evibridge.token";
  const LOADS_WITHIN_MS = 20_000;
  const TITLE = "The page did not load fully";
  const HINT = "Load it again.";

  /** A link's token that was not used yet outlives that the page is loaded again. */
  const kept = () => {
    try {
      return sessionStorage.getItem(KEPT_AS) ?? "";
    } catch {
      return ""; // the browser keeps nothing for this page
    }
  };

  /** @param {string} token "" once it is used */
  const keep = (token) => {
    try {
      if (token) sessionStorage.setItem(KEPT_AS, token);
      else sessionStorage.removeItem(KEPT_AS);
    } catch {
      // The page has it until it is closed.
    }
  };

  /** Take the token out of the address; "" if there is none. */
  const takeToken = () => {
    const url = new URL(location.href);
    const members = new URLSearchParams(url.hash.slice(1));
    const token = members.get("token") ?? "";
    if (!token) return "";
    members.delete("token");
    url.hash = members.toString();
    history.replaceState(null, "", url.href);
    keep(token);
    return token;
  };

  const loadAgain = () => location.reload();

  const tell = () => {
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", tell);
      return;
    }
    const part = (/** @type {string} */ id) =>
      /** @type {HTMLElement} */ (document.getElementById(id));
    document.title = part("title").textContent = TITLE;
    part("hint").textContent = HINT;
    part("alarm").textContent = `${TITLE}. ${HINT}`;
    const button = /** @type {HTMLButtonElement} */ (part("one"));
    /** @type {Element} */ (button.lastElementChild).textContent = "Reload";
    button.querySelector("use")?.setAttribute("href", "web/icons.svg#i-again");
    button.addEventListener("click", loadAgain);
    button.disabled = false;
  };

  /** @param {Event} event */
  const failed = ({ target }) => {
    // Other parts than scripts are not missed.
    if (target === window || target instanceof HTMLScriptElement) tell();
  };

  /** The rest of the page runs. */
  const complete = () => {
    clearTimeout(timer);
    removeEventListener("error", failed, true);
    document.removeEventListener("DOMContentLoaded", tell);
    document.getElementById("one")?.removeEventListener("click", loadAgain);
    const alarm = document.getElementById("alarm");
    if (alarm) alarm.textContent = "";
    for (const button of document.querySelectorAll("button")) button.disabled = false;
  };

  addEventListener("error", failed, true);
  const timer = setTimeout(tell, LOADS_WITHIN_MS);
  const token = takeToken() || kept();
  Object.assign(window, { arrival: { token, takeToken, forgetToken: () => keep(""), complete } });
})();
