/** Light, dark, or as the system has it: a choice that stays on this device. */

const KEPT_AS = "evibridge.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

/** @typedef {keyof typeof NEXT} Theme */

/**
 * Let a button choose the theme.
 *
 * @param {HTMLElement} button
 * @param {() => void} onChange colours that were read before are wrong from now on
 */
export function offerThemes(button, onChange) {
  const root = document.documentElement;
  const show = () => {
    button.title = `Theme: ${chosen(root)}`;
    button.setAttribute("aria-label", button.title);
  };
  button.addEventListener("click", () => {
    const theme = /** @type {Theme} */ (NEXT[chosen(root)]);
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    keep(theme);
    show();
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
  show();
}

/** @param {HTMLElement} root @returns {Theme} */
function chosen({ dataset: { theme } }) {
  return theme === "light" || theme === "dark" ? theme : "system";
}

/** @param {Theme} theme */
function keep(theme) {
  try {
    if (theme === "system") localStorage.removeItem(KEPT_AS);
    else localStorage.setItem(KEPT_AS, theme);
  } catch {
    // It holds until the page is closed.
  }
}
