// The page of a task instance.
import { Actions } from "./actions.js";
import { BatchView } from "./batch.js";
import { element, fill, note, say, section } from "./dom.js";
import { time } from "./format.js";
import { now, Refused, Rhythm, Source, wordsOf } from "./requests.js";
import { RunView } from "./run.js";
import { followTheme } from "./theme.js";

const IDS = ["dag_id", "run_id", "task_id", "map_index"];

/** Airflow puts "{MAP_INDEX}" there for a task that is not mapped. A plus sign in an id stands for itself. */
function readIds() {
  const given = {};
  for (const part of location.search.slice(1).split("&")) {
    const [name, value = ""] = part.split(/=(.*)/s);
    try {
      given[name] = decodeURIComponent(value);
    } catch {
      given[name] = value;
    }
  }
  const ids = Object.fromEntries(IDS.map((name) => [name, given[name] ?? ""]));
  if (!/^\d+$/.test(ids.map_index)) ids.map_index = "-1";
  return ids;
}

const ids = readIds();
const node = (id) => document.getElementById(id);
const source = new Source("data/task", ids);
let view = null;
let kind = null;
/** What the try before has reported: Airflow drops it as the next one begins. */
let lastReport = null;

const mapped = ids.map_index === "-1" ? "" : ` [${ids.map_index}]`;
document.title = `Workflow of ${ids.task_id || "no task"}${mapped}`;
say(node("title"), document.title);

followTheme(() => view?.redraw());

const rhythm = new Rhythm(async () => {
  // What changes more slowly takes its turn with the rest, so that the page never asks for two things at once.
  if (view !== null && (await view.takeTurn())) return true;
  const { value, isNew } = await source.read();
  fill(node("problem"));
  const isFirst = view === null;
  try {
    if (isNew) show(value);
    view?.tick();
  } catch (error) {
    console.error(error);
    fill(node("problem"), note("error", element("p", {},
      "This page cannot show what the task has reported. Its log says more, and Airflow's own pages show its state.")));
    return !value.is_over;
  }
  if (isFirst && view !== null) await view.takeTurn();
  return !value.is_over || isAboutToBegin(value) || (view?.isBehind() ?? false);
}, (error) => {
  const isGone = error instanceof Refused && error.status === 404 && view !== null;
  fill(node("problem"), note("error", element("p", {}, isGone ? GONE : wordsOf(error))));
  if (error instanceof Refused && view === null) say(node("state"), "");
});

const GONE = "Airflow has this task no more: its DAG run may have been deleted. What is shown here is what was there before.";
const KEPT = "The try that has just begun has reported nothing yet, and does so within seconds. What is shown here is what the "
  + "try before it has reported.";
/** After this many seconds a button may be pressed again, if the task has not begun. */
const PENDING = 120;

/** Return whether somebody has just pressed a button, and Airflow is to clear the task. */
function isAboutToBegin({ instruction }) {
  return Boolean(instruction) && instruction.action !== "stop" && now() - instruction.asked_at < PENDING;
}

const STATES = {
  success: ["succeeded", "success"],
  failed: ["failed", "failed"],
  running: ["running", "running"],
  deferred: ["unknown", "deferred: waiting in the triggerer"],
  up_for_retry: ["result_missing", "up for retry"],
  queued: ["due", "queued"],
  scheduled: ["due", "scheduled"],
};

function show(data) {
  const [colour, words] = STATES[data.state] ?? ["due", (data.state ?? "about to begin").replaceAll("_", " ")];
  fill(node("state"),
    element("span", { class: "state" }, element("span", { class: `dot ${colour}` }), `Task ${words}`),
    data.try_number > 0 ? `, try ${data.try_number}` : "",
    data.started_at ? [", since ", time(data.started_at)] : "",
    data.is_over && data.ended_at ? [", until ", time(data.ended_at)] : "");
  const isKept = data.report === null && lastReport !== null && !data.is_over;
  fill(node("notice"), data.notice ? note("warning", element("p", {}, data.notice)) : null,
    isKept ? note("", element("p", {}, KEPT)) : null);
  if (isKept) {
    say(node("announcement"), view.show({ ...data, report: lastReport }));
    return;
  }
  lastReport = data.report;
  if (data.report === null) {
    view = null;
    kind = null;
    fill(node("content"), ...withoutReport(data));
    return;
  }
  if (kind !== data.report.kind) {
    kind = data.report.kind;
    node("content").replaceChildren();
    const views = { batch: BatchView, run: RunView };
    view = new views[kind](node("content"), ids, () => rhythm.begin());
  }
  say(node("announcement"), view.show(data));
}

/** Return what is shown of a task that has reported nothing: why, and the button with which it can be repaired. */
function withoutReport(data) {
  if (data.buttons.repair === null) {
    const actions = new Actions(ids, () => rhythm.begin());
    actions.show(data);
    return [
      note("error", element("p", {}, "The task has failed before it has reported anything. Its log says why.")),
      section("What can be done", actions.node),
    ];
  }
  if (!data.is_over && data.try_number > 1) {
    return [note("", element("p", {}, `Try ${data.try_number} has reported nothing yet. A task that runs workflows reports `
      + "once it begins, and goes on with what the tries before it have done; other tasks never report."))];
  }
  return [note("", element("p", {}, data.is_over
    ? "This task has reported no run and no batch. Tasks that run workflows do so once they begin; other tasks never do."
    : "This task has reported nothing yet. Tasks that run workflows do so once they begin; other tasks never do."))];
}

rhythm.begin();
