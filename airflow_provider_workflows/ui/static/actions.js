// The buttons of a task's page: what each does, what it costs, and why it cannot be pressed where it cannot.
import { element, fill, note, say } from "./dom.js";
import { count, counted, OUTCOMES, time } from "./format.js";
import { Refused, send } from "./requests.js";

const NAMES = {
  repair: "Repair",
  start_over: "Start over",
  resubmit: "Resubmit these rows",
  stop: "Stop submitting",
};
const BEGINS_AGAIN = "The task begins again: it submits what is due, and each run is billed.";
/** Airflow does not ask again for the state of a task that has ended. */
const AROUND = "The task has begun. Airflow's own state and grid around this page may still show how it ended before: reload the page to see them anew.";
const ROWS = /^\s*\d+(\s*-\s*\d+)?(\s*,\s*\d+(\s*-\s*\d+)?)*\s*$/;

export class Actions {
  constructor(ids, resume, clearSelection = () => {}) {
    this.ids = ids;
    this.clearSelection = clearSelection;
    this.resume = resume;
    this.data = null;
    this.pressed = null;
    this.repair = element("p", {});
    this.unknown = element("p", { hidden: true });
    this.pending = element("div");
    this.result = element("div", { role: "status", "aria-live": "polite" });
    this.buttons = {};
    this.words = {};
    this.list = element("ul", { class: "actions" });
    for (const [action, name] of Object.entries(NAMES)) {
      const button = element("button", {
        type: "button", class: action === "repair" ? "main" : action === "start_over" ? "danger" : null,
        "aria-describedby": `about-${action}`, onclick: () => this.#ask(action),
      }, name);
      const words = element("p", { id: `about-${action}`, class: "muted" });
      this.buttons[action] = button;
      this.words[action] = words;
      this.list.append(element("li", {}, button, words));
    }
    this.chosenRows = "";
    this.dialog = element("dialog", { "aria-labelledby": "dialog-title" });
    this.node = element("div", {}, this.repair, this.unknown, this.pending, this.list, this.result, this.dialog);
  }

  /** Take the rows that are selected in the table. */
  select(text) {
    this.chosenRows = text;
    if (this.data !== null) this.show(this.data);
  }

  show(data) {
    this.data = data;
    if (this.pressed !== null && isFollowed(this.pressed, data)) {
      const isAround = window.parent !== window && this.pressed.action !== "stop";
      this.pressed = null;
      fill(this.result, isAround ? note("", element("p", {}, AROUND)) : null);
    }
    const { report, instruction } = data;
    const isBatch = report?.kind === "batch";
    say(this.repair, repairWords(report));
    const unknown = isBatch && !report.resubmits_unknown ? report.outcomes.unknown ?? 0 : 0;
    say(this.unknown, unknown ? `${counted(unknown, "row")} may have a run. ${data.unknown_stays}` : "");
    this.unknown.hidden = unknown === 0;
    this.buttons.resubmit.parentElement.hidden = !isBatch;
    this.buttons.stop.parentElement.hidden = this.buttons.start_over.parentElement.hidden = report === null;
    const about = {
      repair: report === null || (isBatch && !report.rows) ? BEGINS_AGAIN : isBatch
        ? `Submits ${billed(report.repair?.submits)}; keeps all that has succeeded.`
        : "Goes on with the run that there is, or submits one if it has failed or was never started.",
      start_over: `Submits everything anew, whatever has succeeded: ${billed(data.runs)}.`,
      resubmit: this.chosenRows
        ? `Submits the rows that are selected (${shortened(this.chosenRows)}): ${billed(numberOfRows(this.chosenRows))}.`
        : "Submits the rows that you name or select below, or all of one outcome. Each is billed.",
      stop: "Lets the runs end that there are, begins no further one, and ends the task as its failure policy says.",
    };
    for (const action of Object.keys(NAMES)) {
      const reason = data.buttons[action];
      this.buttons[action].disabled = reason !== null;
      say(this.words[action], reason ?? about[action]);
    }
    fill(this.pending, instruction ? note("", element("p", {},
      `${instruction.asked_by} has asked for: ${(NAMES[instruction.action] ?? instruction.action).toLowerCase()}`,
      instruction.rows ? ` (rows ${shortened(instruction.rows)})` : "",
      instruction.outcome ? ` (all that are ${OUTCOMES[instruction.outcome] ?? instruction.outcome})` : "",
      ", at ", time(instruction.asked_at), ".")) : null);
  }

