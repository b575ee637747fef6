// The page of a batch.
import { Actions } from "./actions.js";
import { Charts } from "./charts.js";
import { details, element, fill, note, section, table } from "./dom.js";
import { count, counted, countedOutcome, duration, OUTCOMES, share, time } from "./format.js";
import { now } from "./requests.js";
import { Rows } from "./rows.js";

const PHASES = {
  submitting: "Submitting rows",
  waiting: "Waiting for runs to end",
  fetching: "Fetching results, and writing the output",
  ended: "Ended",
};
const WORDS_OF_PHASE = {
  submitting: { done: "submitted", rate: "submitted at", end: "all submitted, expected" },
  waiting: { done: "ended", rate: "runs end at", end: "all ended, expected" },
  fetching: { done: "written", rate: "written at", end: "all written, expected" },
};

/** Return how many rows the present phase has dealt with, as the log counts them. */
function done(report) {
  if (report.phase === "fetching") return report.written ?? 0;
  const running = report.phase === "submitting" ? 0 : report.outcomes.running ?? 0;
  return Math.max(report.rows - (report.outcomes.due ?? 0) - running, 0);
}

export class BatchView {
  constructor(node, ids, resume) {
    this.progress = element("div");
    this.remarks = element("div");
    this.reasons = element("div", { class: "reasons" });
    this.places = element("div");
    const completions = element("section", { "aria-label": "Completions" });
    const durations = element("section", { "aria-label": "Durations" });
    this.charts = new Charts(completions, durations);
    this.rows = new Rows(ids, (text) => this.actions.select(text));
    this.actions = new Actions(ids, resume, () => this.rows.clear());
    this.reasonsSection = section("Why rows did not succeed", this.reasons);
    node.append(
      this.remarks,
      section("Progress", this.progress),
      this.reasonsSection,
      section("What can be done", this.actions.node),
      element("div", { class: "columns" }, completions, durations),
      section("Rows with something wrong", this.rows.node),
      section("Where everything is", this.places),
    );
    this.data = null;
  }

  redraw() {
    this.charts.redraw();
  }

  /** Make one request of its own if one is due; return whether it did. */
  takeTurn() {
    return this.rows.refreshIfStale();
  }

  isBehind() {
    return this.rows.isStale;
  }

  tick() {
    if (this.data !== null && !this.data.is_over) this.#showProgress(this.data);
  }

  show(data) {
    this.data = data;
    const report = data.report;
    this.#showRemarks(data);
    this.#showProgress(data);
    this.#showReasons(report);
    this.charts.draw(report);
    this.actions.show(data);
    this.rows.follow(report);
    this.#showPlaces(report);
    const outcomes = Object.keys(OUTCOMES).filter((name) => report.outcomes[name] > 0)
      .map((name) => countedOutcome(report.outcomes[name], name)).join(", ");
    return `${PHASES[report.phase] ?? report.phase}. Of ${counted(report.rows, "row")}: ${outcomes || "none has begun"}.`;
  }

