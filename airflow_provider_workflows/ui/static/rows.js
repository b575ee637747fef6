// The rows of a batch with something wrong: filter, search, pages, selection and download.
import { element, fill, note, say, table } from "./dom.js";
import { count, counted, MEANINGS, OUTCOMES } from "./format.js";
import { Refused, Source } from "./requests.js";

const HEAD = [
  { name: "row", number: true }, { name: "place of its key" }, { name: "outcome" }, { name: "code" },
  { name: "message" }, { name: "fingerprint" }, { name: "workflow id" }, { name: "case id" }, { name: "record id" },
];

const OUTCOME = 2;
const CLASSES = { message: "words", fingerprint: "id", "workflow id": "id", "case id": "id", "record id": "id" };

/** Return row numbers as ranges, such as "1-50,61". */
export function ranges(numbers) {
  const sorted = [...numbers].sort((first, second) => first - second);
  const parts = [];
  for (let index = 0; index < sorted.length; index += 1) {
    const begin = sorted[index];
    while (index + 1 < sorted.length && sorted[index + 1] === sorted[index] + 1) index += 1;
    parts.push(begin === sorted[index] ? `${begin}` : `${begin}-${sorted[index]}`);
  }
  return parts.join(",");
}

export class Rows {
  constructor(ids, select) {
    this.ids = ids;
    this.select = select;
    this.selected = new Set();
    this.first = 0;
    this.isStale = false;
    this.reported = null;
    this.source = null;
    this.outcome = element("select", { id: "rows-outcome", onchange: () => this.#ask() },
      element("option", { value: "" }, "all outcomes"),
      Object.keys(MEANINGS).map((name) => element("option", { value: name }, OUTCOMES[name])));
    this.search = element("input", { id: "rows-search", type: "search", autocomplete: "off", spellcheck: "false", maxlength: "100" });
    this.download = element("a", { class: "button", download: "problem_rows.csv" }, "Download as CSV");
    this.form = element("form", { class: "filter", onsubmit: (event) => { event.preventDefault(); this.#ask(); } },
      element("label", { for: "rows-outcome" }, "Outcome", this.outcome),
      element("label", { for: "rows-search" }, "Id of a workflow, case or record, row number or error code", this.search),
      element("button", {}, "Filter"), this.download);
    this.body = element("div");
    this.back = element("button", { type: "button", onclick: () => this.#turn(-1) }, "Previous");
    this.forth = element("button", { type: "button", onclick: () => this.#turn(1) }, "Next");
    this.where = element("span", { role: "status" });
    this.pager = element("nav", { class: "pager", "aria-label": "Pages of the table" }, this.back, this.forth, this.where);
    this.node = element("div", {}, this.form, this.body, this.pager);
    this.#blank("Loading …");
  }

  /** Read the table again, once it is its turn, if the batch has reported something new. */
  follow(report) {
    const reported = report.problem_rows ? `${report.problem_rows} ${report.at}` : null;
    if (reported === null) this.#blank(report.phase === "ended" ? "No rows." : "No rows yet.");
    if (reported === this.reported) return;
    this.reported = reported;
    this.isStale = reported !== null;
  }

  /** Select no row any more. */
  clear() {
    this.selected.clear();
    for (const box of this.body.querySelectorAll("input")) box.checked = false;
    this.select("");
  }

  async refreshIfStale() {
    if (!this.isStale) return false;
    await this.#read();
    return true;
  }

  async #ask() {
    this.first = 0;
    this.source = null;
    await this.#read();
  }

  async #turn(direction) {
    this.first = Math.max(0, this.first + direction * this.pageSize);
    this.source = null;
    await this.#read();
  }

  async #read() {
    this.isStale = false;
    const filter = { ...this.ids, outcome: this.outcome.value, search: this.search.value.trim() };
    this.source ??= new Source("data/rows", { ...filter, first: this.first });
    const csv = new URL("data/rows.csv", document.baseURI);
    csv.search = new URLSearchParams(filter).toString();
    this.download.href = csv.href;
    const source = this.source;
    try {
      const { value } = await source.read();
      // A filter may have been changed meanwhile.
      if (source === this.source) this.#show(value);
    } catch (error) {
      this.source = null;
      this.#blank(error instanceof Refused ? error.message : "The API server cannot be reached.");
    }
  }

  #blank(words) {
    this.form.hidden = this.pager.hidden = true;
    fill(this.body, element("p", {}, words));
  }

  #show({ rows, first, matching, total, failure }) {
    if (failure) {
      this.#blank("");
      fill(this.body, note("warning", element("p", {},
        "The rows cannot be shown: ", element("strong", {}, failure.type), `: ${failure.message}. All else on this page comes from Airflow's database.`)));
      return;
    }
    this.pageSize = 50;
    this.form.hidden = false;
    this.pager.hidden = matching <= this.pageSize;
    this.back.disabled = first === 0;
    this.forth.disabled = first + rows.length >= matching;
    say(this.where, rows.length
      ? `${count(first + 1)} to ${count(first + rows.length)} of ${counted(matching, "row")}` : "no rows");
    const caption = matching === total
      ? `${counted(total, "row")} with something wrong`
      : `${count(matching)} of ${counted(total, "row")} with something wrong`;
    // A column that says nothing takes the place of one that does.
    const shown = HEAD.map((_, column) => column).filter((column) => rows.some((row) => row[column]));
    const head = [{ name: "select" }, ...shown.map((column) => HEAD[column])];
    fill(this.body, table(caption, head, rows.map((row) => this.#row(row, shown))));
    for (const box of this.body.querySelectorAll("input")) box.checked = this.selected.has(Number(box.value));
  }

  #row(row, shown) {
    const [number, , outcome] = row;
    const isBad = outcome === "skipped";
    const box = element("input", {
      type: "checkbox", value: number, disabled: isBad, "aria-label": `select row ${number}`,
      title: isBad ? "A bad row cannot be submitted: correct it in the input." : null,
    });
    box.addEventListener("change", () => {
      if (box.checked) this.selected.add(Number(number));
      else this.selected.delete(Number(number));
      this.select(ranges(this.selected));
    });
    return element("tr", {}, element("td", {}, box), shown.map((column) => {
      const cell = { class: CLASSES[HEAD[column].name] ?? (HEAD[column].number ? "number" : null) };
      if (column === OUTCOME) return element("td", { ...cell, title: MEANINGS[outcome] ?? null }, OUTCOMES[outcome] ?? outcome);
      return element("td", cell, row[column]);
    }));
  }
}