  #ask(action) {
    const { report, runs } = this.data;
    const fields = [];
    const cancel = element("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel");
    const go = element("button", { class: action === "start_over" ? "danger" : "main" }, NAMES[action]);
    const problem = element("p", { role: "alert" });
    const read = { body: () => ({ action }), ready: () => true };
    if (action === "start_over") this.#askNumber(fields, read, go, runs);
    if (action === "resubmit") this.#askRows(fields, read, report);
    const downstream = element("input", { type: "checkbox", id: "ask-downstream" });
    downstream.checked = true;
    if (action !== "stop") {
      fields.push(element("label", { class: "choice", for: "ask-downstream" }, downstream, "Clear the tasks after this one as well"));
    }
    const form = element("form", {}, element("h2", { id: "dialog-title" }, `${NAMES[action]}?`),
      element("p", {}, this.#question(action)), fields, problem,
      element("div", { class: "buttons" }, cancel, go));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const words = read.ready();
      if (words !== true) {
        say(problem, words);
        return;
      }
      go.disabled = true;
      try {
        const done = await send("data/instruction", this.ids, { ...read.body(), include_downstream: downstream.checked });
        this.dialog.close();
        this.clearSelection();
        this.pressed = { action, startedAt: this.data.started_at };
        fill(this.result, note("", element("p", {}, done.message)));
        this.resume();
      } catch (error) {
        go.disabled = false;
        say(problem, error instanceof Refused ? error.message : "The API server cannot be reached: it is not known whether it was done.");
      }
    });
    this.dialog.replaceChildren(form);
    this.dialog.showModal();
  }

  #question(action) {
    const { report, runs } = this.data;
    return {
      repair: repairWords(report) || BEGINS_AGAIN,
      start_over: `It submits everything anew: ${billed(runs)}. What the earlier runs have cost is not given back.`,
      resubmit: "The rows will be submitted, and each is billed, also if it has succeeded before. Rows whose run goes on are "
        + "left, and bad rows; rows that may have a run are left too, unless the DAG says that they are submitted again.",
      stop: "No further row begins. Runs that there are go on, and are waited for. A repair submits the rest later.",
    }[action];
  }

  #askNumber(fields, read, go, runs) {
    const input = element("input", { id: "ask-runs", inputmode: "numeric", autocomplete: "off" });
    const typed = () => {
      const digits = input.value.replace(/[\s,.']/g, "");
      return /^[0-9]+$/.test(digits) ? Number(digits) : null;
    };
    go.disabled = true;
    input.addEventListener("input", () => { go.disabled = typed() !== runs; });
    fields.push(element("label", { for: "ask-runs" }, `Type the number of runs, ${count(runs)}, to confirm`, input));
    read.body = () => ({ action: "start_over", confirmed_runs: typed() });
  }

  #askRows(fields, read, report) {
    const left = ["due", "running", "skipped", "result_missing", ...(report.resubmits_unknown ? [] : ["unknown"])];
    const rows = element("input", { id: "ask-rows", autocomplete: "off", value: this.chosenRows });
    const outcome = element("select", { id: "ask-outcome" },
      element("option", { value: "" }, "the rows that are named here"),
      Object.keys(OUTCOMES).filter((name) => report.outcomes[name] > 0 && !left.includes(name)).map((name) =>
        element("option", { value: name }, `all ${count(report.outcomes[name])} that are ${OUTCOMES[name]}`)));
    const cost = element("p", { role: "status" });
    const showCost = () => {
      rows.disabled = outcome.value !== "";
      const number = outcome.value !== "" ? report.outcomes[outcome.value] : ROWS.test(rows.value) ? numberOfRows(rows.value) : 0;
      say(cost, number ? `That is at most ${billed(number)}.` : "");
    };
    outcome.addEventListener("change", showCost);
    rows.addEventListener("input", showCost);
    showCost();
    fields.push(
      element("label", { for: "ask-outcome" }, "Which rows", outcome),
      element("label", { for: "ask-rows" }, "Row numbers, such as 1-50, 61", rows), cost);
    read.ready = () => outcome.value !== "" || ROWS.test(rows.value) || "Name rows by their numbers, such as 1-50, 61.";
    read.body = () => (outcome.value !== ""
      ? { action: "resubmit", outcome: outcome.value } : { action: "resubmit", rows: rows.value.replace(/\s/g, "") });
  }
}

/** Return how many rows a text such as "1-50, 61" names. */
export function numberOfRows(text) {
  const parts = text.split(",").map((part) => part.split("-").map(Number));
  parts.sort(([first], [second]) => first - second);
  let sum = 0;
  let last = 0;
  for (const [begin, end = begin] of parts) {
    sum += Math.max(0, end - Math.max(begin - 1, last));
    last = Math.max(last, end);
  }
  return sum;
}

/** Return whether the task does what a button was pressed for, so that the words about it are over. */
function isFollowed({ action, startedAt }, data) {
  if (action === "stop") return data.state !== "running";
  return data.started_at !== null && data.started_at !== startedAt;
}

function repairWords(report) {
  if (report === null) return "";
  if (report.kind !== "batch") return runWords(report);
  if (!report.rows) return "The task has failed before it has counted its rows. A repair submits all that are due, and each run is billed.";
  const { keeps = 0, waits_for: waitsFor = 0, submits = 0, leaves_unknown: unknown = 0, leaves_failed: failed = 0 } = report.repair ?? {};
  const missing = report.outcomes.result_missing ?? 0;
  const parts = [`keeps ${count(keeps - Math.min(missing, keeps))}`];
  if (missing) parts.push(`fetches ${counted(missing, "result")} that ${missing === 1 ? "is" : "are"} missing`);
  parts.push(`waits for ${count(waitsFor)}`, `submits ${count(submits)}`);
  if (unknown) parts.push(`leaves ${count(unknown)} unknown`);
  if (failed) parts.push(`leaves ${count(failed)} failed`);
  return `A repair ${parts.join(", ")}. It would cost ${counted(submits, "run")}.`;
}

/** Return "1 run, which is billed". */
function billed(runs) {
  if (!runs) return "no run";
  return `${counted(runs, "run")}, ${runs === 1 ? "which" : "each of which"} is billed`;
}

function runWords(report) {
  if (report.outcome === "running") return "A repair waits for the run that there is, and costs nothing.";
  if (report.outcome === "failed" || report.outcome === "not_submitted") return "A repair submits one run, which is billed.";
  return "";
}

function shortened(text) {
  return text.length > 60 ? `${text.slice(0, 60)} …` : text;
}
