/** Before the first paint: the theme that was chosen, and a sentence for a page that loads in part. */

(() => {
  try {
    const theme = localStorage.getItem("evibridge.theme");
    if (theme) document.documentElement.dataset.theme = theme;
  } catch {
    // The browser keeps nothing for this page: it follows the system.
  }
  /** @param {Event} event */
  const failed = ({ target }) => {
    const alarm = document.getElementById("alarm");
    if (!(target instanceof HTMLScriptElement) || !alarm) return;
    // An alarm is for screen readers alone, as long as it has this class.
    alarm.className = "note bad";
    alarm.textContent = "The page did not load fully. Calls go on without it. Load it again.";
  };
  addEventListener("error", failed, true);
})();
