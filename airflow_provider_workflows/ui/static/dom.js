// Elements, without markup from data: text goes in as text nodes only.

/** Return a new element. Attributes that are null or false are left out; `class` is the class. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Replace what is in a node, unless it would be the same: what a reader has selected or focused stays. */
export function fill(node, ...children) {
  const holder = document.createElement("div");
  holder.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  if (holder.innerHTML !== node.innerHTML) node.replaceChildren(...holder.childNodes);
}

/** Set the text of a node if it is another one. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Return a table in a box of its own, which scrolls in a narrow window. */
export function table(caption, head, rows) {
  const made = element(
    "table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, head.map((cell) =>
      element("th", { scope: "col", class: cell.number ? "number" : null }, cell.name)))),
    element("tbody", {}, rows),
  );
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made);
}

/** Return a part of the page under a heading, by which screen readers name it. */
export function section(title, ...children) {
  const id = `section-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return element("section", { "aria-labelledby": id }, element("h2", { id }, title), ...children);
}

/** Return a list of names with their values; those without a value are left out. */
export function details(pairs) {
  return element("dl", { class: "details" }, pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

/** Return a note, such as a warning. */
export function note(kind, ...children) {
  return element("div", { class: `note ${kind}` }, ...children);
}

/**
 * Return a link to a place outside of this page. Airflow shows the page in a frame that may not open windows, nor
 * leave itself: the link is then followed by the page around it, which is Airflow's own.
 */
export function outerLink(address, text, { newTab = false } = {}) {
  const link = element("a", { href: address, rel: "noopener noreferrer", target: newTab ? "_blank" : "_top" }, text);
  link.addEventListener("click", (event) => {
    if (window.parent === window) return;
    try {
      const outer = window.parent.document.createElement("a");
      outer.href = link.href;
      outer.rel = "noopener noreferrer";
      if (newTab) outer.target = "_blank";
      window.parent.document.body.append(outer);
      event.preventDefault();
      outer.click();
      outer.remove();
    } catch {
      // A page around it of another origin: the browser decides.
    }
  });
  return link;
}

/** Return a link to a web page that data names, or its text alone if it is no address of a web page. */
export function webLink(address, text) {
  try {
    const { protocol } = new URL(address);
    if (protocol === "https:" || protocol === "http:") return outerLink(address, text, { newTab: true });
  } catch {
    // It is no address.
  }
  return String(address);
}
