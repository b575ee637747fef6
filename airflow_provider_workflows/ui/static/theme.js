// Light or dark, as the page around this one: Airflow's own, which may change while this page is open.

function outerRoot() {
  try {
    return window.parent === window ? null : window.parent.document.documentElement;
  } catch {
    return null;
  }
}

const outer = outerRoot();
const preference = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  if (outer !== null) {
    if (outer.classList.contains("dark") || outer.dataset.theme === "dark") return true;
    if (outer.classList.contains("light") || outer.dataset.theme === "light") return false;
  }
  return preference.matches;
}

/** Set the theme now and after each change, and call `changed` each time. */
export function followTheme(changed = () => {}) {
  const set = () => {
    const theme = isDark() ? "dark" : "light";
    if (document.documentElement.dataset.theme !== theme) {
      document.documentElement.dataset.theme = theme;
      changed();
    }
  };
  set();
  preference.addEventListener("change", set);
  if (outer !== null) {
    new MutationObserver(set).observe(outer, { attributes: true, attributeFilter: ["class", "data-theme", "style"] });
  }
}

/** Return a colour of the present theme. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