  #showRemarks({ report }) {
    const { outage, stopped_by: stoppedBy, error } = report;
    fill(this.remarks,
      error ? note("error", element("p", {}, element("strong", {}, `${error.type}: `), error.message),
        details([["code", error.code], ["fingerprint", error.fingerprint]])) : null,
      outage ? note("warning", element("p", {},
        "The service cannot be reached or responds with errors, since ", time(outage.since), `: ${outage.reason}. `,
        outage.until ? ["It is waited for until ", time(outage.until), "."] : "It is waited for.")) : null,
      stoppedBy ? note("warning", element("p", {}, `${stoppedBy} has stopped the submission: no further row begins. A repair submits the rest.`)) : null);
  }

  #showProgress({ report, is_over: isOver }) {
    const known = Object.keys(OUTCOMES).filter((name) => report.outcomes[name] > 0);
    const goesOn = !isOver && report.phase !== "ended";
    const bar = element("div", { class: "bar", role: "img", "aria-label": known.map((name) =>
      countedOutcome(report.outcomes[name], name)).join(", ") || "no rows" });
    for (const name of known) {
      const part = element("span", { class: name });
      part.style.flexGrow = String(report.outcomes[name]);
      bar.append(part);
    }
    const end = report.expected_end;
    const figures = [
      [WORDS_OF_PHASE[report.phase]?.done ?? "ended", `${count(done(report))} of ${count(report.rows)}`],
      ["succeeded", share(report.outcomes.succeeded ?? 0, report.rows)],
      goesOn && report.rows_per_second > 0 ? [WORDS_OF_PHASE[report.phase]?.rate ?? "rate", rate(report.rows_per_second)] : null,
      goesOn && end ? [WORDS_OF_PHASE[report.phase]?.end ?? "expected end", [time(end), end > now() ? ` (in ${duration(end - now())})` : ""]] : null,
      ["begun", time(report.begun_at)],
      report.ended_at ? ["ended at", time(report.ended_at)] : null,
    ];
    fill(this.progress,
      element("p", {}, goesOn ? `${PHASES[report.phase] ?? report.phase}, since ` : `${PHASES.ended}.`, goesOn ? time(report.phase_started_at) : ""),
      goesOn && report.phase === "submitting" ? element("p", {}, "Runs are polled once the last row is submitted: until then none counts as ended.") : null,
      element("dl", { class: "figures" }, figures.filter(Boolean).map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
      bar,
      element("ul", { class: "legend" }, known.map((name) => element("li", {},
        element("span", { class: `dot ${name}` }), countedOutcome(report.outcomes[name], name)))));
  }

  #showReasons(report) {
    // As in the legend: what has failed before what was skipped.
    const known = Object.keys(OUTCOMES);
    const byOutcome = Object.entries(report.reasons ?? {}).sort(([one], [other]) => known.indexOf(one) - known.indexOf(other));
    const rows = byOutcome.flatMap(([outcome, reasons]) => reasons.map((reason) =>
      element("tr", {},
        element("td", {}, element("span", { class: "state" }, element("span", { class: `dot ${outcome}` }), OUTCOMES[outcome] ?? outcome)),
        element("td", { class: "number" }, count(reason.rows)),
        element("td", { class: "words" }, reason.reason),
        element("td", { class: "words" }, reason.examples))));
    this.reasonsSection.hidden = rows.length === 0;
    fill(this.reasons, rows.length === 0 ? null : table("The commonest reasons, by outcome",
      [{ name: "outcome" }, { name: "rows", number: true }, { name: "reason" }, { name: "for example rows" }], rows));
  }

  #showPlaces(report) {
    const statuses = Object.entries(report.statuses ?? {}).map(([name, number]) => `${count(number)} ${name}`).join(", ");
    fill(this.places, details([
      ["output", report.output],
      ["input", report.input],
      ["rows with something wrong", report.problem_rows],
      ["rows that may have a run", report.unknown_rows],
      ["state of the batch", report.state_folder],
      ["workflow definition", report.workflow_definition_id],
      ["connection", report.conn_id],
      ["statuses of runs", statuses],
      ["owner", report.owner ? ["try ", String(report.owner.try_number), ", since ", time(report.owner.since)] : "none: no try is at work"],
      ["how the end of runs is seen", report.webhooks ? "webhooks tell of it, and runs are polled now and then" : "runs are polled"],
      ["waits until", report.deadline ? time(report.deadline) : null],
      ["this was reported", time(report.at)],
    ]));
  }
}

function rate(perSecond) {
  const rounded = (number) => counted(Math.round(number * 10) / 10, "row");
  if (perSecond >= 1) return `${rounded(perSecond)} a second`;
  const perMinute = perSecond * 60;
  return perMinute >= 1 ? `${rounded(perMinute)} a minute` : `${rounded(perMinute * 60)} an hour`;
}

